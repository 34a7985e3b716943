// SPDX-License-Identifier: Apache-2.0
// The resources of a document: which there may be, in which order they are known, what each gives.
#include <re2/re2.h>

#include <algorithm>

#include "base/ids.hpp"
#include "model/score_fields.hpp"
#include "model/score_planner.hpp"

namespace tow::score {
namespace {

std::vector<std::string> params_of(std::string_view type) {
  if (type == "route") return {"host", "path", "port"};
  if (type == "service-port") return {"workload", "port"};
  return {};
}

void texts_of(const Node& node, std::vector<const std::string*>& out) {
  if (node.string()) out.push_back(node.string());
  if (const auto* map = node.map())
    for (const auto& [key, value] : *map) texts_of(value, out);
  if (const auto* list = node.list())
    for (const auto& value : *list) texts_of(value, out);
}

// The resources that a resource's params read.
std::set<std::string> needs(const Resource& resource) {
  std::vector<const std::string*> texts;
  for (const auto& [name, param] : resource.params) texts_of(param, texts);
  std::set<std::string> all;
  for (const auto* text : texts)
    for (const auto& piece : parse_text(*text).pieces)
      if (piece.reference && piece.reference->keys[0] == "resources" && piece.reference->keys.size() > 1)
        all.insert(piece.reference->keys[1]);
  return all;
}

bool is_host(std::string_view text) {
  static const re2::RE2 pattern{"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"};
  return text.size() <= 253 && re2::RE2::FullMatch(re2::StringPiece{text.data(), text.size()}, pattern);
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string host_name(std::string_view component, std::string_view environment, std::string_view project,
                      std::string_view domain) {
  const auto label = fmt::format("{}--{}--{}", component, environment, project);
  // "xn--" begins an internationalised name. A name that is no plain one (an id with dots) is hashed as well.
  if (is_name(component) && label.size() <= 63 && !label.starts_with("xn--"))
    return fmt::format("{}.{}", label, domain);
  // One double hyphen where the plain label has two: no plain label can be made to equal it.
  std::string head;
  for (const char c : component.substr(0, 41)) {
    const char plain = c == '.' ? '-' : c;
    if (plain != '-' || !head.ends_with('-')) head += plain;
  }
  while (head.ends_with('-')) head.pop_back();
  if (head == "xn") head = "x";
  return fmt::format("{}--{}.{}", head, sha256_hex(label).substr(0, 20), domain);
}

void Planner::resources() {
  auto step = reading_.into("resources");
  for (const auto& [name, resource] : in_place(document_.resources)) {
    auto inner = reading_.into(name);
    if (!admit(name, *resource)) refused_.insert(name);
  }
  for (const auto& name : in_order()) {
    if (refused_.contains(name)) continue;
    auto inner = reading_.into(name);
    resource(name, document_.resources.at(name));
  }
}

bool Planner::admit(const std::string& name, const Located<Resource>& resource) {
  if (broken(reading_.path())) return false;
  const auto& type = resource->type.value;
  const std::vector<std::string> types(kResourceTypes.begin(), kResourceTypes.end());
  const auto refuse = [&](std::string_view key, Position at, std::string message) {
    auto step = reading_.into(key);
    unsupported(at, std::move(message));
  };
  if (std::find(types.begin(), types.end(), type) == types.end()) {
    refuse("type", resource->type.at,
           fmt::format("resource type {} is not supported yet; supported are {}{}", type, list_of(types),
                       suggestion(type, types)));
    return false;
  }
  if (const auto& it = resource->class_name; it && !it->value.empty() && it->value != "default")
    refuse("class", it->at,
           fmt::format("class {} of {} is not supported yet; leave it out", it->value, type));
  if (resource->id) {
    const auto size = resource->id->value.size();
    if (size < 2 || size > 63) {
      auto key = reading_.into("id");
      fault(resource->id->at, "must have 2 to 63 characters");
    }
    if (type == "route" || type == "service-port")
      refuse("id", resource->id->at, fmt::format("a {} cannot be shared; leave id out", type));
  }
  const auto allowed = params_of(type);
  for (const auto& [param, value] : resource->params) {
    if (std::find(allowed.begin(), allowed.end(), param) != allowed.end()) continue;
    auto params = reading_.into("params");
    refuse(param, value.key_at,
           allowed.empty() ? fmt::format("params of {} are not supported yet", type)
                           : fmt::format("is not supported as a param of {}; supported are {}{}", type,
                                         list_of(allowed), suggestion(param, allowed)));
  }
  for (const auto& [other_name, entry] : in_place(document_.resources)) {
    if (other_name == name) break;
    const Resource& other = **entry;
    if (other.type.value != type || other.id.has_value() != resource->id.has_value()) continue;
    if (type == "dns" && !resource->id)
      refuse(
          "type", resource->type.at,
          fmt::format("a second dns is not supported yet; \"{}\" is the component's host name", other_name));
    if (resource->id && identity(document_, other_name) == identity(document_, name) &&
        tow::write(other.params) != tow::write(resource->params))
      fault(resource.key_at,
            fmt::format("is the same resource as \"{}\" by its id, with other params", other_name));
  }
  return true;
}

// Every resource after those that its params read. A cycle is a fault, once.
std::vector<std::string> Planner::in_order() {
  std::vector<std::string> order, way;
  std::set<std::string> done;
  std::function<void(const std::string&)> visit = [&](const std::string& name) {
    const auto found = document_.resources.find(name);
    if (found == document_.resources.end() || done.contains(name)) return;
    if (const auto at = std::find(way.begin(), way.end(), name); at != way.end()) {
      auto step = reading_.into(*at);
      fault(found->second.key_at,
            at + 1 == way.end() ? std::string{"its params read the resource itself"}
                                : fmt::format("a cycle: {} → {}", fmt::join(at, way.end(), " → "), name));
      refused_.insert(at, way.end());
      return;
    }
    way.push_back(name);
    for (const auto& other : needs(*found->second)) visit(other);
    way.pop_back();
    if (done.insert(name).second) order.push_back(name);
  };
  for (const auto& [name, resource] : document_.resources) visit(name);
  return order;
}

void Planner::resource(const std::string& name, const Located<Resource>& resource) {
  PlannedResource& made = resolved_[name];
  made = {.name = name,
          .type = resource->type.value,
          .identity = identity(document_, name),
          .shared = resource->id.has_value(),
          .outputs = {}};
  if (made.type == "dns") {
    made.outputs["host"] =
        context_ ? Expanded{host_name(resource->id ? resource->id->value : document_.name(),
                                      context_->environment, context_->project, context_->domain)}
                 : unknown();
  } else if (made.type == "volume") {
    made.outputs["source"] = Expanded{made.identity};
  } else if (made.type == "route") {
    route(name, resource);
  } else if (made.type == "service-port") {
    service_port(name, resource);
  }
}

const Node* Planner::needed(const Located<Resource>& resource, std::string_view param) {
  const auto found = resource->params.find(std::string{param});
  if (found != resource->params.end()) return &found->second;
  auto step = reading_.into(param);
  fault(resource.key_at, "is missing");
  return nullptr;
}

std::optional<std::string> Planner::param_text(const Node& param) {
  if (const auto* number = param.integer()) return std::to_string(*number);
  if (const auto* text = param.string())
    return known(expand_text(*text, param.at), param.at, reading_.path());
  fault(param.at, fmt::format("must be a string, not {}", param.kind()));
  return {};
}

const ServicePort* Planner::find_port(const std::vector<ServicePort>& ports, const Node& param,
                                      std::string_view whose) {
  const auto before = reading_.faults().size();
  const auto text = param_text(param);
  if (reading_.faults().size() != before) return nullptr;
  if (!text) {
    unsupported(param.at, "a port that depends on a resource is not supported yet; write its name or number");
    return nullptr;
  }
  const ServicePort* udp = nullptr;
  for (const auto& port : ports) {
    if (is_number(*text) ? std::to_string(port.port) != *text : port.name != *text) continue;
    if (port.protocol == Protocol::Tcp || whose != document_.name()) return &port;
    udp = &port;
  }
  if (udp) return udp;
  std::vector<std::string> all;
  std::string hint;
  for (const auto& port : ports) {
    all.push_back(fmt::format("{} ({})", port.name, port.port));
    if (std::to_string(port.target) == *text && hint.empty())
      hint = fmt::format("; {} is the targetPort of {}", port.target, port.name);
  }
  fault(param.at, ports.empty()
                      ? fmt::format("there is no port {}: {} has no service.ports", *text, whose)
                      : fmt::format("there is no port {}; {} has {}{}", *text, whose, list_of(all), hint));
  return nullptr;
}

void Planner::route(const std::string& name, const Located<Resource>& resource) {
  auto step = reading_.into("params");
  const auto before = reading_.faults().size();
  PlannedRoute made{.resource = name, .host = route_host(*resource), .path = route_path(*resource)};
  const Node* port = needed(resource, "port");
  if (port && !broken("service")) {
    auto key = reading_.into("port");
    if (const auto* found = find_port(plan_.ports, *port, document_.name())) {
      if (found->protocol == Protocol::Udp)
        fault(port->at, fmt::format("{} is a UDP port; routes lead to HTTP over TCP", found->name));
      made.port = found->port;
      made.target = found->target;
      routed_.insert(found->name);
    }
  }
  if (reading_.faults().size() != before) return;
  const auto [other, fresh] = routes_.try_emplace({made.host, made.path}, name);
  if (!fresh) {
    auto key = reading_.into("path");
    fault(resource.key_at, fmt::format("\"{}\" is the path of route \"{}\" already, on the same host",
                                       made.path, other->second));
  }
  plan_.routes.push_back(std::move(made));
}

std::string Planner::route_host(const Resource& resource) {
  const auto own =
      context_ ? host_name(document_.name(), context_->environment, context_->project, context_->domain)
               : std::string{kUnknown};
  const auto param = resource.params.find("host");
  if (param == resource.params.end()) return own;
  auto step = reading_.into("host");
  const auto* text = param->second.string();
  if (!text) {
    fault(param->second.at, fmt::format("must be a string, not {}", param->second.kind()));
    return own;
  }
  const auto before = reading_.faults().size();
  const auto expanded = expand_text(*text, param->second.at);
  if (reading_.faults().size() != before) return own;
  if (!context_ && expanded.has_secret()) return *text;  // unknown: told apart by how it is written
  const auto host = known(expanded, param->second.at, "the host");
  if (!host) return own;
  if (*host == own) return own;
  for (const auto& [name, other] : resolved_)
    if (other.type == "dns" && other.outputs.at("host").plain() == host) return *host;
  if (!is_host(*host))
    fault(param->second.at, fmt::format("\"{}\" is not a host name", *host));
  else if (context_ || !host->starts_with(document_.name() + "--"))
    unsupported(param->second.at,
                fmt::format("\"{}\" is not a host of this component: domains of one's own are not supported "
                            "yet; leave host out, or write ${{resources.DNS.host}}",
                            *host));
  return *host;
}

std::string Planner::route_path(const Resource& resource) {
  const auto param = resource.params.find("path");
  if (param == resource.params.end()) return "/";
  auto step = reading_.into("path");
  const auto* text = param->second.string();
  if (!text) {
    fault(param->second.at, fmt::format("must be a string, not {}", param->second.kind()));
    return "/";
  }
  const auto before = reading_.faults().size();
  const auto path = known(expand_text(*text, param->second.at), param->second.at, "the path");
  if (!path || reading_.faults().size() != before) return "/";
  static const re2::RE2 allowed{"(/[A-Za-z0-9._~%+@:,=-]*)+"};
  if (!re2::RE2::FullMatch(*path, allowed) || path->size() > 1024)
    fault(param->second.at,
          fmt::format("\"{}\" must be a path prefix such as /api: a slash, then letters, digits and "
                      "._~%+@:,=-, without a pattern",
                      path->substr(0, 80)));
  auto end = path->find_last_not_of('/');
  return end == std::string::npos ? "/" : path->substr(0, end + 1);
}

void Planner::service_port(const std::string& name, const Located<Resource>& resource) {
  auto step = reading_.into("params");
  auto& outputs = resolved_[name].outputs;
  outputs = {{"hostname", unknown()}, {"port", unknown()}};
  const auto before = reading_.faults().size();
  const Node* workload = needed(resource, "workload");
  const Node* port = needed(resource, "port");
  std::optional<std::string> other;
  if (workload) {
    auto key = reading_.into("workload");
    other = param_text(*workload);
  }
  if (port && !port->string() && !port->integer()) {
    auto key = reading_.into("port");
    param_text(*port);
  }
  if (reading_.faults().size() != before) {
    refused_.insert(name);
    return;
  }
  if (!other) return;
  const bool own = *other == document_.name();
  if (!own && !context_) return;
  std::optional<std::vector<ServicePort>> ports =
      own ? plan_.ports : std::optional<std::vector<ServicePort>>{};
  if (!own && context_->service) ports = context_->service(*other);
  const ServicePort* found = nullptr;
  if (!ports) {
    auto key = reading_.into("workload");
    fault(workload->at, fmt::format("there is no component \"{}\" in {}", *other, context_->environment));
  } else if (!own || !broken("service")) {
    auto key = reading_.into("port");
    found = find_port(*ports, *port, *other);
  }
  if (!found) {
    refused_.insert(name);
    return;
  }
  outputs = {{"hostname", Expanded{*other}}, {"port", Expanded{std::to_string(found->port)}}};
}

}  // namespace tow::score
