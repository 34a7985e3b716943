// SPDX-License-Identifier: Apache-2.0
#pragma once
// One instance (of a group) or one job: its containers, each with a life of its own, and what they share. It
// opens the gates between them, and tells of them as one. Everything here runs on the engine's strand.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/local/container_life.hpp"
#include "engine/local/remains.hpp"
#include "engine/pod.hpp"

namespace tow::engine::local {

/// What of an instance runs from before.
struct Adopted {
  std::optional<Sandbox> sandbox;          // always, of several containers
  std::map<std::string, Running> running;  // by container
  std::map<std::string, LastEnd> complete;
  std::map<std::string, Ended> ended;  // while no engine looked
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

  /// Before live().
  void take(Adopted found);
  /// Supervises it until it is no longer wished for and nothing of it is left. Wished for again after a part
  /// of it has gone, it goes all the same: another comes in its place.
  Task<> live();

  void wish(Wish wish);
  /// With the same containers.
  void workload(std::shared_ptr<const Workload> workload);

  const Identity& identity() const { return identity_; }
  const InstanceView& view() const { return view_; }
  const Wish& wish() const { return wish_; }
  const Workload& workload() const { return *workload_; }

 private:
  bool several() const { return workload_->containers.size() > 1; }
  Task<> live_together();
  Task<bool> make_sandbox_now();
  Task<> remove_sandbox_now();
  Task<> live_one(std::size_t index);
  void look();
  void spread();

  Surroundings& around_;
  Identity identity_;
  std::shared_ptr<const Workload> workload_;
  Wish wish_;
  std::function<void()> changed_;
  InstanceView view_;
  std::vector<std::shared_ptr<ContainerLife>> lives_;
  std::shared_ptr<bool> there_ = std::make_shared<bool>(true);  // a life may end after we are gone
  std::shared_ptr<Sandbox> sandbox_;
  struct Kept;
  std::shared_ptr<Kept> kept_;  // what is on record of the sandbox
  Progress progress_;
  std::size_t living_ = 0;
  bool going_ = false;
  std::string broken_;  // why there is no sandbox
  int failures_ = 0;    // to make one, in a row
  Signal signal_;
};

/// The component's name, made unique by the suffix and cut to what a hostname may have.
std::string hostname(const Workload& workload, const std::string& suffix);

}  // namespace tow::engine::local
