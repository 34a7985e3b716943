// SPDX-License-Identifier: Apache-2.0
// GET /metrics: the platform, its deployments and their instances. The label of an instance is instance_id,
// for "instance" is what Prometheus calls the address that it asked.
#include <algorithm>
#include <array>

#include "observe/core.hpp"
#include "observe/exposition.hpp"
#include "observe/names.hpp"
#include "observe/process_stats.hpp"

namespace tow::observe {
namespace {

using Type = Exposition::Type;

struct DeploymentFigures {
  std::string uid, project, component, environment;
  Deployment::Status status;
  int wanted = 0;
  std::optional<route::Signals> signals;
};
struct InstanceFigures {
  std::string project, component, environment, id, revision;
  engine::InstanceView view;
  std::optional<engine::Usage> usage;
};

void add_platform(const Settings& settings, Exposition& out) {
  const auto process = process_stats();
  out.family("towpath_build_info", Type::Gauge, "Always 1; its label says which version runs.");
  out.sample({{"version", settings.version}}, std::uint64_t{1});
  out.family("process_cpu_seconds_total", Type::Counter, "CPU time that the control plane has used.");
  out.sample({}, process.cpu_seconds);
  out.family("process_start_time_seconds", Type::Gauge, "When the control plane was started.");
  out.sample({}, process.start_seconds);
  out.family("process_resident_memory_bytes", Type::Gauge, "Memory of the control plane.");
  out.sample(process.resident_bytes);
  out.family("process_virtual_memory_bytes", Type::Gauge, "Address space of the control plane.");
  out.sample(process.virtual_bytes);
  out.family("process_open_fds", Type::Gauge, "Open files of the control plane.");
  out.sample(process.open_files);
  out.family("process_max_fds", Type::Gauge, "Most files that the control plane may have open.");
  out.sample(process.most_files);
  out.family("towpath_store_revision", Type::Counter, "Transactions of the store.");
  out.sample(static_cast<std::uint64_t>(settings.store.snapshot()->revision()));
  if (!settings.http) return;
  const auto http = settings.http();
  out.family("towpath_http_requests_total", Type::Counter, "Requests to the platform's own server.");
  out.sample(http.requests);
  out.family("towpath_http_connections", Type::Gauge, "Open connections of the platform's own server.");
  out.sample(http.connections);
  out.family("towpath_http_streams", Type::Gauge,
             "Open streams and WebSockets of the platform's own server.");
  out.sample(http.streams);
}

void add_deployments(const std::vector<DeploymentFigures>& all, Exposition& out) {
  const auto labels = [](const DeploymentFigures& one) {
    return Exposition::Labels{
        {"project", one.project}, {"component", one.component}, {"environment", one.environment}};
  };
  const auto each = [&](std::string_view name, Type type, std::string_view help, auto value) {
    out.family(name, type, help);
    for (const auto& one : all) out.sample(labels(one), value(one));
  };
  const auto proxied = [&](std::string_view name, Type type, std::string_view help, auto value) {
    out.family(name, type, help);
    for (const auto& one : all)
      if (one.signals) out.sample(labels(one), value(*one.signals));
  };
  const auto count = [](int value) { return static_cast<std::uint64_t>(std::max(value, 0)); };
  each("towpath_deployment_healthy", Type::Gauge, "1 when the deployment's phase is Healthy.",
       [](const auto& d) { return std::uint64_t{d.status.phase == Deployment::Phase::Healthy}; });
  each("towpath_deployment_instances_wanted", Type::Gauge, "Instances that are wanted.",
       [&](const auto& d) { return count(d.wanted); });
  each("towpath_deployment_instances_ready", Type::Gauge, "Instances of the serving revision that are ready.",
       [&](const auto& d) { return count(d.status.ready); });
  each("towpath_deployment_revision", Type::Gauge, "Number of the revision that serves; 0: none.",
       [&](const auto& d) { return count(d.status.serving); });
  proxied("towpath_deployment_requests_total", Type::Counter, "Requests that the proxy has taken.",
          [](const auto& s) { return s.requests; });
  out.family("towpath_deployment_responses_total", Type::Counter,
             "Answers by hundred of their status; \"none\" where a request was not answered.");
  constexpr std::array<std::string_view, 6> classes{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (const auto& one : all)
    for (std::size_t i = 0; one.signals && i < classes.size(); ++i) {
      auto with_code = labels(one);
      with_code.emplace_back("code", classes[i]);
      out.sample(with_code, one.signals->responses[i]);
    }
  proxied("towpath_deployment_received_bytes_total", Type::Counter, "Bytes of requests.",
          [](const auto& s) { return s.bytes_in; });
  proxied("towpath_deployment_sent_bytes_total", Type::Counter, "Bytes of answers.",
          [](const auto& s) { return s.bytes_out; });
  proxied("towpath_deployment_connection_errors_total", Type::Counter,
          "Connections to instances that could not be made.",
          [](const auto& s) { return s.connection_errors; });
  proxied("towpath_deployment_retries_total", Type::Counter, "Requests that were sent to an instance again.",
          [](const auto& s) { return s.retries; });
  proxied("towpath_deployment_sessions", Type::Gauge, "Requests, streams and WebSockets that are open.",
          [](const auto& s) { return std::uint64_t{s.sessions}; });
  proxied("towpath_deployment_response_seconds", Type::Gauge,
          "Average time to the first byte, of the last 1,024 requests.",
          [](const auto& s) { return s.average_response_ms / 1e3; });
}

void add_instances(const std::vector<InstanceFigures>& all, Exposition& out) {
  const auto labels = [](const InstanceFigures& one) {
    return Exposition::Labels{{"project", one.project},
                              {"component", one.component},
                              {"environment", one.environment},
                              {"revision", one.revision},
                              {"instance_id", one.id}};
  };
  const auto each = [&](std::string_view name, Type type, std::string_view help, auto value) {
    out.family(name, type, help);
    for (const auto& one : all) out.sample(labels(one), value(one.view));
  };
  const auto used = [&](std::string_view name, Type type, std::string_view help, auto value) {
    out.family(name, type, help);
    for (const auto& one : all)
      if (one.usage) out.sample(labels(one), value(*one.usage));
  };
  each("towpath_instance_ready", Type::Gauge, "1 when the instance is ready.",
       [](const auto& view) { return std::uint64_t{view.phase == engine::Phase::Ready}; });
  each("towpath_instance_restarts_total", Type::Counter, "How often the instance was started again.",
       [](const auto& view) { return static_cast<std::uint64_t>(std::max(view.restarts, 0)); });
  used("towpath_instance_cpu_seconds_total", Type::Counter, "CPU time since the instance was last started.",
       [](const auto& usage) { return usage.cpu_seconds; });
  used("towpath_instance_memory_bytes", Type::Gauge, "Memory in use.",
       [](const auto& usage) { return usage.memory.count; });
  used("towpath_instance_memory_limit_bytes", Type::Gauge, "Memory that it may use; 0: as much as there is.",
       [](const auto& usage) { return usage.memory_limit.count; });
  used("towpath_instance_processes", Type::Gauge, "Processes and threads.",
       [](const auto& usage) { return static_cast<std::uint64_t>(std::max(usage.processes, 0)); });
}

/// Sites of the same deployment are one: counters add up, and the average is weighted by requests.
void join(const route::Signals& more, route::Signals& all) {
  const double before = static_cast<double>(all.requests), added = static_cast<double>(more.requests);
  if (before + added > 0)
    all.average_response_ms =
        (all.average_response_ms * before + more.average_response_ms * added) / (before + added);
  all.requests += more.requests;
  for (std::size_t i = 0; i < std::size(all.responses); ++i) all.responses[i] += more.responses[i];
  all.bytes_in += more.bytes_in;
  all.bytes_out += more.bytes_out;
  all.connection_errors += more.connection_errors;
  all.retries += more.retries;
  all.sessions += more.sessions;
}

}  // namespace

Task<std::string> Core::exposition() {
  const auto snapshot = settings.store.snapshot();
  std::vector<DeploymentFigures> deployments;
  std::map<std::string_view, std::size_t> by_uid;
  const auto records = snapshot->list({.kind = std::string{Deployment::kind}});
  for (const auto& record : records) {
    auto deployment = decode<Deployment>(record);
    by_uid[record->uid] = deployments.size();
    deployments.push_back({.uid = record->uid,
                           .project = record->key.project,
                           .component = std::move(deployment.spec.component),
                           .environment = std::move(deployment.spec.environment),
                           .status = std::move(deployment.status),
                           .wanted = deployment.spec.scale,
                           .signals = {}});
  }
  std::vector<InstanceFigures> instances;
  for (auto& group : settings.engine.groups()) {
    const auto revision = snapshot->get_by_uid(group.id);
    const auto name = revision ? parse_revision_name(revision->key.name) : std::nullopt;
    if (!name) continue;
    for (auto& view : group.instances) {
      const auto usage = settings.engine.usage(view.id);
      instances.push_back({.project = revision->key.project,
                           .component = name->component,
                           .environment = name->environment,
                           .id = short_name(view.id),
                           .revision = std::to_string(name->number),
                           .view = std::move(view),
                           .usage = usage});
    }
  }
  Exposition out;
  add_platform(settings, out);
  out.family("towpath_proxy_up", Type::Gauge, "1 when the proxy's counters can be read.");
  try {
    const auto present = co_await present_signals();
    for (const auto& [site, counters] : *present)
      if (const auto found = by_uid.find(deployment_of(site)); found != by_uid.end()) {
        auto& all = deployments[found->second].signals;
        if (!all) all.emplace();
        join(counters, *all);
      }
    out.sample(std::uint64_t{1});
  } catch (const Error& error) {
    if (error.code() == Code::Cancelled) throw;
    out.sample(std::uint64_t{0});
  }
  add_deployments(deployments, out);
  add_instances(instances, out);
  co_return out.take();
}

}  // namespace tow::observe
