// SPDX-License-Identifier: Apache-2.0
#pragma once
// The programs that are run, as values. Pure: tested as text.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/process.hpp"
#include "image/buildah/buildah.hpp"
#include "image/buildah/network.hpp"

namespace tow::image::buildah {

/// Base images are reproducible from the same packages: newer times than this one are set to it.
inline constexpr TimePoint kSourceDate{std::chrono::seconds{1748736000}};

/// Where everything lies.
struct Layout {
  std::filesystem::path storage;        // containers-storage's root
  std::filesystem::path storage_run;    // and what of it does not outlive a boot
  std::filesystem::path configuration;  // containers.conf, registries.conf, …
  std::filesystem::path caches;         // by project: what RUN --mount=type=cache keeps
  std::filesystem::path temporary;      // by build, on disk
  std::filesystem::path builds;         // by build, on tmpfs: secrets and state of the OCI runtime
};
Layout layout(const Settings& settings);

/// The files of `configuration` by name. Nothing of the host's configuration is read by what runs with them.
std::map<std::string, std::string> configuration_files(const Settings& settings, const Layout& layout);
/// What the steps of one build see of the settings: npmrc and pip.conf, in the build's own directory.
std::map<std::string, std::string> step_files(const Settings& settings);

struct BuildCommand {
  std::string id;
  std::filesystem::path context;
  std::filesystem::path containerfile;
  std::filesystem::path ignore_file;  // empty: the context's own
  std::filesystem::path id_file;      // buildah writes the image's id there
  std::map<std::string, std::string> arguments;
  std::map<std::string, std::filesystem::path> secrets;
  std::map<std::string, std::string> labels;
  std::vector<std::string> tags;
  bool layers = true;                    // look for and keep every step in the cache
  std::optional<TimePoint> timestamp{};  // of everything in the image
  Duration deadline = std::chrono::minutes{30};
  std::optional<BuildNetwork> network{};  // none: this machine's, for what Towpath itself wrote
};
Command build_command(const Settings& settings, const Layout& layout, const std::string& runtime,
                      const BuildCommand& build);

/// The control group of a build's steps; by it its working containers are known, too.
std::string build_cgroup(const std::string& id);
/// Inside of it, the group that the OCI runtime makes and removes with each step.
std::string steps_cgroup(const std::string& id);

/// Asks a registry whether it has an image.
Command look_up_command(const Settings& settings, const Layout& layout, const std::string& reference);
Command fetch_command(const Settings& settings, const Layout& layout, const std::string& reference);
Command remove_containers_command(const Settings& settings, const Layout& layout,
                                  std::vector<std::string> ids);
Command remove_images_command(const Settings& settings, const Layout& layout, std::vector<std::string> ids);
/// Makes Debian's root file system as a tar archive.
Command bootstrap_command(const Settings& settings, const Layout& layout,
                          const std::filesystem::path& sources, const std::filesystem::path& archive);

}  // namespace tow::image::buildah
