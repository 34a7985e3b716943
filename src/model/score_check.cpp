// SPDX-License-Identifier: Apache-2.0
// The rules about names, ports, the order of containers, probes, limits and paths.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "model/score_planner.hpp"

namespace tow::score {

void Planner::unsupported(Position at, std::string message) {
  Node here;
  here.at = at;
  reading_.unsupported(here, std::move(message));
}

// Work and messages stay in proportion to what a person can have meant.
bool Planner::within_bounds() {
  constexpr std::size_t kMost = 256;
  bool good = true;
  const auto bound = [&](std::string_view section, std::size_t count) {
    if (count <= kMost) return;
    auto step = reading_.into(section);
    unsupported(document_.metadata.at,
                fmt::format("{} entries are not supported; {} are the most", count, kMost));
    good = false;
  };
  bound("service.ports", document_.service.ports.size());
  bound("containers", document_.containers.size());
  bound("resources", document_.resources.size());
  for (const auto& [name, container] : document_.containers) {
    bound(fmt::format("containers.{}.files", name), container->files.entries.size());
    bound(fmt::format("containers.{}.volumes", name), container->volumes.entries.size());
  }
  return good;
}

void Planner::names() {
  const auto plain = [&](const std::string& name, Position at) {
    if (name.find("--") != std::string::npos)
      unsupported(at, fmt::format("\"{}\": names with two hyphens in a row are not supported; they part the "
                                  "words of host names",
                                  name));
  };
  {
    auto step = reading_.into("metadata.name");
    plain(document_.name(), document_.metadata.at);
    if (document_.name() == "localhost")
      unsupported(document_.metadata.at,
                  "\"localhost\" is what every machine calls itself; choose another name");
  }
  const auto all = [&](std::string_view section, const auto& entries) {
    auto step = reading_.into(section);
    for (const auto& [name, entry] : entries) {
      auto inner = reading_.into(name);
      plain(name, entry.key_at);
    }
  };
  all("service.ports", document_.service.ports);
  all("containers", document_.containers);
  all("resources", document_.resources);
}

void Planner::ports() {
  std::map<std::pair<std::uint16_t, Protocol>, std::string> seen;
  auto step = reading_.into("service.ports");
  for (const auto& [name, entry] : in_place(document_.service.ports)) {
    auto inner = reading_.into(name);
    const Port& port = **entry;
    if (port.port == 0) continue;  // said already
    plan_.ports.push_back({name, port.port, port.inside(), port.protocol, false});
    const auto [other, fresh] = seen.try_emplace({port.port, port.protocol}, name);
    if (!fresh)
      fault(entry->key_at, fmt::format("port {} is the port of \"{}\" already", port.port, other->second));
  }
  std::stable_sort(plan_.ports.begin(), plan_.ports.end(),
                   [](const ServicePort& a, const ServicePort& b) { return a.port < b.port; });
}

void Planner::before() {
  auto step = reading_.into("containers");
  for (const auto& [name, entry] : in_place(document_.containers)) {
    auto inner = reading_.into(name);
    const Container& container = **entry;
    auto in_before = reading_.into("before");
    for (const auto& [other, condition] : container.before) {
      auto at = reading_.into(other);
      const auto found = document_.containers.find(other);
      if (found == document_.containers.end())
        fault(condition.key_at, fmt::format("there is no container \"{}\"", other));
      else if (other == name)
        fault(condition.key_at, "a container cannot start before itself");
      if (condition->ready == Ready::Healthy && !container.readiness && !container.liveness)
        fault(condition.at, "\"healthy\" needs a probe, and this container has none");
    }
  }
  start_order();
}

// No container may wait for itself by way of others.
void Planner::start_order() {
  std::set<std::string> done;
  std::vector<std::string> way;
  std::function<void(const std::string&)> visit = [&](const std::string& name) {
    if (const auto at = std::find(way.begin(), way.end(), name); at != way.end()) {
      if (way.end() - at == 1) return;  // itself: said already
      auto step = reading_.into(fmt::format("{}.before", *at));
      fault(document_.containers.at(*at).key_at,
            fmt::format("a cycle: {} → {}", fmt::join(at, way.end(), " → "), name));
      return;
    }
    const auto found = document_.containers.find(name);
    if (found == document_.containers.end() || done.contains(name)) return;
    way.push_back(name);
    for (const auto& [other, condition] : found->second->before) visit(other);
    way.pop_back();
    done.insert(name);
  };
  for (const auto& [name, container] : document_.containers) visit(name);
}

std::optional<PlannedProbe> Planner::probe(const std::optional<Located<Probe>>& probe,
                                           std::string_view name) {
  if (!probe) return {};
  auto step = reading_.into(name);
  if (broken(reading_.path())) return {};
  const Probe& it = **probe;
  if (!it.http_get && !it.exec) fault(probe->at, "needs httpGet or exec");
  PlannedProbe made;
  if (it.http_get) {
    const HttpGet& get = **it.http_get;
    auto inner = reading_.into("httpGet");
    const Position at = it.http_get->at;
    if (get.scheme == Scheme::Https) {
      auto key = reading_.into("scheme");
      unsupported(at, "HTTPS is not supported yet; probe over HTTP, or with exec");
    }
    made.port = get.port;
    made.path = get.path.starts_with('/') ? get.path : "/" + get.path;
    made.host = get.host.value_or("");
    const auto plain = [&](std::string_view key, std::string_view text, bool spaces) {
      auto where = reading_.into(key);
      if (has_control(text) || (!spaces && text.find(' ') != std::string_view::npos))
        fault(at, fmt::format("must not have {}", spaces ? "line breaks" : "spaces or line breaks"));
    };
    plain("path", get.path, false);
    plain("host", made.host, false);
    for (std::size_t i = 0; i < get.headers.size(); ++i) {
      auto list = reading_.into("httpHeaders");
      auto entry = reading_.into(i);
      plain("value", get.headers[i].value, true);
      if (!made.headers.emplace(get.headers[i].name, get.headers[i].value).second) {
        auto key = reading_.into("name");
        fault(at, fmt::format("\"{}\" is there twice", get.headers[i].name));
      }
    }
  }
  if (it.exec) {
    made = {};
    made.kind = PlannedProbe::Kind::Exec;
    made.command = it.exec->value.command;
  }
  return made;
}

std::optional<int> Planner::millis(const std::optional<Text>& cpu, std::string_view what) {
  if (!cpu || cpu->value.empty()) return {};
  auto step = reading_.into(what);
  auto inner = reading_.into("cpu");
  if (broken(reading_.path())) return {};
  double value = 0;
  const char* const end = cpu->value.data() + cpu->value.size();
  const auto [stop, error] = std::from_chars(cpu->value.data(), end, value, std::chars_format::fixed);
  const bool in_millis = stop != end && *stop == 'm';
  const double result = std::ceil(in_millis ? value : value * 1000 - 1e-6);
  if (error != std::errc{} || result > 1024 * 1000) {
    fault(cpu->at, fmt::format("\"{}\" is more than the 1024 cores that one can ask for", cpu->value));
    return {};
  }
  if (result <= 0 && what == "limits") {
    fault(cpu->at, "must be more than nothing; leave it out for the environment's default");
    return {};
  }
  return static_cast<int>(result);
}

std::optional<Bytes> Planner::memory(const std::optional<Located<Memory>>& size, std::string_view what) {
  if (!size) return {};
  auto step = reading_.into(what);
  auto inner = reading_.into("memory");
  if (broken(reading_.path())) return {};
  const auto bytes = (*size)->bytes.count;
  if (what == "limits" && bytes < (4u << 20)) {
    fault(size->at,
          fmt::format("\"{}\" is {} bytes, in which no program runs; 4Mi is the least{}", (*size)->text,
                      bytes, bytes < 65536 ? fmt::format("; did you mean {}Mi?", bytes) : ""));
    return {};
  }
  return Bytes{bytes};
}

PlannedLimits Planner::limits(const Compute& compute) {
  auto step = reading_.into("resources");
  PlannedLimits made{.memory = memory(compute.limits->memory, "limits"),
                     .cpu_millis = millis(compute.limits->cpu, "limits"),
                     .memory_request = memory(compute.requests->memory, "requests"),
                     .cpu_request_millis = millis(compute.requests->cpu, "requests")};
  auto inner = reading_.into("requests");
  if (made.memory && made.memory_request && *made.memory_request > *made.memory) {
    auto key = reading_.into("memory");
    fault(compute.requests->memory->at,
          fmt::format("\"{}\" is more than the limit, {}", compute.requests->memory->value.text,
                      compute.limits->memory->value.text));
  }
  if (made.cpu_millis && made.cpu_request_millis && *made.cpu_request_millis > *made.cpu_millis) {
    auto key = reading_.into("cpu");
    fault(compute.requests->cpu->at, fmt::format("\"{}\" is more than the limit, {}",
                                                 compute.requests->cpu->value, compute.limits->cpu->value));
  }
  return made;
}

std::optional<std::string> Planner::target(const std::string& target, Position at, bool file) {
  if (!target.starts_with('/') || has_control(target)) {
    fault(at, fmt::format("\"{}\" must be an absolute path in the container", target));
    return {};
  }
  std::string normal;
  for (std::size_t i = 0; i < target.size();) {
    const auto end = std::min(target.find('/', i + 1), target.size());
    const auto part = target.substr(i, end - i);
    if (part == "/.." || part == "/.") {
      fault(at, fmt::format("\"{}\" must be an absolute path without . and ..", target));
      return {};
    }
    if (part != "/") normal += part;
    i = end;
  }
  if (normal.empty() || (file && target.ends_with('/'))) {
    fault(at, fmt::format("\"{}\" cannot be replaced by {}", target, file ? "a file" : "a volume"));
    return {};
  }
  for (std::string_view kernel : {"/proc", "/sys", "/dev"})
    if (normal == kernel || (normal.starts_with(kernel) && normal[kernel.size()] == '/')) {
      fault(at, fmt::format("\"{}\" is in {}, which belongs to the kernel", target, kernel));
      return {};
    }
  const auto [other, fresh] = targets_.try_emplace(normal, target, file);
  if (!fresh) {
    fault(at, other->second.first == target
                  ? fmt::format("\"{}\" is the target of a file and of a volume", target)
                  : fmt::format("\"{}\" is the same path as \"{}\"", target, other->second.first));
    return {};
  }
  return normal;
}

}  // namespace tow::score
