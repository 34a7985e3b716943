// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/context.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::image::buildah {
namespace {

class Context : public testing::Test {
 protected:
  Context() { std::filesystem::create_directories(root_ / "web/deep"); }
  ~Context() override { std::filesystem::remove_all(root_); }
  void link(const std::string& target, const std::string& path) {
    std::filesystem::create_symlink(target, root_ / path);
  }
  std::string refusal() {
    try {
      check_links(root_);
      return {};
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid);
      return error.message();
    }
  }
  std::filesystem::path root_ = std::filesystem::temp_directory_path() / ("towpath-context-" + new_uid());
};

TEST_F(Context, LinksInsideAreFine) {
  link("web", "a");
  link("../web/deep", "web/b");
  link("../../missing", "web/deep/c");
  link("./deep/../x", "web/d");
  EXPECT_EQ(refusal(), "");
}

TEST_F(Context, LinksThatLeaveAreNamed) {
  link("/etc/passwd", "web/passwd");
  link("../../..", "web/deep/up");
  const auto said = refusal();
  for (const char* part : {"2 symbolic links", "web/passwd -> /etc/passwd", "web/deep/up -> ../../.."})
    EXPECT_NE(said.find(part), std::string::npos) << said;
}

TEST_F(Context, ManyAreCountedAndSomeNamed) {
  for (int i = 0; i < 50; ++i) link("/x", "l" + std::to_string(i));
  const auto said = refusal();
  EXPECT_NE(said.find("50 symbolic links"), std::string::npos) << said;
  EXPECT_LT(said.size(), 1000U);
}

TEST_F(Context, WhatIsNoSourceIsNotLookedAt) {
  std::filesystem::create_directories(root_ / "node_modules/.bin");
  link("/usr/bin/x", "node_modules/.bin/x");
  EXPECT_EQ(refusal(), "");
}

TEST_F(Context, AFileIsReadFromInsideOnly) {
  std::ofstream{root_ / "web/Containerfile"} << "FROM a\n";
  link("/etc/hostname", "outside");
  link("web/Containerfile", "inside");
  EXPECT_EQ(read_inside(root_, "web/Containerfile"), "FROM a\n");
  EXPECT_EQ(read_inside(root_, "./web/../web/Containerfile"), "FROM a\n");
  EXPECT_EQ(read_inside(root_, "inside"), "FROM a\n");
  const struct {
    const char* path;
    const char* says;
  } cases[] = {
      {"../Containerfile", "leaves the repository"},
      {"/etc/hostname", "leaves the repository"},
      {"outside", "symbolic link that leaves"},
      {"web", "no file \"web\""},
      {"missing", "no file \"missing\""},
      {"", "leaves the repository"},
      {"web/../../x", "leaves the repository"},
  };
  for (const auto& one : cases) {
    try {
      read_inside(root_, one.path);
      ADD_FAILURE() << one.path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid) << one.path;
      EXPECT_NE(error.message().find(one.says), std::string::npos) << error.message();
    }
  }
}

TEST_F(Context, AComponentsContainerfileStartsInItsFolderUnlessItNamesWhatIsElsewhere) {
  std::filesystem::create_directories(root_ / "web/src");
  std::filesystem::create_directories(root_ / "shared");
  std::ofstream{root_ / "web/package.json"} << "{}";
  std::ofstream{root_ / "package-lock.json"} << "{}";
  const struct {
    const char* reason;
    const char* text;
    const char* context;
  } cases[] = {
      {"what it copies lies beside it", "FROM a\nCOPY package.json ./\nCOPY src /src\n", "web"},
      {"everything of its folder", "FROM a\nCOPY . .\n", "web"},
      {"paths from the top", "FROM a\nCOPY web/package.json ./\nCOPY web/ ./\n", ""},
      {"a folder beside its own", "FROM a\nCOPY --chown=1000 [\"shared\", \"/shared/\"]\n", ""},
      {"a file at the top alone", "FROM a\nADD package-lock.json \\\n  ./\n", ""},
      {"another stage has other files", "FROM a\nCOPY --from=build /shared /shared\n", "web"},
      {"what is nowhere decides nothing", "FROM a\nCOPY nothing* missing ../x https://a.example/b ./\n",
       "web"},
      {"nothing is copied", "FROM a\nRUN true\n", "web"},
  };
  for (const auto& one : cases)
    EXPECT_EQ(choose_context(root_, "web", one.text), *one.context ? root_ / one.context : root_)
        << one.reason;
  EXPECT_EQ(choose_context(root_, "", "FROM a\nCOPY web/ ./\n"), root_);
}

}  // namespace
}  // namespace tow::image::buildah
