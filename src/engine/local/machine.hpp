// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests with real containers: the process moves into a network and a mount namespace of its own, an image
// is made of the payload program, and whatever an engine leaves behind is counted. Needs root.

#include <gtest/gtest.h>

#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/local/local.hpp"

namespace tow::engine::local {

/// What there is on the machine that an engine could have left behind. Each entry is one line for people.
struct Census {
  std::vector<std::string> links, mounts, cgroups, processes, tables;
  bool operator==(const Census&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Census& census);

class Machine {
 public:
  static bool usable();  // root, or nothing works
  /// Counts what there is, and starts an engine.
  void open();
  /// Tears the engine down and fails the test if anything is left.
  void close();

  Settings settings();
  /// The same for another process: where, and what runs its tasks.
  static Settings settings(const std::filesystem::path& root, Executor executor);
  void start_engine();
  void stop_engine();
  /// Kills this engine's processes of that program and waits for their end: one that is still dying is found
  /// alive.
  void kill_all(const char* program);
  /// As if the machine had been switched off and on: processes, mounts, links, rules, groups, all of /run
  /// gone.
  void lose_everything_but_disks();

  static Workload workload(std::vector<std::string> words, std::vector<Port> ports = {});
  GroupView ensure(const std::string& id, Workload workload, int count = 1);
  /// Waits for what should come soon; fails the test with `what` when it does not.
  void eventually(const std::string& what, const std::function<bool()>& holds,
                  Duration limit = std::chrono::seconds{15});
  void wait_ready(const std::string& group, int count = 1);
  void wait_gone(const std::string& group);
  /// Runs the payload as a job in the environment; what it printed, without the last line's end.
  std::string run(std::vector<std::string> words, std::function<void(Workload&)> change = {});
  /// Runs a command beside an instance's process: what it printed, and its exit code.
  std::pair<std::string, int> exec(const InstanceId& instance, std::vector<std::string> command);
  std::vector<std::string> lines(const LogQuery& query);
  Census census();

  std::filesystem::path root_;
  std::string runtime_;  // for settings()
  std::uint16_t proxy_port_ = 0;
  Bytes log_file_size_{16 << 20};
  std::map<std::string, std::string> secrets_;
  std::unique_ptr<boost::asio::thread_pool> threads_;
  std::unique_ptr<LocalEngine> engine_;
  Census before_;
  int jobs_ = 0;
};

/// A test on it.
class OnMachine : public testing::Test, protected Machine {
 protected:
  void SetUp() override {
    if (!usable()) GTEST_SKIP() << "containers need root";
    open();
  }
  void TearDown() override {
    if (usable()) close();
  }
};

/// The image's name in the storage that Machine makes.
inline constexpr const char* kImage = "localhost/engine-payload";

}  // namespace tow::engine::local
