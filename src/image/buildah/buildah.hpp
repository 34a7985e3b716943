// SPDX-License-Identifier: Apache-2.0
#pragma once
// Images by buildah and skopeo, in a containers-storage of Towpath's own (overlay driver, never the host's).
//
// One directory belongs to one process at a time. Every build runs in a process and a mount namespace of its
// own, so that whatever ends it (its end, a cancellation, a deadline, the death of this process) ends all of
// it, with its mounts; what then lies around is removed at once, or by the next start().

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image/image.hpp"

namespace tow::image::buildah {

struct Settings {
  /// Storage, caches and configuration; made if missing. Wants a file system that overlayfs can lie on.
  std::filesystem::path directory;
  /// What must not outlive a boot, build secrets among it: on tmpfs. When it is empty, or lies on a disk, a
  /// directory of its own under /run or /dev/shm serves instead, whichever is in memory.
  std::filesystem::path run_directory;

  /// For machines whose way to the registries leads through a private certificate authority: the host's
  /// bundle is mounted read-only into every build step.
  bool trust_host_certificates = false;
  std::filesystem::path host_certificates = "/etc/ssl/certs/ca-certificates.crt";
  /// Where pip and npm look for packages in builds; empty: their own default.
  std::string python_index;
  std::string npm_registry;
  /// Asked before every build, so that those three follow what they are set to while this runs.
  std::function<void(Settings&)> renew;
  /// http_proxy, https_proxy, no_proxy and the like, for builds and for fetching. Empty: those of
  /// this process.
  std::map<std::string, std::string> proxy;

  /// Networks of this machine that no step of a build may reach ("10.90.0.0/16"), beside its own addresses,
  /// its loopback and the networks of its bridges, which never can.
  std::vector<std::string> closed_networks;

  /// Registries that speak HTTP without TLS, as "host:port".
  std::vector<std::string> plain_registries;
  /// Until a registry that does not answer counts as unreachable.
  Duration registry_deadline = std::chrono::seconds{20};
  /// Until a fetch that is under way is given up.
  Duration fetch_deadline = std::chrono::minutes{15};
  /// Memory of one build's steps together; none: three quarters of this machine's.
  std::optional<Bytes> memory;
  /// How many processes and threads they may have at once.
  int processes = 4096;
  /// How long what only serves as a cache is kept by collect().
  Duration cache_age = std::chrono::hours{24 * 3};
  /// Where apt's sources are read from when base images are made.
  std::filesystem::path apt = "/etc/apt";
};

/// The storage that an engine on the same machine mounts from: `directory`/storage.
std::filesystem::path storage_root(const Settings& settings);

/// The run directory that an empty setting stands for.
std::filesystem::path default_run_directory(const std::filesystem::path& directory);

std::unique_ptr<Images> make(Settings settings);

}  // namespace tow::image::buildah
