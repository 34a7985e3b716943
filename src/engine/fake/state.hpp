// SPDX-License-Identifier: Apache-2.0
#pragma once
// The inside of the fake engine's world. Everything is under one mutex; times come as tasks that sleep on the
// clock.

#include "engine/fake/fake.hpp"
#include "engine/pod.hpp"

namespace tow::engine::fake {

/// One container of a copy.
struct Part {
  ContainerView view;
  Behaviour behaviour;
  Wish wish;
  Sight sight;
  int run = 0;          // counts starts, so that what was foreseen for an earlier one is passed over
  bool faulty = false;  // it was told to stop for a fault of its own
};

struct Copy {
  InstanceView view;
  std::shared_ptr<const Workload> workload;
  Wish wish;
  bool job = false;
  bool going = false;  // a part of it is gone already: what is wanted again comes as a new copy
  std::vector<Part> parts;
  Progress progress;
};

struct World::State : std::enable_shared_from_this<World::State> {
  State(Executor executor, std::shared_ptr<Clock> time)
      : clock{std::move(time)}, scope{std::move(executor), "fake engine"} {}

  // The following expect the mutex to be held.
  void settle(const GroupId& id);
  std::vector<InstanceId> instances_of(const GroupId& id) const;
  void step(const InstanceId& id);
  bool step_parts(Copy& copy);
  void finish(const InstanceId& id);
  void act(Copy& copy, Part& part, Action action, const std::string& reason);
  void make(Copy& copy, Part& part);
  void ended(Copy& copy, Part& part, int exit_code, bool out_of_memory, const std::string& reason);
  void later(Duration delay, const InstanceId& id, const Part& part, std::function<void(Copy&, Part&)> event);
  void say(const InstanceId& id, const std::string& container, const std::string& line, Stream stream);
  /// The container of that name, or the main one; null when it is not there.
  Part* find(const InstanceId& id, const std::string& container);
  void changed(const std::string& id);
  std::string allocate(const EnvironmentId& environment);
  /// The first three numbers of one of its four blocks of 256 addresses: "10.90.4".
  std::string block(const EnvironmentId& environment, int number);
  void add(const std::string& source, int ordinal, const Workload& workload, Wish wish, bool job);
  void admit(const std::string& call);
  static std::string source_of(const Copy& copy) { return copy.view.group; }

  /// Tells listeners and followers, without the mutex.
  void tell();

  std::shared_ptr<Clock> clock;
  Scope scope;
  mutable std::mutex mutex;
  std::map<std::string, Behaviour> behaviours;
  std::optional<Error> refusal;
  std::vector<std::string> calls;

  struct Group {
    GroupSpec spec;
    bool retiring = false;
    Duration grace{0};
  };
  std::map<GroupId, Group> groups;
  std::map<JobId, JobView> jobs;
  std::map<JobId, JobSpec> job_specs;
  std::map<InstanceId, Copy> copies;
  std::map<EnvironmentId, int> environments;  // number of its network
  std::map<EnvironmentId, std::set<std::string>> addresses;
  std::map<EnvironmentId, int> last_address;
  std::map<EnvironmentId, std::map<std::string, std::pair<std::string, Service>>> services;
  std::map<EnvironmentId, int> last_service;
  std::map<std::string, Bytes> volumes;
  std::map<std::string, std::vector<LogLine>> logs;  // by group or job
  std::map<InstanceId, Usage> usages;
  Exec exec;

  std::map<std::uint64_t, std::vector<std::function<void(const std::string&)>>> listeners;
  std::vector<std::weak_ptr<Signal>> followers;
  std::uint64_t next_owner = 1;
  std::vector<std::string> untold;
};

}  // namespace tow::engine::fake
