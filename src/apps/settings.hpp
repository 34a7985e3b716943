// SPDX-License-Identifier: Apache-2.0
#pragma once
// What `tow server` is told on its command line. Everything else is an entity.

#include <filesystem>
#include <string>

namespace tow::apps {

struct ServerSettings {
  std::filesystem::path data = "/var/lib/towpath";
  std::filesystem::path runtime = "/run/towpath";  // what a reboot may take
  std::string listen = "127.0.0.1:8690";           // API, portal, git
  std::string http = "127.0.0.1:80";               // applications
  std::string domain;                              // empty: as the Platform entity says
  std::string name = "towpath";                    // of the nftables table and the control group
  std::string links = "tow";                       // what the names of network links begin with
  std::string network = "10.90.0.0/16";            // of all environments
  int internal_port = 8691;                        // where the proxy takes what services are asked
  std::filesystem::path images;                    // image store and build caches; empty: in `data`
  std::string oci_runtime;                         // empty: crun, else runc
  bool trust_host_certificates = false;

  std::filesystem::path socket() const { return runtime / "tow.sock"; }
};

/// Runs the platform until SIGTERM or SIGINT. Returns the exit code.
int serve(const ServerSettings& settings);

/// Ends what a server with these settings left running: instances, proxy, networks, rules. With `data`,
/// removes its data directory, too.
int take_down(const ServerSettings& settings, bool data);

}  // namespace tow::apps
