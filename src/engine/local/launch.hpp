// SPDX-License-Identifier: Apache-2.0
#pragma once
// Starts a program that outlives us (conmon, dnsmasq) or needs a mount namespace of its own (crun on a hybrid
// cgroup host). base/process is for all else.
//
// An instance's root is mounted in the mount namespace of its conmon alone: it is gone when conmon and
// container are, whatever happened to the engine; nobody has to unmount anything.

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/local/descriptor.hpp"

namespace tow::engine::local {

/// What the program sees in place of the host's mounts; done in this order.
struct PrivateMounts {
  /// Unmounted first (the v2 hierarchy beside v1, which crun 1.8 refuses); one that is no mount is fine.
  std::string hidden;
  /// Unmounted with all that is mounted in it; one that is no mount is fine. What it keeps alive must not be
  /// kept alive here as well.
  std::string dropped;
  struct Bind {
    std::string from;
    std::string to;
  };
  std::optional<Bind> bind;
  /// Where the rest is relative to, after the bind. An overlay's options are cut at 4,096 bytes.
  std::string directory;
  /// Detached mounts (see detach) and where they go.
  struct Attach {
    int mount = -1;
    std::string to;
  };
  std::vector<Attach> attach;
  struct Overlay {
    std::string options;
    std::string to;
  };
  std::optional<Overlay> overlay;
};

struct Launch {
  std::vector<std::string> argv;         // argv[0] is a path
  std::vector<std::string> environment;  // "NAME=value"; nothing else is passed
  std::map<int, int> descriptors;        // child's number -> ours; 0, 1 and 2 are /dev/null unless named
  std::optional<PrivateMounts> mounts;
  std::string cwd = "/";
  /// Ended with SIGKILL when the thread that launched it is gone: what only serves us (a runtime's exec).
  bool dies_with_us = false;
};

struct Launched {
  pid_t pid = -1;
  Descriptor process;  // pidfd, readable when it has ended
};

/// Starts it in a session of its own and returns when it runs or has failed to. No other descriptor and no
/// blocked signal of ours reaches it. Throws Error{Internal, NotFound} naming the step that failed. Blocks
/// for about a millisecond. Thread-safe. The caller reaps (see reap).
Launched launch(const Launch& what);

enum class Access { ReadOnly, ReadWrite };
/// A copy of a directory's mount, ready to be attached by a launch, in which the file owners 0–65,535 appear
/// as those of `user_namespace`. Kernel 5.19 or later for use under an overlay.
Descriptor detach(const std::filesystem::path& directory, int user_namespace, Access access);
Descriptor detach(const Descriptor& directory, int user_namespace, Access access);

/// Opens a process that may not be ours; empty when there is none of that number.
Descriptor open_process(pid_t pid);
/// Waits at most `milliseconds` for the end of a process; true when it has ended. Reaps it if it is our
/// child.
bool wait_for_end(const Descriptor& process, int milliseconds);
/// The exit code (128 + signal) of a child of ours that has ended; nothing for a stranger's or a running one.
std::optional<int> reap(const Descriptor& process);
/// SIGKILL and the like, to exactly the process that was opened. One that has ended is fine.
void signal(const Descriptor& process, int number);

}  // namespace tow::engine::local
