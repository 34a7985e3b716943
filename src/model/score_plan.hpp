// SPDX-License-Identifier: Apache-2.0
#pragma once
// What one component becomes in one environment: a Score document, expanded with the outputs of its
// resources. Pure: the same document and context give the same plan, in this release of Towpath and on every
// deployment. Secrets stay references throughout.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
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

struct PlannedContainer {
  std::string name;
  std::string image;  // "." is the one that is built
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::map<std::string, Expanded> variables;
  std::vector<PlannedFile> files;      // by target
  std::vector<PlannedVolume> volumes;  // by target: what contains another comes first
  std::optional<PlannedProbe> liveness;
  std::optional<PlannedProbe> readiness;
  PlannedLimits limits;
  std::map<std::string, Ready> after;  // it starts when these have come so far
};

struct Plan {
  std::string component;
  std::vector<PlannedContainer> containers;  // the main one first (see main_container), then by name
  std::vector<ServicePort> ports;            // by number
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

/// The container that the others stand beside: what jobs and terminals are in, and what the first port is
/// asked of. The first by name of those that go on running; one with the component's own image before others.
/// Empty when every container is one that another waits to be complete.
std::string main_container(const Document& document);
/// What a release's image is that of: "." where a container has it, else the main container's reference.
std::string own_image(const Document& document);
/// The references that its other containers have.
std::set<std::string> further_images(const Document& document);

/// The ports of a document's service, by number.
std::vector<ServicePort> service_ports(const Document& document);

/// "web--production--shop.localhost". Above 63 characters the first label is shortened and hashed; one that
/// is hashed never equals one that is not.
std::string host_name(std::string_view component, std::string_view environment, std::string_view project,
                      std::string_view domain);

}  // namespace tow::score
