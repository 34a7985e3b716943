// SPDX-License-Identifier: Apache-2.0
#include "engine/local/views.hpp"

#include <algorithm>

namespace tow::engine::local {
namespace {

template <class View>
std::optional<View> find(const std::map<std::string, View>& all, const std::string& id) {
  const auto found = all.find(id);
  return found == all.end() ? std::nullopt : std::optional{found->second};
}

}  // namespace

std::vector<std::string> images_of(const Workload& workload) {
  std::vector<std::string> all;
  for (const auto& container : workload.containers) all.push_back(container.image);
  return all;
}

void Views::show(GroupView view, std::vector<std::string> images) {
  const GroupId id = view.id;
  {
    const std::lock_guard lock{mutex_};
    images_[id] = std::move(images);
    groups_[id] = std::move(view);
  }
  tell(id);
}

void Views::show(const JobId& id, JobView view, std::vector<std::string> images) {
  {
    const std::lock_guard lock{mutex_};
    if (view.phase == JobView::Phase::Running)
      images_[id] = std::move(images);
    else
      images_.erase(id);
    jobs_[id] = std::move(view);
  }
  tell(id);
}

void Views::forget(const std::string& id) {
  {
    const std::lock_guard lock{mutex_};
    groups_.erase(id);
    jobs_.erase(id);
    images_.erase(id);
  }
  tell(id);
}

std::vector<GroupView> Views::groups() const {
  const std::lock_guard lock{mutex_};
  std::vector<GroupView> all;
  for (const auto& [id, view] : groups_) all.push_back(view);
  return all;
}

std::optional<GroupView> Views::group(const GroupId& id) const {
  const std::lock_guard lock{mutex_};
  return find(groups_, id);
}

std::optional<InstanceView> Views::instance(const InstanceId& id) const {
  const auto hyphen = id.rfind('-');
  const auto of = group(id.substr(0, hyphen == std::string::npos ? 0 : hyphen));
  if (!of) return std::nullopt;
  const auto found = std::ranges::find(of->instances, id, &InstanceView::id);
  return found == of->instances.end() ? std::nullopt : std::optional{*found};
}

std::optional<JobView> Views::job(const JobId& id) const {
  const std::lock_guard lock{mutex_};
  return find(jobs_, id);
}

std::vector<std::string> Views::images() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> all;
  for (const auto& [id, images] : images_) all.insert(all.end(), images.begin(), images.end());
  return all;
}

bool Views::writes(const std::string& source, const InstanceId& instance) const {
  const std::lock_guard lock{mutex_};
  if (const auto job = jobs_.find(source); job != jobs_.end())
    return job->second.phase == JobView::Phase::Running;
  const auto group = groups_.find(source);
  if (group == groups_.end()) return false;
  return instance.empty() || std::ranges::find(group->second.instances, instance, &InstanceView::id) !=
                                 group->second.instances.end();
}

void Views::observe(std::function<void(const std::string&)> listener) {
  const std::lock_guard lock{mutex_};
  listeners_.push_back(std::move(listener));
}

void Views::follow(const std::shared_ptr<Signal>& follower) {
  const std::lock_guard lock{mutex_};
  std::erase_if(followers_, [](const auto& one) { return one.expired(); });
  followers_.push_back(follower);
}

void Views::tell(const std::string& id) {
  std::vector<std::function<void(const std::string&)>> listeners;
  {
    const std::lock_guard lock{mutex_};
    listeners = listeners_;
    for (const auto& one : followers_)
      if (const auto follower = one.lock()) follower->notify();
  }
  for (const auto& listener : listeners) listener(id);
}

}  // namespace tow::engine::local
