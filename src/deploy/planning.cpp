// SPDX-License-Identifier: Apache-2.0
#include "deploy/planning.hpp"

#include <set>

#include "base/ids.hpp"
#include "deploy/names.hpp"

namespace tow::deploy {
namespace {

score::ServicePort service_port(const RevisionPort& port) {
  return {.name = port.name,
          .port = port.port,
          .target = port.target,
          .protocol = port.udp ? score::Protocol::Udp : score::Protocol::Tcp,
          .http = port.http};
}

// The components whose ports the document asks for by name.
std::set<std::string> referred(const score::Document& document) {
  std::set<std::string> names;
  for (const auto& [name, resource] : document.resources) {
    if (resource->type.value != "service-port") continue;
    const auto workload = resource->params.find("workload");
    if (workload == resource->params.end()) continue;
    const auto* text = workload->second.string();
    if (text && *text != document.name() && text->find('$') == std::string::npos) names.insert(*text);
  }
  return names;
}

// What its newest revision has; of one that has none yet, what its release says.
Task<std::optional<std::vector<score::ServicePort>>> ports_of(store::Store& store,
                                                              store::SnapshotPtr snapshot,
                                                              std::string project, std::string environment,
                                                              std::string component) {
  const auto deployment = snapshot->get(key<Deployment>(project, deployment_name(component, environment)));
  std::string release;
  Node overrides;
  if (deployment && !deployment->deleted) {
    const auto decoded = decode<Deployment>(deployment);
    if (decoded.status.latest) {
      const auto name = revision_name(deployment->key.name, decoded.status.latest);
      if (const auto record = snapshot->get(key<Revision>(project, name))) {
        std::vector<score::ServicePort> ports;
        for (const auto& port : decode<Revision>(record).spec.ports) ports.push_back(service_port(port));
        co_return ports;
      }
    }
    release = decoded.spec.release;
    overrides = decoded.spec.overrides;
  } else if (const auto record = snapshot->get(key<Component>(project, component))) {
    release = decode<Component>(record).status.release;
  }
  if (release.empty()) co_return std::nullopt;
  const auto record = co_await store.find(key<Release>(project, release));
  if (!record) co_return std::nullopt;
  co_return score::service_ports(document_of(decode<Release>(record).spec, overrides));
}

}  // namespace

score::Document document_of(const Release::Spec& release, const Node& overrides) {
  return score::read_stored(release.score, overrides);
}

std::function<std::optional<std::string>(const std::string&)> reader_of(const Release::Spec& release) {
  return [&release](const std::string& path) -> std::optional<std::string> {
    const auto found = release.files.find(path);
    if (found == release.files.end()) return {};
    return base64_decode(found->second);
  };
}

std::vector<std::string> required_names(const PlanInput& input) {
  std::vector<std::string> names;
  const auto required =
      score::required_configuration(*input.document, input.release->root, reader_of(*input.release));
  for (const auto& each : required) names.push_back(each.name);
  return names;
}

Task<Neighbours> find_neighbours(store::Store& store, PlanInput input) {
  Neighbours made;
  const auto snapshot = store.snapshot();
  for (const auto& component : referred(*input.document)) {
    auto ports = co_await ports_of(store, snapshot, input.project, input.environment, component);
    if (ports)
      made.ports.emplace(component, std::move(*ports));
    else
      made.missing.push_back(component);
  }
  co_return made;
}

score::Plan make_plan(const PlanInput& input, const std::map<std::string, ConfigurationValue>& values,
                      const Neighbours& neighbours) {
  score::Context context;
  context.project = input.project;
  context.environment = input.environment;
  context.domain = input.domain;
  context.component = input.component;
  context.directory = input.release->root;
  context.read_file = reader_of(*input.release);
  for (const auto& [name, value] : values) {
    score::Part part;
    if (value.value)
      part.text = *value.value;
    else
      part.secret = to_string(
          SecretReference{.project = input.project, .secret = value.secret, .version = value.version});
    context.configuration.emplace(name, std::move(part));
  }
  context.service = [&](const std::string& component) -> std::optional<std::vector<score::ServicePort>> {
    const auto found = neighbours.ports.find(component);
    if (found == neighbours.ports.end()) return {};
    return found->second;
  };
  return score::plan(*input.document, context);
}

std::string text_of(const Error& error) {
  if (error.faults().size() < 2) return error.message();
  auto text = error.message();
  for (const auto& fault : error.faults()) text += "\n" + describe(fault);
  return text;
}

}  // namespace tow::deploy
