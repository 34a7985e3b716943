// SPDX-License-Identifier: Apache-2.0
#include "engine/local/dns.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "engine/local/descriptor.hpp"

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

bool dns_answers(Address address) {
  const Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(53);
  to.sin_addr.s_addr = htonl(address.bits);
  return socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
}

std::string dns_hosts(const std::map<std::string, std::string>& addresses) {
  std::string text;
  for (const auto& [name, address] : addresses) text += address + " " + name + " " + name + ".internal\n";
  return text;
}

}  // namespace tow::engine::local
