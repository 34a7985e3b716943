// SPDX-License-Identifier: Apache-2.0
#pragma once
// The network of every environment: bridge, rules, names, addresses. What is given out is recorded first, so
// that it is the same after a reboot; everything else is made again from the records. Thread-safe; calls
// block for some milliseconds.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/local/firewall.hpp"
#include "engine/local/launch.hpp"
#include "engine/local/records.hpp"
#include "engine/local/ruleset.hpp"
#include "engine/local/subnets.hpp"

namespace tow::engine::local {

class Networks {
 public:
  struct Settings {
    std::string table;
    std::string link_prefix;
    Network range;
    int prefix = 22;
    std::string state;              // whose network it is, for other engines
    std::filesystem::path records;  // durable
    std::filesystem::path names;    // hosts files, readable by dnsmasq
    std::function<std::uint16_t()> proxy_port;
  };
  explicit Networks(Settings settings);

  /// Brings up what the records say: bridges, the whole table, DNS servers (those that run are kept). `links`
  /// are those of running instances, with their environments: they are attached again, others are removed.
  /// `closed` are the addresses of those that reach nothing outside. Returns the links that are gone.
  std::set<std::string> start(const std::map<std::string, EnvironmentId>& links,
                              const std::set<std::string>& closed);
  /// Marks an address of a recorded instance as taken.
  void occupy(const EnvironmentId& environment, const std::string& address);

  /// Records the environment if it is new, and brings its network up. Throws Error{Exhausted}.
  void ensure(const EnvironmentId& environment, bool outbound);
  /// An address for an instance; the caller records it. Throws Error{Exhausted}.
  std::string allocate(const EnvironmentId& environment);
  void release(const EnvironmentId& environment, const std::string& address);
  std::string gateway(const EnvironmentId& environment) const;

  /// Gives the network namespace an interface with that address. Returns the host's end.
  std::string connect(const EnvironmentId& environment, const std::string& address, int network_namespace,
                      bool outbound);
  void disconnect(const std::string& link);

  std::string ensure_service(const Service& service);
  void remove_service(const EnvironmentId& environment, const std::string& name);
  /// Throws Error{FailedPrecondition} while an instance has an address of it.
  void remove_environment(const EnvironmentId& environment);
  /// Whatever there is of it on the machine; the records stay.
  void remove_all();

  std::vector<EnvironmentId> environments() const;
  /// A descriptor of the environment's DNS server, to wait for its end; empty when it has none.
  Descriptor dns_process(const EnvironmentId& environment) const;
  /// Starts it if it does not run, though the environment is there; true when it did.
  bool ensure_dns(const EnvironmentId& environment);
  /// What on the machine is in its way: see claims.hpp. Changes nothing.
  std::vector<std::string> conflicts();
  std::vector<std::string> foreign_drops() { return firewall_.foreign_drops(settings_.table); }

 private:
  struct Environment {
    EnvironmentRecord record;
    Layout layout;
    std::string bridge;
    int bridge_index = 0;
    std::set<Address> taken;
    Descriptor dns;
    bool dns_outbound = true;
  };
  Environment& known(const EnvironmentId& id);
  const Environment& known(const EnvironmentId& id) const;
  Environment make(EnvironmentRecord record) const;
  void bring_up_link(Environment& environment);
  bool bring_up_dns(Environment& environment);
  void stop_dns(Environment& environment);
  void write_names(Environment& environment);
  Ruleset::Environment rules(const Environment& environment) const;
  static std::vector<Ruleset::Entry> rules(const ServiceRecord& service);
  void save(const Environment& environment) {
    records_.save(environment.record.id, to_node(environment.record));
  }

  Settings settings_;
  Folder records_;
  Firewall firewall_;
  mutable std::mutex mutex_;
  std::map<EnvironmentId, Environment> environments_;
  std::set<Address> closed_;
  std::uint16_t proxy_port_ = 0;
};

}  // namespace tow::engine::local
