// SPDX-License-Identifier: Apache-2.0
#include "engine/validate.hpp"

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::engine {
namespace {

void check(const Workload& workload) {
  check_id("environment", workload.environment);
  if (workload.image.empty())
    throw fail(Code::Invalid, "component {} has no image to run", workload.component);
  // Users 0 to 65,535 of the host are the host's own.
  if (workload.user_base < 65536)
    throw fail(Code::Invalid, "component {} has no range of users of its own (from {})", workload.component,
               workload.user_base);
  for (const auto& mount : workload.volumes) {
    check_id("volume", mount.volume);
    if (!mount.target.starts_with('/'))
      throw fail(Code::Invalid, "the volume's target \"{}\" is not an absolute path", mount.target);
  }
  for (const auto& file : workload.files)
    if (!file.target.starts_with('/'))
      throw fail(Code::Invalid, "the file's target \"{}\" is not an absolute path", file.target);
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
