// SPDX-License-Identifier: Apache-2.0
#pragma once
// One instance (of a group) or one job, from its first start to its last end: it looks, decides, acts, and
// waits for what happens next. Everything here runs on the engine's strand; what blocks goes to its pool.

#include <functional>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "engine/local/making.hpp"
#include "engine/local/probe.hpp"
#include "engine/supervisor.hpp"

namespace tow::engine::local {

/// After what only time or a person can mend (a full disk), it is tried again.
inline constexpr Duration kOnceMore = std::chrono::seconds{5};

/// What the engine lends to each instance.
struct Surroundings {
  Workshop& shop;
  BlockingPool& pool;
  Scope& scope;
  Clock& clock;
  const SecretOpener& open;
  std::string default_runtime;
};

class Instance : public std::enable_shared_from_this<Instance> {
 public:
  struct Identity {
    InstanceId id;
    std::string source;  // group or job
    int ordinal = 0;
    std::string address;
    std::string hostname;
    std::vector<std::string> command;  // a job's
    bool terminal = false;
    std::function<void()> about_to_start;  // see Order; on a thread of the pool
  };
  /// `changed` is called after each change of view().
  Instance(Surroundings& around, Identity identity, std::shared_ptr<const Workload> workload, Wish wish,
           std::function<void()> changed);

  /// What runs from before, found by adopt(). Before live().
  void take(Running running);
  /// Supervises it until it is no longer wished for and nothing of it is left.
  Task<> live();

  void wish(Wish wish);
  void workload(std::shared_ptr<const Workload> workload) { workload_ = std::move(workload); }

  const Identity& identity() const { return identity_; }
  const InstanceView& view() const { return view_; }
  const Wish& wish() const { return wish_; }
  /// Of a job: how its one run ended.
  bool finished() const { return sight_.finished; }
  pid_t pid() const { return sight_.life == Sight::Life::Running ? running_.pid : -1; }
  const Workload& workload() const { return *workload_; }

 private:
  Task<> act(Action action, const std::string& reason);
  Task<> make_it();
  Task<> remove_it();
  void watch();
  Task<> watch_end(int run);
  Task<> watch_readiness(int run);
  Task<> watch_liveness(int run, Probe probe);
  void ended(std::optional<int> exit_code, bool out_of_memory);
  bool current(int run) const { return run == run_ && sight_.life == Sight::Life::Running; }
  ExecProbe exec_probe();
  void remember();
  Task<std::string> opened(const std::vector<Value::Part>& parts, const std::string& what);
  Task<Order> order();
  void note(std::string reason);
  void show(Phase phase);

  Surroundings& around_;
  Identity identity_;
  std::shared_ptr<const Workload> workload_;
  Wish wish_;
  std::function<void()> changed_;
  Sight sight_;
  InstanceView view_;
  Running running_;
  int run_ = 0;  // counts starts, so that a watcher of an earlier one knows that it is late
  std::string stopped_because_;
  std::shared_ptr<std::atomic<bool>> given_up_;  // of the start under way
  Signal signal_;
};

/// The component's name, made unique by the suffix and cut to what a hostname may have.
std::string hostname(const Workload& workload, const std::string& suffix);

/// Waits for a process to end.
Task<> wait_for_end(Descriptor process);

}  // namespace tow::engine::local
