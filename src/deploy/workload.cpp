// SPDX-License-Identifier: Apache-2.0
#include "deploy/workload.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/ids.hpp"
#include "deploy/names.hpp"

namespace tow::deploy {
namespace {

engine::Value value_of(const score::Expanded& expanded) {
  engine::Value value;
  for (const auto& part : expanded.parts) value.parts.push_back({part.text, part.secret});
  return value;
}

engine::Probe probe_of(const score::PlannedProbe& planned) {
  engine::Probe probe;
  probe.kind =
      planned.kind == score::PlannedProbe::Kind::Exec ? engine::Probe::Kind::Exec : engine::Probe::Kind::Http;
  probe.port = planned.port;
  probe.path = planned.path;
  probe.host = planned.host;
  probe.headers = planned.headers;
  probe.command = planned.command;
  return probe;
}

engine::Limits limits_of(const score::PlannedLimits& planned, const EnvironmentType::Spec& policy,
                         const std::string& type) {
  Reading reading;
  auto containers = reading.into("resources");
  auto limits = reading.into("limits");
  if (planned.memory && *planned.memory > policy.memory_limit) {
    auto step = reading.into("memory");
    reading.fault_at({}, fmt::format("{} is more than {} allows ({}: memoryLimit of the environment's type)",
                                     to_string(*planned.memory), type, to_string(policy.memory_limit)));
  }
  const auto most = static_cast<int>(std::lround(policy.cpu_limit * 1000));
  if (planned.cpu_millis.value_or(0) > most) {
    auto step = reading.into("cpu");
    reading.fault_at({}, fmt::format("{}m is more than {} allows ({}m: cpuLimit of the environment's type)",
                                     *planned.cpu_millis, type, most));
  }
  reading.finish("the Score document");
  engine::Limits made;
  made.memory = planned.memory.value_or(policy.memory_limit);
  made.cpu_millis = planned.cpu_millis.value_or(most);
  made.cpu_request_millis = planned.cpu_request_millis;
  made.processes = policy.process_limit;
  return made;
}

}  // namespace

engine::Workload workload(const score::Plan& plan, const std::string& image, const WorkloadPlace& place) {
  engine::Workload made;
  made.project = place.project;
  made.environment_name = place.environment;
  made.component = plan.component;
  made.environment = place.environment_uid;
  made.user_base = place.user_base;
  made.image = image;
  made.command = plan.command;
  made.args = plan.args;
  for (const auto& [name, value] : plan.variables) made.variables.emplace(name, value_of(value));
  for (const auto& planned : plan.files) {
    engine::File file{.target = planned.target, .content = {}, .parts = {}, .mode = planned.mode};
    if (!planned.base64.empty())
      file.content = base64_decode(planned.base64);
    else if (const auto text = planned.content.plain())
      file.content = *text;
    else
      file.parts = value_of(planned.content).parts;
    made.files.push_back(std::move(file));
  }
  for (const auto& planned : plan.volumes) {
    const auto uid = place.volumes.find(planned.volume);
    if (uid == place.volumes.end())
      throw fail(Code::Internal, "the volume {} was not claimed before its use", planned.volume);
    made.volumes.push_back({.volume = uid->second,
                            .target = planned.target,
                            .sub_path = planned.path,
                            .read_only = planned.read_only});
  }
  std::set<std::pair<std::uint16_t, score::Protocol>> ports;
  for (const auto& port : plan.ports)
    if (ports.insert({port.target, port.protocol}).second)
      made.ports.push_back({.name = port.name,
                            .port = port.target,
                            .protocol = port.protocol == score::Protocol::Udp ? engine::Protocol::Udp
                                                                              : engine::Protocol::Tcp});
  if (plan.readiness) made.readiness = probe_of(*plan.readiness);
  if (plan.liveness) made.liveness = probe_of(*plan.liveness);
  made.limits = limits_of(plan.limits, place.policy, place.environment);
  made.outbound = place.policy.outbound;
  made.runtime = place.policy.runtime;
  return made;
}

void record_plan(const score::Plan& plan, const std::string& domain, const std::string& environment,
                 Revision::Spec& revision) {
  for (const auto& port : plan.ports)
    revision.ports.push_back({.name = port.name,
                              .port = port.port,
                              .target = port.target,
                              .udp = port.protocol == score::Protocol::Udp,
                              .http = port.http});
  for (const auto& route : plan.routes)
    revision.routes.push_back({.host = route.host, .path = route.path, .port = route.port});
  std::set<std::string> volumes;
  for (const auto& mount : plan.volumes) {
    volumes.insert(volume_name(environment, mount.volume));
    revision.exclusive = revision.exclusive || !mount.read_only;
  }
  revision.volumes.assign(volumes.begin(), volumes.end());
  const bool has_host = std::ranges::any_of(
      plan.resources, [](const auto& each) { return each.type == "route" || each.type == "dns"; });
  if (has_host) revision.domain = domain;
}

}  // namespace tow::deploy
