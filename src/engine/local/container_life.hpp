// SPDX-License-Identifier: Apache-2.0
#pragma once
// One container of an instance or job, from its first start to its last end: it looks, decides, acts, and
// waits for what happens next. Everything here runs on the engine's strand; what blocks goes to its pool.

#include <functional>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "engine/local/making.hpp"
#include "engine/local/probe.hpp"
#include "engine/local/remains.hpp"
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

class ContainerLife : public std::enable_shared_from_this<ContainerLife> {
 public:
  struct Identity {
    std::string key;     // see container_key
    std::string source;  // group or job
    std::string container;
    std::string address;
    std::string hostname;
    std::vector<std::string> command;  // a job's
    bool terminal = false;
    std::function<void()> about_to_start;  // see Order; on a thread of the pool
  };
  /// `changed` is called after each change of view(); before what has completed the container is told by
  /// view(), `completed` is, on a thread of the pool.
  ContainerLife(Surroundings& around, Identity identity, std::shared_ptr<const Workload> workload, Wish wish,
                std::function<void()> changed, std::function<void(const LastEnd&)> completed);

  /// What runs from before, found by adopt(). Before live().
  void take(Running running);
  /// What ended while no engine looked, and is to be started again.
  void take(Ended ended);
  /// What ran from before, and need not again.
  void take(LastEnd complete);
  /// Supervises it until it is no longer wished for, or complete, and nothing of it is left.
  Task<> live(std::shared_ptr<const Sandbox> sandbox);

  void wish(Wish wish);
  void workload(std::shared_ptr<const Workload> workload) { workload_ = std::move(workload); }
  /// What it waits for, while it waits.
  void waits_for(const std::string& others);

  const ContainerView& view() const { return view_; }
  const Wish& wish() const { return wish_; }

 private:
  const ContainerSpec& spec() const;
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
  std::function<void(const LastEnd&)> completed_;
  std::shared_ptr<const Sandbox> sandbox_;
  Sight sight_;
  ContainerView view_;
  Running running_;
  int run_ = 0;  // counts starts, so that a watcher of an earlier one knows that it is late
  std::string stopped_because_;
  std::shared_ptr<std::atomic<bool>> given_up_;  // of the start under way
  Signal signal_;
};

/// Waits for a process to end.
Task<> wait_for_end(Descriptor process);

}  // namespace tow::engine::local
