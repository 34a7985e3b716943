// SPDX-License-Identifier: Apache-2.0
// A full disk: what is asked for is refused in words, what runs goes on, nothing is lost or left over, and
// all of it mends itself when there is room again.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <fstream>

#include "base/error.hpp"
#include "engine/local/machine.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// The engine's durable directories on a disk of 8 MiB.
class DiskReal : public OnMachine {
 protected:
  void SetUp() override {
    OnMachine::SetUp();
    if (IsSkipped()) return;
    stop_engine();
    fs::create_directories(root_ / "state");
    ASSERT_EQ(::mount("small", (root_ / "state").c_str(), "tmpfs", 0, "size=8m,nr_inodes=300,mode=0700"), 0);
    start_engine();
  }
  void TearDown() override {
    if (engine_) {
      make_room();
      stop_engine();
      run_blocking(tear_down(settings()));
      ::umount2((root_ / "state").c_str(), MNT_DETACH);
    }
    OnMachine::TearDown();
  }
  /// As many files as there may be.
  void fill_with_files() {
    fs::create_directories(root_ / "state/ballast");
    for (int i = 0; i < 1000; ++i) std::ofstream{root_ / "state/ballast" / std::to_string(i)};
  }
  /// To the last byte.
  void fill_disk() {
    std::ofstream out{root_ / "state/ballast", std::ios::app};
    const std::string block(4096, 'x');
    while (out.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void make_room() { fs::remove_all(root_ / "state/ballast"); }
  void serve(const std::string& group, int count = 1) {
    ensure(group, workload({"serve", "8080"}, {{.name = "http", .port = 8080}}), count);
  }
  InstanceView first(const std::string& group) {
    const auto view = engine_->group(group);
    return view && !view->instances.empty() ? view->instances[0] : InstanceView{};
  }
  std::string refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Exhausted);
      return error.message();
    }
    return "nothing was refused";
  }
};

TEST_F(DiskReal, WhatCannotBeRecordedIsRefusedAndChangesNothing) {
  serve("g1");
  wait_ready("g1");
  fill_disk();
  const std::string full = "no space is left on the disk of " + (root_ / "state/").string();
  EXPECT_EQ(refusal([&] { serve("g2"); }), full + "groups: free some there");
  EXPECT_FALSE(engine_->group("g2"));
  EXPECT_EQ(refusal([&] { serve("g1", 3); }), full + "groups: free some there");
  EXPECT_EQ(engine_->group("g1")->wanted, 1);
  EXPECT_EQ(
      refusal([&] { run_blocking(engine_->run_job({.id = "j1", .workload = workload({"exit", "0"})})); }),
      full + "jobs: free some there");
  EXPECT_FALSE(engine_->job("j1"));
  EXPECT_EQ(first("g1").phase, Phase::Ready) << "what runs goes on";
  make_room();
  serve("g1", 2);
  wait_ready("g1", 2);
  EXPECT_EQ(run({"whoami"}), "0:0");
  run_blocking(engine_->retire("g1", std::chrono::seconds{1}));
  wait_gone("g1");
  run_blocking(engine_->remove_environment("e1"));  // which refuses while an address is taken
}

TEST_F(DiskReal, AnInstanceThatEndsComesBackWhenThereIsRoom) {
  serve("g1");
  wait_ready("g1");
  fill_with_files();
  const auto at = first("g1").address;
  run_blocking([](Engine& engine) -> Task<> {
    const auto terminal =
        co_await engine.exec("g1-0", {"/p", "fetch", "127.0.0.1", "8080", "/exit/3"}, false);
    while (!(co_await terminal->read()).empty()) {
    }
  }(*engine_));
  // Its old root made room for some files; the ballast takes it before the next start.
  eventually("the reason is told", [&] {
    fill_with_files();
    return first("g1").reason.starts_with("no space is left on the disk of " + (root_ / "state").string());
  });
  make_room();
  wait_ready("g1");
  EXPECT_EQ(first("g1").address, at);
}

TEST_F(DiskReal, AnInstanceThatFillsItIsToldSo) {
  EXPECT_THAT(run({"fill", "/tmp/x", "64"}), HasSubstr(" bytes, then: No space left on device"));
  EXPECT_EQ(run({"fill", "/tmp/x", "1"}), "all of 1 MiB") << "what it wrote went with it";
}

TEST_F(DiskReal, WhatEndsMeanwhileIsNotLost) {
  serve("g1", 2);
  wait_ready("g1", 2);
  JobSpec job{.id = "j1", .workload = workload({}), .command = {"/p", "sleep"}};
  run_blocking(engine_->run_job(job));
  eventually("the job runs", [&] { return engine_->usage("j1").has_value(); });
  run_blocking(engine_->retire("g1", std::chrono::seconds{1}));
  fill_disk();
  run_blocking(engine_->remove_job("j1"));
  wait_gone("g1");
  eventually("the job is forgotten", [&] { return !fs::exists(root_ / "state/jobs/j1.json"); });
  make_room();
  stop_engine();
  start_engine();
  EXPECT_FALSE(engine_->group("g1"));
  EXPECT_FALSE(engine_->job("j1"));
}

TEST_F(DiskReal, AFullDiskForLogsEndsNobody) {
  const fs::path logs = root_ / "logs/g1";
  fs::create_directories(logs);
  ASSERT_EQ(::mount("small", logs.c_str(), "tmpfs", 0, "size=64k,mode=0750"), 0);
  ensure("g1", workload({"ticks", "20000", "0", "100"}));
  wait_ready("g1");
  eventually("it is full", [&] {
    struct statvfs about{};
    return ::statvfs(logs.c_str(), &about) == 0 && about.f_bavail == 0;
  });
  EXPECT_EQ(first("g1").restarts, 0);
  EXPECT_EQ(first("g1").phase, Phase::Ready);
  EXPECT_FALSE(lines({.source = "g1", .tail = 3}).empty()) << "what there was room for can be read";
  EXPECT_EQ(exec("g1-0", {"/p", "whoami"}).first, "0:0\n");
  run_blocking(engine_->retire("g1", std::chrono::seconds{1}));
  wait_gone("g1");
  ::umount2(logs.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace tow::engine::local
