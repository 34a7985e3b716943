// SPDX-License-Identifier: Apache-2.0
#pragma once
// The engine of one machine: OCI containers on the kernel, each under a conmon, each environment with a
// bridge of its own. It needs root. Only apps/ includes this.
//
// What must survive a reboot is in `state_directory`; what a reboot may take is in `runtime_directory`.
// Whatever the state of the two, start() brings the machine to what the records say.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "engine/engine.hpp"

namespace tow::engine::local {

struct Settings {
  std::filesystem::path state_directory;                     // durable; roots of containers lie there, too
  std::filesystem::path runtime_directory = "/run/towpath";  // made tmpfs where secrets lie, if it is not
  std::filesystem::path log_directory;
  std::filesystem::path volume_directory;
  std::filesystem::path
      image_storage;  // root of containers-storage (overlay driver), as given to buildah --root

  /// Names what is global on the machine: the nftables table and the control group; [a-z0-9-].
  std::string name = "towpath";
  /// What its links' names begin with: at most 5 of [a-z0-9]; no other link's name may.
  std::string link_prefix = "tow";
  std::string network = "10.90.0.0/16";
  int environment_prefix = 22;

  std::string runtime;                             // OCI runtime by name or path; empty: crun, else runc
  Duration stop_grace = std::chrono::seconds{10};  // for surplus instances and restarts
  Bytes log_file_size{16 << 20};
  int log_files = 4;  // kept of each instance, the current one included

  /// The port on which the proxy takes redirected traffic; asked at each change of a service.
  std::function<std::uint16_t()> internal_proxy_port = [] { return std::uint16_t{0}; };
  SecretOpener open_secret;

  Executor executor;  // may have several threads
  std::shared_ptr<Clock> clock;
};

class LocalEngine : public Engine {
 public:
  /// Ids of images that a group or job of this engine needs; the image store must keep them.
  virtual std::vector<std::string> images_in_use() const = 0;
  /// What on this machine stands in the way, each with its remedy, for people: another program's firewall
  /// that drops forwarded traffic, a kernel that lacks something.
  virtual std::vector<std::string> obstacles() = 0;
};

/// Does nothing before start(). Throws Error{Invalid} for settings that cannot be.
std::unique_ptr<LocalEngine> make(Settings settings);

/// Ends everything that an engine with these settings left behind: instances, links, rules, groups, mounts,
/// its records. Volumes and logs stay. No engine of these settings may be running.
Task<> tear_down(Settings settings);

}  // namespace tow::engine::local
