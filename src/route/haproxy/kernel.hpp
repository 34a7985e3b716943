// SPDX-License-Identifier: Apache-2.0
#pragma once
// HAProxy's processes as the kernel knows them. Whether they are there is decided here and never by who
// answers on a socket: a master that starts, or executes itself anew for a reload, does not answer for a
// moment.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/task.hpp"

namespace tow::route::haproxy {

/// Descriptors of processes: they mean this process and no later one of the same number. Not thread-safe.
class ProcessHandle {
 public:
  /// Throws Error{NotFound} when there is no such process.
  ProcessHandle(const Executor& executor, int pid);
  ~ProcessHandle();
  /// Returns once the process has ended (and is reaped, should it be a child of ours). Throws
  /// Error{Cancelled}.
  Task<> ended();
  /// Whether it ended within `limit`.
  Task<bool> ended_within(Duration limit);
  void signal(int number);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// A number that no other process of this machine had or will have since it was started: pid and start time.
/// "pid-ticks", or empty when there is no such process.
std::string process_name(int pid);

/// Whether it runs: it exists and is more than the memory of its exit.
bool is_alive(int pid);

/// The processes that were started from the configuration of this directory, masters and workers, old ones
/// too; the dead are not among them. Those of containers are not ours, whatever they are called.
std::vector<int> processes_of(const std::filesystem::path& directory);
/// Whether one of them is a master. A worker whose master is gone ends by itself.
bool has_master(const std::vector<int>& processes);

/// Ends all of them and returns when none is left. What does not end within seconds is killed.
Task<> end_all(std::filesystem::path directory);

}  // namespace tow::route::haproxy
