// SPDX-License-Identifier: Apache-2.0
#pragma once
// An engine without a machine, for tests and simulations of what stands on it: every delay, crash and refusal
// is told to it, time is the injected clock's, and nothing depends on chance.
//
// The World is the machine: it goes on when its Fake (the engine) is gone, and a new Fake adopts what runs in
// it, as after a restart of the control plane. Thread-safe. The World outlives its Fakes, and whoever waits
// in them.

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "engine/engine.hpp"
#include "engine/supervisor.hpp"

namespace tow::engine::fake {

/// How copies of a component behave. Times are from the step before.
struct Behaviour {
  Duration make = std::chrono::milliseconds{5};    // until its process is alive
  Duration ready = std::chrono::milliseconds{20};  // then until its probe passes
  Duration stop = std::chrono::milliseconds{5};    // from SIGTERM to its end
  bool never_ready = false;
  std::string unready_reason = "listens on no port";
  bool ignores_term = false;
  std::optional<Duration> ends_after;  // alive that long; a job: 10 ms unless said
  int exit_code = 0;
  bool out_of_memory = false;
  std::string refused;            // it cannot be made: why
  std::vector<std::string> says;  // lines of its log when it starts
};

class World {
 public:
  World(Executor executor, std::shared_ptr<Clock> clock);
  ~World();

  /// For containers that start from now on: of "COMPONENT/CONTAINER", else of a component, or with an empty
  /// name of all that have none of their own.
  void behave(const std::string& component, Behaviour behaviour);

  /// Of the named container, or of the main one.
  void crash(const InstanceId& instance, int exit_code = 1, const std::string& container = {});
  void kill_for_memory(const InstanceId& instance, const std::string& container = {});
  void set_passing(const InstanceId& instance, bool passing, const std::string& container = {});
  void say(const InstanceId& instance, const std::string& line, Stream stream = Stream::Out);
  /// As a reboot: every instance ends at once, jobs are lost, the records stay and groups start again.
  void reboot();
  /// While set, every call of the engine that does something throws it.
  void refuse(std::optional<Error> error);
  void set_usage(const InstanceId& instance, Usage usage);
  /// What exec() prints and returns; without, it prints the command and returns 0.
  using Exec = std::function<std::pair<std::string, int>(const InstanceId&, const std::vector<std::string>&)>;
  void set_exec(Exec exec);
  void set_volume(const std::string& volume, Bytes size);

  /// For assertions.
  std::optional<Service> service(const EnvironmentId& environment, const std::string& name) const;
  std::vector<std::string> calls() const;  // "ensure g1 2", "retire g1", in order
  /// Ends the world's own tasks; call it before the executor goes.
  Task<> end();

 private:
  friend class Fake;
  struct State;
  std::shared_ptr<State> state_;
};

class Fake final : public Engine {
 public:
  explicit Fake(World& world);
  ~Fake() override;

  Task<> start() override;
  Task<> stop() override;
  Task<> ensure(GroupSpec group) override;
  Task<> retire(GroupId group, Duration grace) override;
  std::vector<GroupView> groups() const override;
  std::optional<GroupView> group(const GroupId& id) const override;
  void observe(std::function<void(const std::string& id)> listener) override;
  Task<> run_job(JobSpec job) override;
  std::optional<JobView> job(const JobId& id) const override;
  Task<> remove_job(JobId id) override;
  Task<std::string> ensure_service(Service service) override;
  Task<> remove_service(EnvironmentId environment, std::string name) override;
  Task<> remove_environment(EnvironmentId environment) override;
  Task<Bytes> volume_size(std::string volume) override;
  Task<> remove_volume(std::string volume) override;
  Task<> logs(LogQuery query, LogSink sink) override;
  Task<> remove_logs(std::string source) override;
  std::optional<Usage> usage(const InstanceId& instance) override;
  Task<std::unique_ptr<Terminal>> exec(InstanceId instance, std::vector<std::string> command, bool terminal,
                                       std::string container = {}) override;

 private:
  std::shared_ptr<World::State> state_;
  std::uint64_t listener_owner_;
};

}  // namespace tow::engine::fake
