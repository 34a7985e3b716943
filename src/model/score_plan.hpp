// SPDX-License-Identifier: Apache-2.0
#pragma once
// What one component becomes in one environment: a Score document, expanded with the outputs of its
// resources. Pure: the same document and context give the same plan, in this release of Towpath and on every
// deployment. Secrets stay references throughout.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/score.hpp"
#include "model/score_text.hpp"

namespace tow::score {

struct ServicePort {
  std::string name;
  std::uint16_t port = 0;    // what callers use
  std::uint16_t target = 0;  // inside the instances
  Protocol protocol = Protocol::Tcp;
  bool http =
      false;  // a route leads to it, its readiness is an HTTP probe, or it is called http, web, www, http-…
};

/// What a plan depends on beside the document.
struct Context {
  std::string project;
  std::string environment;
  std::string domain = "localhost";
  /// The component's name where something else than the document says it; it must be the same.
  std::string component;
  /// Folder of the Score document in the repository; "" is the root.
  std::string directory;
  /// Content of a file in the repository at the commit; nothing when there is none. May throw Error, whose
  /// message becomes a fault.
  std::function<std::optional<std::string>(const std::string& path)> read_file;
  /// Configuration by name: plain text, or a reference to one version of a secret.
  std::map<std::string, Part> configuration;
  /// The ports of another component of this environment; nothing when there is no such component.
  std::function<std::optional<std::vector<ServicePort>>(const std::string& component)> service;
};

struct PlannedFile {
  std::string target;
  Expanded content;
  std::string base64;  // instead of content, for what is no text
  int mode = 0644;
};

struct PlannedVolume {
  std::string volume;  // identity of the resource: "volume.default#worker.data"
  std::string target;
  std::string path;  // inside the volume; empty: all of it
  bool read_only = false;
};

struct PlannedProbe {
  enum class Kind { Http, Exec };
  Kind kind = Kind::Http;
  std::uint16_t port = 0;
  std::string path;
  std::string host;
  std::map<std::string, std::string> headers;
  std::vector<std::string> command;
};

struct PlannedLimits {
  std::optional<Bytes> memory;
  std::optional<int> cpu_millis;  // 1000 is one core
  std::optional<Bytes> memory_request;
  std::optional<int> cpu_request_millis;
};

struct PlannedRoute {
  std::string resource;  // its name in the document
  std::string host;
  std::string path = "/";
  std::uint16_t port = 0;    // of the service
  std::uint16_t target = 0;  // inside the instances
};

struct PlannedResource {
  std::string name;
  std::string type;
  std::string identity;
  bool shared = false;                      // it has an id
  std::map<std::string, Expanded> outputs;  // of an environment: those that are read
};

struct Plan {
  std::string component;
  std::string image;
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::map<std::string, Expanded> variables;
  std::vector<PlannedFile> files;      // by target
  std::vector<PlannedVolume> volumes;  // by target: what contains another comes first
  std::vector<ServicePort> ports;      // by number
  std::optional<PlannedProbe> liveness;
  std::optional<PlannedProbe> readiness;
  PlannedLimits limits;
  std::vector<PlannedRoute> routes;
  std::vector<PlannedResource> resources;
};

/// Throws Error{Invalid, Unsupported} with every fault: names that are not set, files that are not there,
/// components that do not exist, and all that check() finds.
Plan plan(const Document& document, const Context& context);

/// The document form of a plan, for people and for comparing two of them. Secrets are references in it.
Node write(const Plan& plan);

/// A name that ${resources.ENVIRONMENT.NAME} reads, and the first place that reads it.
struct RequiredName {
  std::string name;
  std::string path;
  Position at;
};
/// Every configuration name that the document reads, sorted by name, with those in mounted source files when
/// there is a reader. `directory` as in Context.
std::vector<RequiredName> required_configuration(
    const Document& document, const std::string& directory = {},
    const std::function<std::optional<std::string>(const std::string& path)>& read_file = {});

/// Paths in the repository of the files that the document mounts: what a release has to keep. Throws
/// Error{Invalid} for one that leaves the repository.
std::vector<std::string> source_files(const Document& document, const std::string& directory);

/// The ports of a document's service, by number.
std::vector<ServicePort> service_ports(const Document& document);

/// "web--production--shop.localhost". Above 63 characters the first label is shortened and hashed; one that
/// is hashed never equals one that is not.
std::string host_name(std::string_view component, std::string_view environment, std::string_view project,
                      std::string_view domain);

constexpr auto names(Of<PlannedProbe::Kind>) {
  using K = PlannedProbe::Kind;
  return std::array{Name<K>{K::Http, "http"}, Name<K>{K::Exec, "exec"}};
}
constexpr auto fields(Of<ServicePort>) {
  using S = ServicePort;
  return std::tuple{
      field("name", &S::name, "Its name.", required),
      field("port", &S::port, "What callers use.", required),
      field("target", &S::target, "Inside the instances.", required),
      field("protocol", &S::protocol, "Transport."),
      field("http", &S::http, "It speaks HTTP."),
  };
}
constexpr auto fields(Of<PlannedFile>) {
  using S = PlannedFile;
  return std::tuple{
      field("target", &S::target, "Its path in the container.", required),
      field("content", &S::content, "Its text."),
      field("base64", &S::base64, "Its bytes, where they are no text."),
      field("mode", &S::mode, "Access mode."),
  };
}
constexpr auto fields(Of<PlannedVolume>) {
  using S = PlannedVolume;
  return std::tuple{
      field("volume", &S::volume, "Identity of the resource.", required),
      field("target", &S::target, "Its path in the container.", required),
      field("path", &S::path, "Folder inside the volume."),
      field("readOnly", &S::read_only, "It cannot be written to here."),
  };
}
constexpr auto fields(Of<PlannedProbe>) {
  using S = PlannedProbe;
  return std::tuple{
      field("kind", &S::kind, "How it asks.", required), field("port", &S::port, "Port inside the instance."),
      field("path", &S::path, "Path of the request."),   field("host", &S::host, "Host header."),
      field("headers", &S::headers, "More headers."),    field("command", &S::command, "What runs."),
  };
}
constexpr auto fields(Of<PlannedLimits>) {
  using S = PlannedLimits;
  return std::tuple{
      field("memory", &S::memory, "At most."),
      field("cpuMillis", &S::cpu_millis, "At most, in thousandths of a core."),
      field("memoryRequest", &S::memory_request, "At least."),
      field("cpuRequestMillis", &S::cpu_request_millis, "At least, in thousandths of a core."),
  };
}
constexpr auto fields(Of<PlannedRoute>) {
  using S = PlannedRoute;
  return std::tuple{
      field("resource", &S::resource, "Its name in the Score document.", required),
      field("host", &S::host, "Host name.", required),
      field("path", &S::path, "Path prefix.", required),
      field("port", &S::port, "Port of the service.", required),
      field("target", &S::target, "Port of the instances.", required),
  };
}
constexpr auto fields(Of<PlannedResource>) {
  using S = PlannedResource;
  return std::tuple{
      field("name", &S::name, "Its name in the Score document.", required),
      field("type", &S::type, "What it is.", required),
      field("identity", &S::identity, "The same for all who share it.", required),
      field("shared", &S::shared, "It has an id."),
      field("outputs", &S::outputs, "What it gives."),
  };
}
constexpr auto fields(Of<Plan>) {
  return std::tuple{
      field("component", &Plan::component, "Which component.", required),
      field("image", &Plan::image, "\".\" is the one that is built.", required),
      field("command", &Plan::command, "Replaces the image's entrypoint."),
      field("args", &Plan::args, "Replaces the image's arguments."),
      field("variables", &Plan::variables, "Environment variables."),
      field("files", &Plan::files, "Files to put into the container."),
      field("volumes", &Plan::volumes, "Volumes to mount."),
      field("ports", &Plan::ports, "What others may call."),
      field("liveness", &Plan::liveness, "Failing, it is restarted."),
      field("readiness", &Plan::readiness, "Failing, it gets no traffic."),
      field("limits", &Plan::limits, "CPU and memory."),
      field("routes", &Plan::routes, "What leads to it from outside."),
      field("resources", &Plan::resources, "What it needs."),
  };
}

}  // namespace tow::score
