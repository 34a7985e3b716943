// SPDX-License-Identifier: Apache-2.0
#pragma once
// The nftables table as text: one table of Towpath's own, nothing else is touched. Pure;
// network_real_test.cpp shows that it holds.
//
// Who may talk to whom: instances of one environment to each other; to the host for DNS and, when redirected,
// the proxy; to the outside unless closed; nothing else. The host reaches instances; nobody outside reaches
// them, nor the addresses of the bridges, nor the proxy's port.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "engine/local/address.hpp"

namespace tow::engine::local {

struct Ruleset {
  std::string table;          // "towpath"
  std::string bridge_prefix;  // every bridge's name begins so, and no other link's
  Network range;
  std::string comment;  // see claims.hpp
  std::uint16_t proxy_port = 0;

  struct Environment {
    std::string bridge;
    Network services;
    bool outbound = true;
  };
  std::vector<Environment> environments;

  struct Entry {
    Address address;  // of the service
    Service::Entry port;
    std::vector<Address> endpoints;
  };
  std::vector<Entry> entries;

  std::vector<Address> closed;  // instances that may not reach the outside
};

/// The whole table, replacing what was there in one transaction. Connections that are open stay so.
std::string render(const Ruleset& rules);

// Changes of a table that exists; each can be repeated, and several joined into one transaction.
std::string render_environment(const std::string& table, const Ruleset::Environment& environment);
std::string render_environment_removal(const std::string& table, const Ruleset::Environment& environment);
std::string render_entry(const std::string& table, const Ruleset::Entry& entry);
std::string render_entry_removal(const std::string& table, const Ruleset::Entry& entry);
std::string render_closed(const std::string& table, Address instance, bool closed);
std::string render_proxy_port(const std::string& table, std::uint16_t port);

}  // namespace tow::engine::local
