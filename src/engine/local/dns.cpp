// SPDX-License-Identifier: Apache-2.0
#include "engine/local/dns.hpp"

namespace tow::engine::local {

std::vector<std::string> dns_command(const DnsServer& server) {
  std::vector<std::string> command{
      server.dnsmasq,
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--pid-file=",
      "--no-hosts",
      "--addn-hosts=" + server.hosts.string(),
      "--listen-address=" + to_string(server.address),
      "--bind-interfaces",
      "--except-interface=lo",
      "--local=/internal/",
      "--domain-needed",
      "--cache-size=1000",
      "--user=nobody",
      "--group=nogroup",
      "--log-facility=/dev/null",
  };
  if (!server.outbound) command.push_back("--no-resolv");
  return command;
}

std::string dns_hosts(const std::map<std::string, std::string>& addresses) {
  std::string text;
  for (const auto& [name, address] : addresses) text += address + " " + name + " " + name + ".internal\n";
  return text;
}

}  // namespace tow::engine::local
