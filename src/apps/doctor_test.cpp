// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor.hpp"

#include <gtest/gtest.h>

namespace tow::apps {
namespace {

using enum Finding::Verdict;

TEST(Doctor, JudgesEachPart) {
  constexpr std::uint64_t kGib = 1ull << 30;
  const struct {
    const char* reason;
    Finding finding;
    Finding::Verdict verdict;
  } rows[] = {
      {"Debian 12's kernel", judge_kernel("6.1.0-18-amd64"), Fine},
      {"the first that can", judge_kernel("5.19"), Fine},
      {"the last that cannot", judge_kernel("5.18.19"), Missing},
      {"a minor of two digits is no fraction", judge_kernel("5.4.0"), Missing},
      {"a release that is no number", judge_kernel("custom"), Missing},
      {"overlayfs is loaded", judge_overlay("nodev\tsysfs\nnodev\toverlay\n\text4\n"), Fine},
      {"something that ends like it", judge_overlay("nodev\tfuse-overlay\n"), Missing},
      {"nothing is loaded", judge_overlay(""), Missing},
      {"user namespaces", judge_user_namespaces("63000"), Fine},
      {"user namespaces are forbidden", judge_user_namespaces("0"), Missing},
      {"user namespaces are not built in", judge_user_namespaces(""), Missing},
      {"much space", judge_space("data /d", 50 * kGib, 1'000'000, 2'000'000, "--data"), Fine},
      {"little space", judge_space("data /d", 4 * kGib, 1'000'000, 2'000'000, "--data"), Warning},
      {"no space", judge_space("data /d", kGib / 2, 1'000'000, 2'000'000, "--data"), Missing},
      {"few inodes", judge_space("data /d", 50 * kGib, 20'000, 2'000'000, "--data"), Warning},
      {"no inodes", judge_space("data /d", 50 * kGib, 100, 2'000'000, "--data"), Missing},
      {"no inodes and little space", judge_space("data /d", 4 * kGib, 100, 2'000'000, "--data"), Missing},
      {"a file system that does not count inodes", judge_space("data /d", 50 * kGib, 0, 0, "--data"), Fine},
      {"a free port", judge_port("127.0.0.1:80", true, false), Fine},
      {"the server's own port", judge_port("127.0.0.1:80", false, true), Fine},
      {"somebody else's port", judge_port("127.0.0.1:80", false, false), Missing},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(row.finding.verdict, row.verdict) << row.reason << ": " << row.finding.found;
    EXPECT_EQ(row.finding.remedy.empty(), row.verdict == Fine) << row.reason << ": a fault has its remedy";
  }
}

TEST(Doctor, TellsPeopleAndPrograms) {
  const std::vector<Finding> findings{
      {"git", Fine, "/usr/bin/git", {}},
      {"clock", Warning, "drifts", "apt-get install chrony"},
      {"buildah", Missing, "not installed", "apt-get install buildah"},
  };
  EXPECT_EQ(table(findings),
            "fine     git      /usr/bin/git\n"
            "warning  clock    drifts\n"
            "                  -> apt-get install chrony\n"
            "missing  buildah  not installed\n"
            "                  -> apt-get install buildah\n");
  EXPECT_EQ(to_json(document({findings[0], findings[2]})),
            R"([{"subject":"git","verdict":"fine","found":"/usr/bin/git"},)"
            R"({"subject":"buildah","verdict":"missing","found":"not installed",)"
            R"("remedy":"apt-get install buildah"}])");
  EXPECT_EQ(exit_code(findings), 1);
  EXPECT_EQ(exit_code({findings[0], findings[1]}), 0) << "a warning stops nothing";
}

TEST(Doctor, LooksAtThisMachineWithoutChangingIt) {
  ServerSettings settings;
  settings.data = "/nonexistent-towpath-data/deep/below";
  settings.runtime = "/nonexistent-towpath-runtime";
  settings.listen = "127.0.0.1:0";
  settings.http = "203.0.113.7:80";
  settings.images = "/proc/nonexistent-towpath-images";
  const auto findings = examine(settings);
  const auto find = [&](std::string_view subject) -> Finding {
    for (const auto& each : findings)
      if (each.subject == subject) return each;
    ADD_FAILURE() << subject << " was not looked at";
    return {};
  };
  for (const char* subject : {"git", "crun or runc", "kernel", "overlayfs", "user namespaces",
                              "control groups", "firewall", "clock", "tow server"})
    EXPECT_FALSE(find(subject).found.empty()) << subject;
  const auto images = find("images /proc/nonexistent-towpath-images");
  EXPECT_NE(images.remedy.find("--images"), std::string::npos) << images.found << images.remedy;
  EXPECT_EQ(find("address 127.0.0.1:0").verdict, Fine);
  EXPECT_EQ(find("address 203.0.113.7:80").verdict, Missing) << "not this machine's";
  EXPECT_FALSE(std::filesystem::exists("/nonexistent-towpath-data"));
  EXPECT_FALSE(std::filesystem::exists("/nonexistent-towpath-runtime"));
}

}  // namespace
}  // namespace tow::apps
