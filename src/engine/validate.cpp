// SPDX-License-Identifier: Apache-2.0
#include "engine/validate.hpp"

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "engine/pod.hpp"

namespace tow::engine {
namespace {

void check(const ContainerSpec& container, const std::string& component) {
  if (!is_name(container.name))
    throw fail(Code::Invalid, "\"{}\" cannot be the name of a container: {}", container.name, kNameRule);
  if (container.image.empty()) throw fail(Code::Invalid, "component {} has no image to run", component);
  for (const auto& mount : container.volumes) {
    check_id("volume", mount.volume);
    if (!mount.target.starts_with('/'))
      throw fail(Code::Invalid, "the volume's target \"{}\" is not an absolute path", mount.target);
  }
  for (const auto& file : container.files)
    if (!file.target.starts_with('/'))
      throw fail(Code::Invalid, "the file's target \"{}\" is not an absolute path", file.target);
}

void check(const Workload& workload) {
  check_id("environment", workload.environment);
  if (workload.containers.empty())
    throw fail(Code::Invalid, "component {} has no container", workload.component);
  // Users 0 to 65,535 of the host are the host's own.
  if (workload.user_base < 65536)
    throw fail(Code::Invalid, "component {} has no range of users of its own (from {})", workload.component,
               workload.user_base);
  std::set<std::string> names;
  for (const auto& container : workload.containers) {
    check(container, workload.component);
    if (!names.insert(container.name).second)
      throw fail(Code::Invalid, "component {} has two containers \"{}\"", workload.component, container.name);
  }
  for (const auto& container : workload.containers)
    for (const auto& [other, milestone] : container.after)
      if (!names.contains(other))
        throw fail(Code::Invalid, "container {} starts after \"{}\", which there is not", container.name,
                   other);
  if (const auto cycle = find_cycle(workload.containers); !cycle.empty())
    throw fail(Code::Invalid, "containers wait for each other: {}", cycle);
  if (completes(workload, workload.main().name))
    throw fail(Code::Invalid, "the main container {} cannot be one that others wait to be complete",
               workload.main().name);
}

}  // namespace

void check_id(std::string_view what, std::string_view id) {
  const bool fine = !id.empty() && id.size() <= 63 && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (!fine || id.front() == '-')
    throw fail(Code::Invalid, "\"{}\" cannot be the id of a {}: lower-case letters, digits and hyphens", id,
               what);
}

void check(const GroupSpec& group) {
  check_id("group", group.id);
  if (group.id.size() > 58)
    throw fail(Code::Invalid, "the group id \"{}\" is too long for ids of instances", group.id);
  check(group.workload);
  if (group.count < 0 || group.count > 500)
    throw fail(Code::Invalid, "a group can have 0 to 500 instances, not {}", group.count);
}

void check(const JobSpec& job) {
  check_id("job", job.id);
  check(job.workload);
  if (job.workload.containers.size() != 1)
    throw fail(Code::Invalid, "a job runs in one container, not in {}", job.workload.containers.size());
}

void check_same_containers(const GroupId& group, const Workload& before, const Workload& now) {
  const auto names = [](const Workload& workload) {
    std::vector<std::string> all;
    for (const auto& one : workload.containers) all.push_back(one.name);
    return all;
  };
  if (names(before) != names(now))
    throw fail(Code::FailedPrecondition,
               "group {} has other containers, which cannot change; retire it first", group);
}

Error no_such_container(const InstanceId& instance, const std::string& container) {
  return fail(Code::NotFound, "instance {} has no container \"{}\"", instance, container);
}

void check(const Service& service) {
  check_id("environment", service.environment);
  if (!is_name(service.name))
    throw fail(Code::Invalid, "\"{}\" cannot be the name of a service: {}", service.name, kNameRule);
  std::set<std::pair<std::uint16_t, Protocol>> ports;
  for (const auto& entry : service.ports) {
    if (entry.port == 0 || entry.target == 0)
      throw fail(Code::Invalid, "service {} has a port 0", service.name);
    if (entry.http && entry.protocol != Protocol::Tcp)
      throw fail(Code::Invalid, "service {} has port {} as HTTP over UDP", service.name, entry.port);
    if (!ports.emplace(entry.port, entry.protocol).second)
      throw fail(Code::Invalid, "service {} has port {} twice", service.name, entry.port);
  }
}

}  // namespace tow::engine
