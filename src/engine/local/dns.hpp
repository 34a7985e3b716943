// SPDX-License-Identifier: Apache-2.0
#pragma once
// Names inside an environment: one dnsmasq for each, because a name means another address in another
// environment. It answers NAME and NAME.internal from a file, and asks the host's resolvers for the rest. It
// outlives the engine, and is found again by its command line.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/local/address.hpp"
#include "engine/local/launch.hpp"

namespace tow::engine::local {

struct DnsServer {
  std::string dnsmasq;  // the program
  std::filesystem::path hosts;
  Address address;       // where it listens
  bool outbound = true;  // closed: other names are not asked for (a name can carry data out)
};
std::vector<std::string> dns_command(const DnsServer& server);

/// Whether something accepts connections for names there. A server that was just started does so a few
/// milliseconds later; until then a signal could end it and a question would be refused.
bool dns_answers(Address address);

/// The hosts file: each name, and the same under ".internal".
std::string dns_hosts(const std::map<std::string, std::string>& addresses);

}  // namespace tow::engine::local
