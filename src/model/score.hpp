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
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/located.hpp"

namespace tow::score {

inline constexpr std::string_view kVersion = "score.dev/v1b1";
/// The resource types that work here.
inline constexpr std::array<std::string_view, 5> kResourceTypes = {"environment", "route", "dns",
                                                                   "service-port", "volume"};

/// Files or volumes by their target. The older list form, whose entries name their target, is read too; the
/// map form is written.
template <class T>
struct ByTarget {
  std::map<std::string, Located<T>> entries;
  std::set<std::string> unread;  // entries of the list form that have a fault of their own
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

}  // namespace tow::score
