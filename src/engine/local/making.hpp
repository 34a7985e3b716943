// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a container comes to be, and how it goes: an ordered list of small steps, each safe to repeat and
// undone in reverse. Blocking: a start takes as long as the OCI runtime does. Several may run at once on
// different threads, but never two for one container.

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/local/launch.hpp"
#include "engine/local/layers.hpp"
#include "engine/local/namespaces.hpp"
#include "engine/local/networks.hpp"
#include "engine/local/place.hpp"
#include "engine/local/records.hpp"
#include "engine/local/runtime.hpp"
#include "engine/local/sandbox.hpp"

namespace tow::engine::local {

/// What all starts share.
struct Workshop {
  const Place& place;
  const Cgroups& cgroups;
  Layers& layers;
  Networks& networks;
  std::string conmon;
  std::uint64_t hard_file_limit = 0;

  /// Keeps what changed of a run.
  void remember(const RunRecord& record) const;
};

/// What is to be made. Secrets are open in it: it lives only while a start does.
struct Order {
  std::string id;      // see container_key
  std::string source;  // group or job: where its log lies
  std::string hostname;
  Workload workload;
  ContainerSpec container;           // one of it
  const Sandbox* sandbox = nullptr;  // where it lives with others; null: alone
  std::vector<std::string> command;  // a job's; empty: the container's own
  bool terminal = false;
  std::string address;
  std::map<std::string, std::string> variables;  // opened
  Runtime runtime;
  struct {
    int restarts = 0;
    std::optional<LastEnd> last_end;
  } before;                                           // kept with the record of the run
  std::function<void()> about_to_start;               // all is made, its process does not run yet
  std::shared_ptr<const std::atomic<bool>> given_up;  // set meanwhile: what is made is taken back at once
};

/// What was made, and runs.
struct Running {
  RunRecord record;
  Descriptor monitor;  // conmon
  Descriptor init;     // the container's first process
  pid_t pid = -1;      // of init
};

/// Makes and starts it. When a step fails, those before it are undone, and its Error is thrown: Invalid or
/// NotFound for what a repetition cannot mend, Cancelled when it was given up, Internal or Unavailable else.
Running make(Workshop& workshop, const Order& order, TimePoint now);

}  // namespace tow::engine::local
