// SPDX-License-Identifier: Apache-2.0
#pragma once
// Builds and images. The one image store of the platform is behind this face; the local engine mounts from
// it. Thread-safe. Calls that take long stream their progress and end when their task is cancelled.

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.hpp"
#include "base/units.hpp"

namespace tow::image {

using ProgressSink = std::function<void(std::string_view line)>;

/// An image that is in the store.
struct Image {
  std::string id;      // content address of its configuration: 64 hexadecimal digits
  std::string digest;  // "sha256:…" of the manifest
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> environment;  // "NAME=value"
  std::string working_directory;
  std::string user;
  std::vector<std::uint16_t> exposed_ports;
  std::string stop_signal;
  Bytes size;
};

struct BuildRequest {
  std::string id;                        // uid of the build; names its temporary files
  std::string project;                   // caches are kept apart by project
  std::filesystem::path context;         // a directory that only this build has
  std::filesystem::path component_path;  // relative, inside the context: where the component lies
  std::string containerfile;             // relative to the context; empty: detect
  std::map<std::string, std::string> arguments;
  std::map<std::string, std::string> secrets;  // mounted as build secrets, never in a layer
  Duration deadline = std::chrono::minutes{30};
};

struct BuildResult {
  Image image;
  std::string containerfile;  // the text that was used
  std::string pack;           // "node", "python", "cmake", "static"; empty with a Containerfile of its own
  bool cached = false;        // every step came from the cache
};

/// What a source tree is, without building it.
struct Detection {
  std::string pack;                   // empty: nothing was recognised
  std::string containerfile;          // text, as it would be used
  std::optional<std::uint16_t> port;  // the port that the pack's program is told to listen on (variable PORT)
  std::string explanation;            // "package.json, started by its start script; Node 24 from npm"
  std::vector<std::string> watch;  // paths of the context that the image is made of; empty: the component's
};

class Images {
 public:
  virtual ~Images() = default;

  /// Prepares the store. Base images are made at their first use, or by ensure_base.
  virtual Task<> start() = 0;

  /// Throws Error{Invalid} for a fault of the source (the failing step and its last lines are in the
  /// message), Error{Timeout}, Error{Exhausted}. `progress` gets the build's log, line by line.
  virtual Task<BuildResult> build(BuildRequest request, ProgressSink progress) = 0;
  /// Throws Error{Invalid} naming a version that was asked for and cannot be had.
  /// `component` lies inside of `source`, the build context. A Containerfile of its own wins: `pack` is empty
  /// then.
  virtual Detection detect(const std::filesystem::path& source,
                           const std::filesystem::path& component = {}) const = 0;

  /// Resolves a reference ("towpath/node:12", "docker.io/library/nginx:1", "sha256:…") to an image in the
  /// store, fetched when it is not there. Throws Error{NotFound} with what the registry said.
  virtual Task<Image> ensure(std::string reference, ProgressSink progress) = 0;
  /// Nothing is fetched.
  virtual Task<std::optional<Image>> find(std::string reference) = 0;

  /// Makes a base image (base, node, python, build, static) unless it is there.
  virtual Task<> ensure_base(std::string name, ProgressSink progress) = 0;

  /// Removes what is neither in `used` (ids) nor a base image nor a fresh cache. Returns what was freed.
  virtual Task<Bytes> collect(std::vector<std::string> used) = 0;
};

}  // namespace tow::image
