// SPDX-License-Identifier: Apache-2.0
#pragma once
// Score documents, score.dev/v1b1 (https://docs.score.dev): what a component needs to run. Values; nothing
// here reads a disk or knows an environment: what a document becomes in one is score_plan.hpp.
//
// The whole schema is read, strictly. What is valid Score and not run here yet is refused by name
// (Fault::unsupported). Documents are read, checked and merged with overrides at once, so that a person sees
// every fault of a file in one go, each with its path, line and column.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fields.hpp"

namespace tow::score {

inline constexpr std::string_view kVersion = "score.dev/v1b1";
/// The resource types that work here.
inline constexpr std::array<std::string_view, 5> kResourceTypes = {"environment", "route", "dns",
                                                                   "service-port", "volume"};

/// A value that remembers where it stood, for faults that are found later. Line 0 in a document that was
/// made by a program or comes out of the store.
template <class T>
struct Located {
  T value{};
  Position at;
  Position key_at;

  T& operator*() { return value; }
  const T& operator*() const { return value; }
  T* operator->() { return &value; }
  const T* operator->() const { return &value; }
};
template <class T>
const T& checked_value(const Located<T>& located) {
  return located.value;
}
using Text = Located<std::string>;

/// Files or volumes by their target. The older list form, whose entries name their target, is read too; the
/// map form is written.
template <class T>
struct ByTarget {
  std::map<std::string, Located<T>> entries;
};

struct Metadata {
  std::string name;
  std::map<std::string, std::string> annotations;
  std::map<std::string, Node> others;  // anything: ${metadata.KEY} reads it
};

enum class Protocol { Tcp, Udp };

struct Port {
  std::uint16_t port = 0;  // what callers use
  Protocol protocol = Protocol::Tcp;
  std::optional<std::uint16_t> target;  // inside the container; the same when absent
  std::uint16_t inside() const { return target.value_or(port); }
};

struct Service {
  std::map<std::string, Located<Port>> ports;
};

struct File {
  std::optional<Text> source;          // of a file in the repository, beside the Score document
  std::optional<Text> content;         // text
  std::optional<Text> binary_content;  // base64, never expanded
  std::string mode;                    // octal; empty: 0644
  bool no_expand = false;
};

struct VolumeMount {
  Text source;
  std::string path;  // inside the volume
  bool read_only = false;
};

struct Memory {
  std::string text;  // as it was written
  Bytes bytes;
};
void read_custom(const Node& node, Memory& out, Reading& reading);
Node write_custom(const Memory& value);
Node schema_custom(Of<Memory>);

struct Amounts {
  std::optional<Text> cpu;
  std::optional<Located<Memory>> memory;
};
struct Compute {
  Located<Amounts> limits;
  Located<Amounts> requests;
};

enum class Scheme { Http, Https };
struct Header {
  std::string name;
  std::string value;
};
struct HttpGet {
  std::string path;
  std::uint16_t port = 0;
  std::optional<std::string> host;
  Scheme scheme = Scheme::Http;
  std::vector<Header> headers;
};
struct Exec {
  std::vector<std::string> command;
};
/// With both, exec is used, as Score advises.
struct Probe {
  std::optional<Located<HttpGet>> http_get;
  std::optional<Located<Exec>> exec;
};

enum class Ready { Started, Healthy, Complete };
struct Before {
  Ready ready = Ready::Started;
};

struct Container {
  Text image;  // "." is the image that is built from the repository
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::map<std::string, Text> variables;
  ByTarget<File> files;
  ByTarget<VolumeMount> volumes;
  std::map<std::string, Located<Before>> before;
  Compute resources;
  std::optional<Located<Probe>> liveness;
  std::optional<Located<Probe>> readiness;
};

struct ResourceMetadata {
  std::map<std::string, std::string> annotations;
  std::map<std::string, Node> others;
};
struct Resource {
  Text type;
  std::optional<Text> class_name;  // "default" when absent
  std::optional<Text> id;          // with it, it is shared by all that name it so
  ResourceMetadata metadata;
  std::map<std::string, Node> params;
};

struct Document {
  std::string api_version{kVersion};
  Located<Metadata> metadata;
  Service service;
  std::map<std::string, Located<Container>> containers;
  std::map<std::string, Located<Resource>> resources;

  const std::string& name() const { return metadata->name; }
};

/// A change of a document for one environment: maps merge, other values replace, null deletes.
struct Override {
  Node node;
  std::string origin;  // where it is written: "towpath.yaml"
};

/// Reads and checks a document as people write it. Throws Error{Invalid} with every fault in order of place,
/// or Error{Unsupported} when all of them are of that sort. A fault that an override brought in has no
/// position of its own; its message says where the override stands.
Document read(const Node& node);
Document read(const Node& node, const std::vector<Override>& overrides);
/// A document as it was stored in a release, once admitted, with the overrides of its deployment. Lenient.
Document read_stored(const Node& node, const Node& overrides = {});

/// Everything that is wrong beyond the schema and does not depend on an environment. read() calls it.
void check(const Document& document, Reading& reading);

/// The document's one form: map forms, no defaults. read(write(d)) gives d back.
Node write(const Document& document);
/// JSON Schema (2020-12).
Node schema();

/// A path of the repository in its one spelling ("" is the root), from a path as it was written in
/// `directory`; nothing when it is absolute or leaves the repository.
std::optional<std::string> repository_path(std::string_view directory, std::string_view path);

/// "volume.default#web.data", or "volume.default#cache" with an id: the same for all who share it.
std::string identity(const Document& document, const std::string& resource);

// --- field tables
// -------------------------------------------------------------------------------------------

inline constexpr auto kName =
    matches("[a-z0-9][a-z0-9-]{0,61}[a-z0-9]",
            "2 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit");
inline constexpr auto kTypeName =
    matches("[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]",
            "2 to 63 letters, digits and hyphens, beginning and ending with a letter or digit");
inline constexpr auto kAnnotation = matches(
    "(([a-z0-9][a-z0-9-]{0,61}[a-z0-9])(\\.[a-z0-9][a-z0-9-]{0,61}[a-z0-9])*/)?"
    "[A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9]",
    "an annotation's name, such as example.org/owner");

constexpr auto names(Of<Protocol>) {
  return std::array{Name<Protocol>{Protocol::Tcp, "TCP"}, Name<Protocol>{Protocol::Udp, "UDP"}};
}
constexpr auto names(Of<Scheme>) {
  return std::array{Name<Scheme>{Scheme::Http, "HTTP"}, Name<Scheme>{Scheme::Https, "HTTPS"}};
}
constexpr auto names(Of<Ready>) {
  return std::array{Name<Ready>{Ready::Started, "started"}, Name<Ready>{Ready::Healthy, "healthy"},
                    Name<Ready>{Ready::Complete, "complete"}};
}

constexpr auto fields(Of<Metadata>) {
  return std::tuple{
      field("name", &Metadata::name, "The component's name.", required, kName),
      field("annotations", &Metadata::annotations, "Notes for people and tools.", kAnnotation),
      rest(&Metadata::others),
  };
}
constexpr auto fields(Of<Port>) {
  return std::tuple{
      field("port", &Port::port, "The port that callers use.", required, between(1, 65535)),
      field("protocol", &Port::protocol, "Transport."),
      field("targetPort", &Port::target, "The port inside the container; the same when absent.",
            between(1, 65535)),
  };
}
constexpr auto fields(Of<Service>) {
  return std::tuple{field("ports", &Service::ports, "The ports that others may call, by name.", kName)};
}
constexpr auto fields(Of<File>) {
  return std::tuple{
      field("source", &File::source, "A file of the repository, relative to this document.", at_least(1)),
      field("content", &File::content, "The text itself."),
      field("binaryContent", &File::binary_content, "The bytes in base64; placeholders are not expanded."),
      field("mode", &File::mode, "Access mode in octal; 0644 when absent.",
            matches("0?[0-7]{3}", "an octal mode such as \"0644\"")),
      field("noExpand", &File::no_expand, "Placeholders in the content stay as they are."),
  };
}
constexpr auto fields(Of<VolumeMount>) {
  return std::tuple{
      field("source", &VolumeMount::source, "The volume: ${resources.NAME}.", required),
      field("path", &VolumeMount::path, "A folder inside the volume."),
      field("readOnly", &VolumeMount::read_only, "It cannot be written to here."),
  };
}
constexpr auto fields(Of<Amounts>) {
  return std::tuple{
      field("cpu", &Amounts::cpu, "Cores: \"0.5\" or \"500m\".",
            matches("\\d+(?:m|\\.\\d+)?", "cores, such as \"2\", \"0.5\" or \"500m\"")),
      field("memory", &Amounts::memory, "Bytes: \"512M\" or \"512Mi\"."),
  };
}
constexpr auto fields(Of<Compute>) {
  return std::tuple{
      field("limits", &Compute::limits, "The most that it gets."),
      field("requests", &Compute::requests, "What it needs at least."),
  };
}
constexpr auto fields(Of<Header>) {
  return std::tuple{
      field("name", &Header::name, "Name of the header.", required,
            matches("[A-Za-z0-9_-]+", "a header name")),
      field("value", &Header::value, "Its value.", required, at_least(1)),
  };
}
constexpr auto fields(Of<HttpGet>) {
  return std::tuple{
      field("path", &HttpGet::path, "Answers 2xx or 3xx when all is well.", required),
      field("port", &HttpGet::port, "Port inside the container.", required, between(1, 65535)),
      field("host", &HttpGet::host, "The Host header to send.", at_least(1)),
      field("scheme", &HttpGet::scheme, "HTTP, or HTTPS."),
      field("httpHeaders", &HttpGet::headers, "More headers to send."),
  };
}
constexpr auto fields(Of<Exec>) {
  return std::tuple{
      field("command", &Exec::command, "Ends with 0 when all is well.", required, at_least(1)),
  };
}
constexpr auto fields(Of<Probe>) {
  return std::tuple{
      field("httpGet", &Probe::http_get, "A request."),
      field("exec", &Probe::exec, "A command inside the container; used when both are there."),
  };
}
constexpr auto fields(Of<Before>) {
  return std::tuple{
      field("ready", &Before::ready, "How far this container must be before that one starts.", required)};
}
constexpr auto fields(Of<Container>) {
  return std::tuple{
      field("image", &Container::image, "Image reference; \".\" is the image built from the repository.",
            required, at_least(1)),
      field("command", &Container::command, "Replaces the image's entrypoint."),
      field("args", &Container::args, "Replaces the image's arguments."),
      field("variables", &Container::variables, "Environment variables.",
            matches("[^=]+", "a variable's name, without =")),
      field("files", &Container::files, "Files to put into the container, by path."),
      field("volumes", &Container::volumes, "Volumes to mount, by path."),
      field("before", &Container::before, "Containers that start after this one.", kName),
      field("resources", &Container::resources, "CPU and memory."),
      field("livenessProbe", &Container::liveness, "Failing, it is restarted."),
      field("readinessProbe", &Container::readiness, "Failing, it gets no traffic."),
  };
}
constexpr auto fields(Of<ResourceMetadata>) {
  return std::tuple{
      field("annotations", &ResourceMetadata::annotations, "Notes for people and tools.", kAnnotation),
      rest(&ResourceMetadata::others),
  };
}
constexpr auto fields(Of<Resource>) {
  return std::tuple{
      field("type", &Resource::type, "What it is: environment, route, dns, service-port, volume.", required,
            kTypeName),
      field("class", &Resource::class_name, "A special sort of it; \"default\" when absent.",
            matches("|[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]", kTypeName.help)),
      field("id", &Resource::id, "Makes it one resource for all who name it so.",
            matches("[a-z0-9]+(?:-+[a-z0-9]+)*(?:\\.[a-z0-9]+(?:-+[a-z0-9]+)*)*",
                    "labels of lower-case letters, digits and hyphens, with dots between them")),
      field("metadata", &Resource::metadata, "Notes for people and tools."),
      field("params", &Resource::params, "What it is made with."),
  };
}
constexpr auto fields(Of<Document>) {
  return std::tuple{
      field("apiVersion", &Document::api_version, "Always score.dev/v1b1.", required,
            matches("score\\.dev/v1b1", "score.dev/v1b1")),
      field("metadata", &Document::metadata, "Who it is.", required),
      field("service", &Document::service, "What others may call."),
      field("containers", &Document::containers, "What runs, by name.", required, at_least(1), kName),
      field("resources", &Document::resources, "What it needs, by name.", kName),
  };
}

// --- document forms of Located and ByTarget
// -----------------------------------------------------------------

template <class T>
void read_custom(const Node& node, Located<T>& out, Reading& reading) {
  out.at = node.at;
  out.key_at = node.key_at;
  tow::read(node, out.value, reading);
}
template <class T>
Node write_custom(const Located<T>& value) {
  return tow::write(value.value);
}
template <class T>
Node schema_custom(Of<Located<T>>) {
  return tow::schema<T>();
}

/// An entry of the list form.
template <class T>
struct Listed : T {
  std::string target;
};
template <class T>
constexpr auto fields(Of<Listed<T>>) {
  return std::tuple_cat(
      std::tuple{field("target", &Listed<T>::target, "Its path in the container.", required, at_least(1))},
      fields(Of<T>{}));
}

template <class T>
void read_custom(const Node& node, ByTarget<T>& out, Reading& reading) {
  if (!node.list()) return tow::read(node, out.entries, reading);
  for (std::size_t i = 0; i < node.list()->size(); ++i) {
    const Node& entry = (*node.list())[i];
    auto step = reading.into(i);
    Listed<T> listed;
    tow::read(entry, listed, reading);
    if (listed.target.empty()) continue;  // said already
    const Node& target = *entry.find("target");
    if (!out.entries.try_emplace(listed.target, Located<T>{listed, entry.at, target.at}).second) {
      auto at = reading.into("target");
      reading.fault(target, fmt::format("\"{}\" is the target of two entries", listed.target));
    }
  }
}
template <class T>
Node write_custom(const ByTarget<T>& value) {
  return tow::write(value.entries);
}
template <class T>
Node schema_custom(Of<ByTarget<T>>) {
  return Node::Map{
      {"oneOf", Node::List{tow::schema<std::map<std::string, T>>(), tow::schema<std::vector<Listed<T>>>()}}};
}

}  // namespace tow::score
