// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is seen of the engine from outside: a view of each group and job, the images they need, and who wants
// to be told of changes. Thread-safe; nothing here waits for the engine's strand.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/task.hpp"
#include "engine/engine.hpp"

namespace tow::engine::local {

/// Of all its containers.
std::vector<std::string> images_of(const Workload& workload);

class Views {
 public:
  /// Replace what was seen, and tell of it.
  void show(GroupView view, std::vector<std::string> images);
  void show(const JobId& id, JobView view, std::vector<std::string> images);
  /// Nothing is seen of that group or job any more.
  void forget(const std::string& id);

  std::vector<GroupView> groups() const;
  std::optional<GroupView> group(const GroupId& id) const;
  /// Of a group.
  std::optional<InstanceView> instance(const InstanceId& id) const;
  std::optional<JobView> job(const JobId& id) const;
  /// Of every group, and of jobs that are not over.
  std::vector<std::string> images() const;
  /// Whether more may come into that log: of a job or group, or with `instance` of that one of the group.
  bool writes(const std::string& source, const InstanceId& instance) const;

  /// Called after each change with the id, on the thread that made it.
  void observe(std::function<void(const std::string& id)> listener);
  /// Notified of each change until it is gone.
  void follow(const std::shared_ptr<Signal>& follower);

 private:
  void tell(const std::string& id);

  mutable std::mutex mutex_;
  std::map<GroupId, GroupView> groups_;
  std::map<JobId, JobView> jobs_;
  std::map<std::string, std::vector<std::string>> images_;  // by group or job
  std::vector<std::function<void(const std::string&)>> listeners_;
  std::vector<std::weak_ptr<Signal>> followers_;
};

}  // namespace tow::engine::local
