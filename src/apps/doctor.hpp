// SPDX-License-Identifier: Apache-2.0
#pragma once
// What this machine has for the platform, what it lacks, and how to mend it: without a server, and without
// changing anything. It may be run by anybody; what only root can see is said to be unknown.

#include <string>
#include <string_view>
#include <vector>

#include "apps/settings.hpp"
#include "base/node.hpp"

namespace tow::apps {

struct Finding {
  enum class Verdict { Fine, Warning, Missing };
  std::string subject;  // "buildah", "port 8690"
  Verdict verdict = Verdict::Fine;
  std::string found;   // "/usr/bin/buildah", "in use"
  std::string remedy;  // what to do; empty when it is fine
};

/// Looks at everything that a server with these settings needs.
std::vector<Finding> examine(const ServerSettings& settings);

/// 1 when something that is needed is missing, else 0.
int exit_code(const std::vector<Finding>& findings);
/// For people: one line each, remedies below; and for programs.
std::string table(const std::vector<Finding>& findings);
Node document(const std::vector<Finding>& findings);

// Parts with their inputs as arguments.

/// "6.1.0-18-amd64" against 5.19: idmapped mounts on overlayfs.
Finding judge_kernel(std::string_view release);
/// The text of /proc/filesystems.
Finding judge_overlay(std::string_view filesystems);
/// /proc/sys/user/max_user_namespaces.
Finding judge_user_namespaces(std::string_view limit);
/// Free bytes and inodes of the file system that `subject` is on, and the option that names another place.
Finding judge_space(std::string_view subject, std::uint64_t bytes, std::uint64_t inodes,
                    std::uint64_t all_inodes, std::string_view option);
/// An address that the server would listen on: free, the server's own, or taken.
Finding judge_port(const std::string& address, bool free, bool server_runs);

}  // namespace tow::apps
