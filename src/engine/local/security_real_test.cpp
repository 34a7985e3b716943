// SPDX-License-Identifier: Apache-2.0
// What an instance may not do, and what it is given: with each OCI runtime.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "engine/local/machine.hpp"
#include "engine/local/records.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class SecurityReal : public OnMachine, public testing::WithParamInterface<const char*> {
 protected:
  SecurityReal() { runtime_ = GetParam(); }
};

TEST_P(SecurityReal, AttacksFail) {
  const std::string said = run({"attack"});
  EXPECT_THAT(said, HasSubstr("unshare user: Operation not permitted"));
  EXPECT_THAT(said, Not(HasSubstr("POSSIBLE"))) << said;
}

TEST_P(SecurityReal, AttacksFailInACommandBesideIt) {
  ensure("g1", workload({"sleep"}));
  wait_ready("g1");
  const auto [said, code] = exec("g1-0", {"/p", "attack"});
  EXPECT_THAT(said, HasSubstr("unshare user: Operation not permitted"));
  EXPECT_THAT(said, Not(HasSubstr("POSSIBLE"))) << said;
  EXPECT_EQ(code, 0);
}

TEST_P(SecurityReal, BombsStayWithinTheirLimits) {
  const struct {
    const char* reason;
    std::vector<std::string> words;
    Limits limits;
    const char* said;
  } rows[] = {
      {"processes", {"fork-bomb"}, {.processes = 20}, "19 processes, then: Resource temporarily unavailable"},
      {"files", {"open-many"}, {.files = 100}, "97 files, then: Too many open files"},
      {"memory, with swap off",
       {"allocate", "256"},
       {.memory = Bytes{32 << 20}},
       "killed for memory: the limit is 32Mi"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto said = run(row.words, [&](Workload& w) { w.main().limits = row.limits; });
    EXPECT_THAT(said + "\n" + engine_->job("job" + std::to_string(jobs_))->reason, HasSubstr(row.said));
  }
  EXPECT_EQ(run({"whoami"}), "0:0") << "others go on";
}

TEST_P(SecurityReal, LinksLeadNobodyOut) {
  const auto volume = [](Workload& w) { w.main().volumes = {{.volume = "v1", .target = "/data"}}; };
  const std::string made = "/tow-engine-escaped-" + settings().name;
  ASSERT_EQ(run({"link", "/", "/data/root"}, volume), "") << "an instance may do that";
  const auto through =
      run({"whoami"}, [&](Workload& w) { volume(w), w.main().volumes[0].sub_path = "root" + made; });
  EXPECT_THAT(through, HasSubstr("may not lead over links"));
  EXPECT_FALSE(fs::exists(made)) << "made on the host";
  // Where a file or a volume is to appear, the image has links of its own.
  const auto image = [](Workload& w) { w.main().image = std::string{kImage} + "-links"; };
  EXPECT_EQ(run({"cat", made},
                [&](Workload& w) {
                  image(w), w.main().files = {{.target = "/absolute" + made, .content = "inside"}};
                }),
            "inside");
  EXPECT_EQ(
      run({"cat", made},
          [&](Workload& w) { image(w), w.main().files = {{.target = "/up" + made, .content = "inside"}}; }),
      "inside");
  EXPECT_FALSE(fs::exists(made)) << "made on the host";
}

TEST_P(SecurityReal, StatusSaysWhatItHas) {
  const std::string status = run({"cat", "/proc/self/status"});
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(status, HasSubstr("CapBnd:\t00000000800405fb")) << "eleven capabilities, see oci.cpp";
  EXPECT_EQ(run({"cat", "/proc/self/uid_map"}), "         0    1000000      65536");
}

TEST_P(SecurityReal, TheImagesUserIsKept) {
  EXPECT_EQ(run({"whoami"}), "0:0");
  EXPECT_EQ(run({"whoami"}, [](Workload& w) { w.main().image = std::string{kImage} + "-node"; }),
            "1000:1000");
  const std::string status =
      run({"cat", "/proc/self/status"}, [](Workload& w) { w.main().image = std::string{kImage} + "-node"; });
  EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000000"));
}

TEST_P(SecurityReal, FilesAndVariablesReachIt) {
  secrets_ = {{"password", "s3cret"}};
  const auto change = [](Workload& w) {
    w.main().image = std::string{kImage} + "-node";
    w.main().variables["PLAIN"] = Value::plain("a b");
    w.main().variables["URL"].parts = {{.text = "postgres://u:"}, {.secret = "password"}, {.text = "@db"}};
    w.main().files = {{.target = "/etc/app/config.yaml", .content = "key: value", .mode = 0600}};
  };
  EXPECT_EQ(run({"env", "PLAIN"}, change), "a b");
  EXPECT_EQ(run({"env", "URL"}, change), "postgres://u:s3cret@db");
  EXPECT_EQ(run({"env", "FROM_IMAGE"}, change), "yes");
  EXPECT_EQ(run({"cat", "/etc/app/config.yaml"}, change), "key: value") << "it belongs to the image's user";
  EXPECT_EQ(run({"write", "/etc/app/config.yaml", "x"}, change), "Read-only file system");
  EXPECT_THAT(run({"cat", "/etc/resolv.conf"}), HasSubstr("nameserver 10.90.0.1"));
  EXPECT_EQ(run({"cat", "/etc/hostname"}), "web-job");
}

TEST_P(SecurityReal, SecretsLieOnTmpfsAndNowhereElse) {
  secrets_ = {{"password", "s3cret-in-memory"}};
  auto w = workload({"sleep"});
  w.main().variables["PASSWORD"].parts = {{.secret = "password"}};
  ensure("g1", w);
  wait_ready("g1");
  EXPECT_EQ(exec("g1-0", {"/p", "env", "PASSWORD"}).first, "s3cret-in-memory\n");
  for (const char* durable : {"state", "logs", "volumes"})
    for (const auto& entry : fs::recursive_directory_iterator{root_ / durable})
      if (entry.is_regular_file())
        EXPECT_THAT(read_text(entry.path()).value_or(""), Not(HasSubstr("s3cret"))) << entry.path();
  struct stat about{};
  ASSERT_EQ(::stat((root_ / "run/secret").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700u);
}

TEST_P(SecurityReal, TheRootCanBeReadOnly) {
  const auto change = [](Workload& w) { w.main().read_only_root = true; };
  EXPECT_EQ(run({"write", "/x", "y"}, change), "Read-only file system");
  EXPECT_NE(run({"write", "/tmp/x", "y"}, change), "Read-only file system");
}

TEST_P(SecurityReal, VolumesOutliveInstancesAndKeepTheirOwners) {
  const auto change = [](Workload& w) {
    w.main().image = std::string{kImage} + "-node";
    w.main().volumes = {{.volume = "v1", .target = "/data"}};
  };
  run({"write", "/data/x", "one "}, change);
  run({"write", "/data/x", "two"}, change);
  EXPECT_EQ(run({"cat", "/data/x"}, change), "one two");
  struct stat about{};
  ASSERT_EQ(::stat((root_ / "volumes/v1/x").c_str(), &about), 0);
  EXPECT_EQ(about.st_uid, 1000u) << "as inside, whatever the project's range";
  EXPECT_EQ(
      run({"write", "/data/x", "y"}, [&](Workload& w) { change(w), w.main().volumes[0].read_only = true; }),
      "Read-only file system");
  run({"write", "/data/x", "deep"}, [&](Workload& w) { change(w), w.main().volumes[0].sub_path = "a/b"; });
  EXPECT_EQ(read_text(root_ / "volumes/v1/a/b/x"), "deep");
  EXPECT_THAT(
      run({"cat", "/data/x"}, [&](Workload& w) { change(w), w.main().volumes[0].sub_path = "../.."; }),
      HasSubstr("leaves its volume"));
  EXPECT_GT(run_blocking(engine_->volume_size("v1")).count, 0u);
}

TEST_P(SecurityReal, LimitsHold) {
  auto w = workload({"sleep"});
  w.main().limits = {.memory = Bytes{48 << 20}, .cpu_millis = 250, .processes = 17, .files = 100};
  ensure("g1", w);
  wait_ready("g1");
  EXPECT_THAT(exec("g1-0", {"/p", "cat", "/proc/self/limits"}).first,
              HasSubstr("Max open files            100"));
  const auto usage = engine_->usage("g1-0");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->memory_limit.count, 48u << 20);
  const fs::path groups{"/sys/fs/cgroup"};
  const std::string id = settings().name + "/g1-0/";
  if (fs::exists(groups / "pids")) {
    EXPECT_EQ(read_text(groups / "pids" / id / "pids.max"), "17\n");
    EXPECT_EQ(read_text(groups / "cpu" / id / "cpu.cfs_quota_us"), "25000\n");
    EXPECT_EQ(read_text(groups / "memory" / id / "memory.memsw.limit_in_bytes").value_or("50331648\n"),
              "50331648\n");
  } else {
    EXPECT_EQ(read_text(groups / id / "pids.max"), "17\n");
    EXPECT_EQ(read_text(groups / id / "cpu.max"), "25000 100000\n");
    EXPECT_EQ(read_text(groups / id / "memory.swap.max"), "0\n");
  }
}

INSTANTIATE_TEST_SUITE_P(Runtime, SecurityReal, testing::Values("crun", "runc"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tow::engine::local
