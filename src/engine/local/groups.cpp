// SPDX-License-Identifier: Apache-2.0
// Groups: what is wanted of each, on disk before it is so.
#include "base/error.hpp"
#include "base/log.hpp"
#include "engine/local/disk.hpp"
#include "engine/local/engine.hpp"
#include "engine/validate.hpp"

namespace tow::engine::local {

Wish Local::wish_of(const Group& group, int ordinal) const {
  const bool wanted = !group.record.retiring && ordinal < group.record.spec.count;
  return {.run = wanted,
          .restart = true,
          .grace = group.record.retiring ? group.record.grace : settings_.stop_grace,
          .start_limit = group.workload->start_limit};
}

std::shared_ptr<Instance> Local::add_instance(const GroupPtr& group, const InstanceRecord& record) {
  Instance::Identity identity{.id = record.id,
                              .source = group->record.spec.id,
                              .ordinal = record.ordinal,
                              .address = record.address,
                              .hostname = hostname(*group->workload, "-" + std::to_string(record.ordinal))};
  const auto instance =
      std::make_shared<Instance>(around_, std::move(identity), group->workload,
                                 wish_of(*group, record.ordinal), [this, weak = std::weak_ptr{group}] {
                                   if (const auto strong = weak.lock()) publish(*strong);
                                 });
  group->instances[record.ordinal] = instance;
  return instance;
}

/// Whether it is still the group of its name: whoever waited for its turn may find another, or none.
bool Local::known(const GroupPtr& group) const {
  const auto found = groups_.find(group->record.spec.id);
  return found != groups_.end() && found->second == group;
}

/// Records what is wanted, then brings the instances in line with it. The caller has the group's turn. What
/// cannot be recorded is thrown, and then nothing has changed.
Task<> Local::settle(GroupPtr group, GroupRecord wanted) {
  const GroupId id = wanted.spec.id;
  const EnvironmentId environment = wanted.spec.workload.environment;
  const bool over = wanted.retiring && group->instances.empty();
  std::vector<InstanceRecord> fresh;
  if (!wanted.retiring)
    for (int ordinal = 0; ordinal < wanted.spec.count; ++ordinal)
      if (!group->instances.contains(ordinal))
        fresh.push_back({.id = id + "-" + std::to_string(ordinal), .ordinal = ordinal});

  co_await pool_.run([&] {
    if (over) return group_records_.remove(id);
    try {
      if (!fresh.empty()) networks_.ensure(environment, wanted.spec.workload.outbound);
      for (auto& one : fresh) {
        one.address = networks_.allocate(environment);
        wanted.instances.push_back(one);
      }
      const Node record = to_node(wanted);
      std::string text = to_json(record);
      if (text == group->recorded) return;
      group_records_.save(id, record);
      group->recorded = std::move(text);
    } catch (...) {
      for (const auto& one : fresh)
        if (!one.address.empty()) networks_.release(environment, one.address);
      throw;
    }
  });
  group->record = std::move(wanted);
  group->workload = std::make_shared<const Workload>(group->record.spec.workload);
  if (over) {
    groups_.erase(id);
    views_.forget(id);
    co_return;
  }
  if (!fresh.empty() && watched_dns_.insert(environment).second) scope_->spawn(watch_dns(environment));
  for (const auto& [ordinal, instance] : group->instances) {
    instance->workload(group->workload);
    instance->wish(wish_of(*group, ordinal));
  }
  for (const auto& one : fresh) scope_->spawn(supervise(group, add_instance(group, one)));
  publish(*group);
}

/// The same, with what the record says, now or as soon as that can be recorded.
Task<> Local::settle_in_time(GroupPtr group) {
  for (bool told = false;; told = true) {
    std::exception_ptr failure;
    {
      const Turn::Hold hold = co_await group->turn.take();
      if (!known(group)) co_return;
      try {
        co_await settle(group, group->record);
      } catch (...) {
        failure = std::current_exception();
      }
    }
    if (!failure) co_return;
    if (is_cancellation(failure)) std::rethrow_exception(failure);
    if (!told)
      log::warning("engine", "what has become of group {} cannot be recorded yet: {}", group->record.spec.id,
                   explained(failure).message());
    publish(*group);
    co_await settings_.clock->sleep(kOnceMore);
  }
}

Task<> Local::supervise(GroupPtr group, std::shared_ptr<Instance> instance) {
  co_await instance->live();
  {
    const Turn::Hold hold = co_await group->turn.take();
    const auto& identity = instance->identity();
    networks_.release(group->workload->environment, identity.address);
    group->instances.erase(identity.ordinal);
    std::erase_if(group->record.instances, [&](const auto& one) { return one.id == identity.id; });
  }
  co_await settle_in_time(group);
}

Task<> Local::ensure(GroupSpec spec) { return on_strand(ensure_here(std::move(spec))); }

Task<> Local::ensure_here(GroupSpec spec) {
  check(spec);
  const GroupId id = spec.id;
  GroupPtr group;
  std::optional<Turn::Hold> hold;
  do {             // while we waited for our turn, the group may have gone, or be another
    hold.reset();  // before the group that its turn is part of
    auto& entry = groups_[id];
    if (!entry) {
      entry = std::make_shared<Group>();
      entry->workload = std::make_shared<const Workload>(spec.workload);
    }
    group = entry;
    hold.emplace(co_await group->turn.take());
  } while (groups_[id] != group);
  if (!group->recorded.empty()) check_same_containers(id, *group->workload, spec.workload);
  GroupRecord wanted = group->record;
  wanted.spec = std::move(spec);
  wanted.retiring = {};
  std::exception_ptr failure;
  try {
    co_await settle(group, std::move(wanted));
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  if (group->recorded.empty()) groups_.erase(id);
  if (is_cancellation(failure)) std::rethrow_exception(failure);
  throw explained(failure);
}

Task<> Local::retire(GroupId id, Duration grace) { return on_strand(retire_here(std::move(id), grace)); }

Task<> Local::retire_here(GroupId id, Duration grace) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) co_return;
  const GroupPtr group = found->second;
  const Turn::Hold hold = co_await group->turn.take();
  if (!known(group)) co_return;
  GroupRecord wanted = group->record;
  if (!wanted.retiring) wanted.retiring = settings_.clock->now();
  wanted.grace = grace;
  co_await settle(group, std::move(wanted));
}

void Local::publish(const Group& group) {
  GroupView view{.id = group.record.spec.id,
                 .wanted = group.record.retiring ? 0 : group.record.spec.count,
                 .retiring = group.record.retiring.has_value()};
  for (const auto& [ordinal, instance] : group.instances) view.instances.push_back(instance->view());
  views_.show(std::move(view), images_of(group.record.spec.workload));
}

}  // namespace tow::engine::local
