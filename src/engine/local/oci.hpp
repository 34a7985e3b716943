// SPDX-License-Identifier: Apache-2.0
#pragma once
// The OCI runtime configuration of an instance (config.json, runtime specification 1.0). Pure: the golden
// test shows the whole of it. One document serves crun and runc, cgroup v1 and v2.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "engine/local/layers.hpp"

namespace tow::engine::local {

struct Container {
  std::string id;
  std::string hostname;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // "NAME=value"; a later one of the same name wins
  std::string directory = "/";
  User user;
  bool terminal = false;
  bool read_only_root = false;
  Limits limits;
  std::uint64_t hard_file_limit = 0;  // the engine's own: without CAP_SYS_RESOURCE none higher can be set
  struct Mount {
    std::string source;
    std::string target;
    bool read_only = false;
  };
  std::vector<Mount> mounts;   // directories and files of the host, bound
  std::string cgroup;          // "/towpath/ID"
  std::string user_namespace;  // paths to join
  std::string network_namespace;
  std::string ipc_namespace;  // empty: its own
  std::string shared_memory;  // a directory for /dev/shm; empty: its own
  std::uint32_t user_base = 0;
  enum class Seccomp {
    Program,
    Document,
    None
  } seccomp = Seccomp::Program;  // see seccomp.hpp; None is for tests
};

/// The document as JSON. It holds secrets in its environment: it belongs on tmpfs, mode 0600.
std::string oci_config(const Container& container);

/// The "process" object of a command run beside it, with the same user, limits and environment.
std::string oci_process(const Container& container, const std::vector<std::string>& command, bool terminal);

}  // namespace tow::engine::local
