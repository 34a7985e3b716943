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
                         const std::string& type, Reading& reading) {
  auto in_resources = reading.into("resources");
  auto in_limits = reading.into("limits");
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
  engine::Limits made;
  made.memory = planned.memory.value_or(policy.memory_limit);
  made.cpu_millis = planned.cpu_millis.value_or(most);
  made.cpu_request_millis = planned.cpu_request_millis;
  made.processes = policy.process_limit;
  return made;
}

engine::File file_of(const score::PlannedFile& planned) {
  engine::File file{.target = planned.target, .content = {}, .parts = {}, .mode = planned.mode};
  if (!planned.base64.empty())
    file.content = base64_decode(planned.base64);
  else if (const auto text = planned.content.plain())
    file.content = *text;
  else
    file.parts = value_of(planned.content).parts;
  return file;
}

engine::VolumeMount mount_of(const score::PlannedVolume& planned, const WorkloadPlace& place) {
  const auto uid = place.volumes.find(planned.volume);
  if (uid == place.volumes.end())
    throw fail(Code::Internal, "the volume {} was not claimed before its use", planned.volume);
  return {.volume = uid->second,
          .target = planned.target,
          .sub_path = planned.path,
          .read_only = planned.read_only};
}

engine::Milestone milestone_of(score::Ready ready) {
  switch (ready) {
    case score::Ready::Started:
      return engine::Milestone::Started;
    case score::Ready::Healthy:
      return engine::Milestone::Ready;
    case score::Ready::Complete:
      return engine::Milestone::Complete;
  }
  return engine::Milestone::Started;
}

// A container's own image is the release's, whatever the document calls it: so an image can be deployed in
// its place.
std::string image_of(const score::PlannedContainer& container, const score::Plan& plan,
                     const Release::Spec& release, Reading& reading) {
  const bool built = std::ranges::any_of(plan.containers, [](const auto& each) { return each.image == "."; });
  if (container.image == (built ? "." : plan.containers.front().image)) return release.image;
  const auto found = std::ranges::find(release.images, container.image, &FurtherImage::reference);
  if (found != release.images.end()) return found->image;
  auto step = reading.into("image");
  reading.fault_at({},
                   fmt::format("the release has no image \"{}\"; it must be in the Score document that the "
                               "release is made with",
                               container.image));
  return container.image;
}

engine::ContainerSpec container_of(const score::PlannedContainer& planned, const score::Plan& plan,
                                   const Release::Spec& release, const WorkloadPlace& place,
                                   Reading& reading) {
  auto step = reading.into(planned.name);
  engine::ContainerSpec made;
  made.name = planned.name;
  made.image = image_of(planned, plan, release, reading);
  made.command = planned.command;
  made.args = planned.args;
  for (const auto& [name, value] : planned.variables) made.variables.emplace(name, value_of(value));
  for (const auto& file : planned.files) made.files.push_back(file_of(file));
  for (const auto& volume : planned.volumes) made.volumes.push_back(mount_of(volume, place));
  if (planned.readiness) made.readiness = probe_of(*planned.readiness);
  if (planned.liveness) made.liveness = probe_of(*planned.liveness);
  made.limits = limits_of(planned.limits, place.policy, place.environment, reading);
  made.read_only_root = place.policy.read_only_root;
  for (const auto& [other, ready] : planned.after) made.after.emplace(other, milestone_of(ready));
  return made;
}

}  // namespace

std::vector<score::PlannedVolume> mounts_of(const score::Plan& plan) {
  std::vector<score::PlannedVolume> all;
  for (const auto& container : plan.containers)
    all.insert(all.end(), container.volumes.begin(), container.volumes.end());
  return all;
}

engine::Workload workload(const score::Plan& plan, const Release::Spec& release, const WorkloadPlace& place) {
  engine::Workload made;
  made.project = place.project;
  made.environment_name = place.environment;
  made.component = plan.component;
  made.environment = place.environment_uid;
  made.user_base = place.user_base;
  Reading reading;
  {
    auto step = reading.into("containers");
    for (const auto& container : plan.containers)
      made.containers.push_back(container_of(container, plan, release, place, reading));
  }
  reading.finish("the Score document");
  // Waiting for what is healthy is waiting for its probe, whichever it has.
  for (const auto& container : made.containers)
    for (const auto& [other, milestone] : container.after)
      for (auto& awaited : made.containers)
        if (awaited.name == other && milestone == engine::Milestone::Ready && !awaited.readiness)
          awaited.readiness = awaited.liveness;
  std::set<std::pair<std::uint16_t, score::Protocol>> ports;
  for (const auto& port : plan.ports)
    if (ports.insert({port.target, port.protocol}).second)
      made.ports.push_back({.name = port.name,
                            .port = port.target,
                            .protocol = port.protocol == score::Protocol::Udp ? engine::Protocol::Udp
                                                                              : engine::Protocol::Tcp});
  made.outbound = place.policy.outbound;
  made.runtime = place.policy.runtime;
  return made;
}

void as_job(engine::Workload& workload) {
  workload.containers.resize(1);
  auto& container = workload.main();
  container.readiness.reset();
  container.liveness.reset();
  container.after.clear();
  workload.ports.clear();
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
  for (const auto& mount : mounts_of(plan)) {
    volumes.insert(volume_name(environment, mount.volume));
    revision.exclusive = revision.exclusive || !mount.read_only;
  }
  revision.volumes.assign(volumes.begin(), volumes.end());
  const bool has_host = std::ranges::any_of(
      plan.resources, [](const auto& each) { return each.type == "route" || each.type == "dns"; });
  if (has_host) revision.domain = domain;
}

}  // namespace tow::deploy
