// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where things lie: every path that the engine uses, in one place. Pure, but for prepare().

#include <filesystem>
#include <string>

#include "engine/local/local.hpp"

namespace tow::engine::local {

/// What a container is called on the machine: the instance's id, with ".NAME" where it has several.
std::string container_key(const InstanceId& instance, const Workload& workload,
                          const ContainerSpec& container);
/// The reverse: the instance, and the container's name or nothing.
std::pair<InstanceId, std::string> split_key(const std::string& key);

class Place {
 public:
  explicit Place(const Settings& settings) : s_{settings} {}

  // Durable.
  std::filesystem::path groups() const { return s_.state_directory / "groups"; }
  std::filesystem::path jobs() const { return s_.state_directory / "jobs"; }
  std::filesystem::path environments() const { return s_.state_directory / "environments"; }
  /// Upper and work directory of a container's root: on the data disk, new at every start.
  std::filesystem::path root(const std::string& id) const { return s_.state_directory / "roots" / id; }
  std::filesystem::path roots() const { return s_.state_directory / "roots"; }
  /// A source's logs: SOURCE/KEY.log, and older ones, by container_key.
  std::filesystem::path logs(const std::string& source) const { return s_.log_directory / source; }
  std::filesystem::path volume(const std::string& uid) const { return s_.volume_directory / uid; }

  // On tmpfs, 0700: bundles hold secrets.
  std::filesystem::path secret() const { return s_.runtime_directory / "secret"; }
  std::filesystem::path instances() const { return secret() / "instances"; }
  std::filesystem::path instance(const std::string& id) const { return instances() / id; }
  /// What the containers of one instance share, one directory each; a mount of its own when there are any.
  std::filesystem::path sandboxes() const { return secret() / "sandboxes"; }
  std::filesystem::path sandbox(const InstanceId& id) const { return sandboxes() / id; }
  std::filesystem::path runtimes() const { return secret() / "runtimes"; }
  /// Where an instance's directory appears in the mount namespace of its own conmon: a path that root of its
  /// user namespace can walk, which that of instance() is not.
  std::filesystem::path bundle() const { return s_.runtime_directory / "bundle"; }
  std::filesystem::path names() const { return s_.runtime_directory / "names"; }

  std::string cgroups() const { return "/" + s_.name; }
  std::string cgroup(const std::string& id) const { return cgroups() + "/" + id; }

  /// Makes the directories, and mounts tmpfs under the secrets unless they are on one. Safe to repeat.
  void prepare() const;
  /// Takes the runtime directory away again.
  void remove_runtime() const;

 private:
  Settings s_;
};

}  // namespace tow::engine::local
