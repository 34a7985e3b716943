// SPDX-License-Identifier: Apache-2.0
#pragma once
// The OCI runtime and conmon as command lines: values, tested as text. launch.hpp and base/process run them.

#include <filesystem>
#include <string>
#include <vector>

#include "engine/local/cgroup.hpp"
#include "engine/local/oci.hpp"

namespace tow::engine::local {

struct Runtime {
  std::string name;            // "crun"
  std::string program;         // "/usr/bin/crun"
  std::filesystem::path root;  // its own state: it holds config.json, so it is on tmpfs, mode 0700
  std::string hidden;          // a hierarchy that it must not see
  Container::Seccomp seccomp = Container::Seccomp::Document;
};

/// The named runtime, or with an empty name crun, else runc. Throws Error{NotFound} with what to install.
Runtime choose_runtime(const std::string& name, const std::filesystem::path& roots, const Cgroups& cgroups);

/// The runtime that made something, by name or path, also when it is no longer installed: then it has no
/// program.
Runtime maker(const std::string& name, const std::filesystem::path& roots, const Cgroups& cgroups);

/// Where a program lies, searched in the usual directories; empty when it is nowhere.
std::string find_program(const std::string& name);

struct Monitor {
  std::string id;
  std::filesystem::path bundle;  // as conmon sees it
  std::filesystem::path log;
  bool terminal = false;
};
/// conmon: holds the log and the exit status, so that an instance outlives the engine. It creates the
/// container and reports on _OCI_SYNCPIPE; its files (conmon.pid, init.pid, exit/ID, ctl) are in the bundle.
std::vector<std::string> monitor_command(const std::string& conmon, const Runtime& runtime,
                                         const Monitor& monitor);

std::vector<std::string> start_command(const Runtime& runtime, const std::string& id);
/// Removes what the runtime keeps of it and its control groups; kills what still runs.
std::vector<std::string> delete_command(const Runtime& runtime, const std::string& id);
/// `process` holds the process object; the runtime writes the command's number to `pid`.
std::vector<std::string> exec_command(const Runtime& runtime, const std::string& id,
                                      const std::filesystem::path& process, const std::filesystem::path& pid,
                                      bool terminal);

}  // namespace tow::engine::local
