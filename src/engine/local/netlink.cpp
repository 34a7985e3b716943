// SPDX-License-Identifier: Apache-2.0
#include "engine/local/netlink.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "base/error.hpp"

namespace tow::engine::local {
namespace {

Descriptor open_socket() {
  Descriptor socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
  if (!socket) throw system_error("opening a netlink socket", errno);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  return socket;
}

/// A socket belongs to the namespace in which it was opened; threads share all but their namespaces.
Descriptor open_socket_in(int network_namespace) {
  Descriptor own{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
  if (!own) throw system_error("opening the own network namespace", errno);
  if (::setns(network_namespace, CLONE_NEWNET) != 0)
    throw system_error("entering a network namespace", errno);
  Descriptor socket;
  std::exception_ptr failure;
  try {
    socket = open_socket();
  } catch (...) {
    failure = std::current_exception();
  }
  if (::setns(own.get(), CLONE_NEWNET) != 0) std::abort();  // this thread would work in a stranger's network
  if (failure) std::rethrow_exception(failure);
  return socket;
}

/// Locally administered, and the same for the same address: whoever knew it before a restart still does.
std::array<unsigned char, 6> hardware_address(Address from) {
  const std::uint32_t ip = htonl(from.bits);
  std::array<unsigned char, 6> mac{0x02, 0x74};
  std::memcpy(mac.data() + 2, &ip, sizeof ip);
  return mac;
}

}  // namespace

/// One request, built front to back. Nested attributes are closed in reverse order of their opening.
class Netlink::Message {
 public:
  template <class Body>
  Message(std::uint16_t type, std::uint16_t flags, const Body& body) {
    header()->nlmsg_type = type;
    header()->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header()->nlmsg_len = NLMSG_LENGTH(0);
    raw(&body, sizeof body);
  }

  void raw(const void* data, std::size_t size) {
    if (header()->nlmsg_len + NLMSG_ALIGN(size) > sizeof buffer_)
      throw Error{Code::Internal, "a netlink message is too long"};
    if (size > 0) std::memcpy(buffer_.data() + header()->nlmsg_len, data, size);
    header()->nlmsg_len += static_cast<std::uint32_t>(NLMSG_ALIGN(size));
  }

  void attribute(std::uint16_t type, const void* data, std::size_t size) {
    rtattr start{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
    raw(&start, sizeof start);
    raw(data, size);
  }
  void attribute(std::uint16_t type, std::string_view text) { attribute(type, text.data(), text.size()); }
  void name(std::uint16_t type, const std::string& text) { attribute(type, text.c_str(), text.size() + 1); }
  void number(std::uint16_t type, std::uint32_t value) { attribute(type, &value, sizeof value); }
  void address(std::uint16_t type, Address value) { number(type, htonl(value.bits)); }

  void nested(std::uint16_t type, const std::function<void()>& content) {
    const std::size_t at = header()->nlmsg_len;
    attribute(type, nullptr, 0);
    content();
    reinterpret_cast<rtattr*>(buffer_.data() + at)->rta_len =
        static_cast<std::uint16_t>(header()->nlmsg_len - at);
  }

  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }

 private:
  alignas(nlmsghdr) std::array<char, 1024> buffer_{};
};

Netlink::Netlink() : socket_{open_socket()} {}
Netlink::Netlink(int network_namespace) : socket_{open_socket_in(network_namespace)} {}

void Netlink::call(Message& message, std::string_view what, int tolerated) {
  message.header()->nlmsg_seq = ++sequence_;
  if (::send(socket_.get(), message.header(), message.header()->nlmsg_len, 0) < 0)
    throw system_error(what, errno);
  alignas(nlmsghdr) std::array<char, 8192> answer;
  for (;;) {
    const auto size = ::recv(socket_.get(), answer.data(), answer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw system_error(what, errno);
    auto left = static_cast<unsigned>(size);
    for (auto* h = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
      if (h->nlmsg_seq != sequence_ || h->nlmsg_type != NLMSG_ERROR) continue;
      const int error = -static_cast<nlmsgerr*>(NLMSG_DATA(h))->error;
      if (error != 0 && error != tolerated) throw system_error(what, error);
      return;
    }
  }
}

std::optional<int> Netlink::index(const std::string& link) {
  ifinfomsg body{};
  Message message{RTM_GETLINK, 0, body};
  message.name(IFLA_IFNAME, link);
  message.header()->nlmsg_seq = ++sequence_;
  if (::send(socket_.get(), message.header(), message.header()->nlmsg_len, 0) < 0)
    throw system_error("asking for link " + link, errno);
  std::optional<int> found;
  alignas(nlmsghdr) std::array<char, 16384> answer;
  for (;;) {
    const auto size = ::recv(socket_.get(), answer.data(), answer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw system_error("asking for link " + link, errno);
    auto left = static_cast<unsigned>(size);
    for (auto* h = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
      if (h->nlmsg_seq != sequence_) continue;
      if (h->nlmsg_type == RTM_NEWLINK) found = static_cast<ifinfomsg*>(NLMSG_DATA(h))->ifi_index;
      if (h->nlmsg_type != NLMSG_ERROR) continue;
      const int error = -static_cast<nlmsgerr*>(NLMSG_DATA(h))->error;
      if (error != 0 && error != ENODEV) throw system_error("asking for link " + link, error);
      return found;
    }
  }
}

std::vector<std::string> Netlink::links(std::string_view prefix) {
  ifinfomsg body{};
  Message message{RTM_GETLINK, NLM_F_DUMP, body};
  message.header()->nlmsg_seq = ++sequence_;
  if (::send(socket_.get(), message.header(), message.header()->nlmsg_len, 0) < 0)
    throw system_error("listing links", errno);
  std::vector<std::string> found;
  alignas(nlmsghdr) std::array<char, 32768> answer;
  for (;;) {
    const auto size = ::recv(socket_.get(), answer.data(), answer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw system_error("listing links", errno);
    auto left = static_cast<unsigned>(size);
    for (auto* h = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
      if (h->nlmsg_type == NLMSG_DONE) return found;
      if (h->nlmsg_type == NLMSG_ERROR) throw system_error("listing links", EIO);
      if (h->nlmsg_type != RTM_NEWLINK) continue;
      auto rest = static_cast<unsigned>(IFLA_PAYLOAD(h));
      for (auto* a = IFLA_RTA(NLMSG_DATA(h)); RTA_OK(a, rest); a = RTA_NEXT(a, rest))
        if (a->rta_type == IFLA_IFNAME) {
          const std::string_view link{static_cast<const char*>(RTA_DATA(a))};
          if (link.starts_with(prefix)) found.emplace_back(link);
        }
    }
  }
}

void Netlink::add_bridge(const std::string& name, Address mac_from) {
  ifinfomsg body{};
  body.ifi_flags = body.ifi_change = IFF_UP;
  Message message{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body};
  message.name(IFLA_IFNAME, name);
  const auto mac = hardware_address(mac_from);
  message.attribute(IFLA_ADDRESS, mac.data(), mac.size());
  message.nested(IFLA_LINKINFO, [&] { message.attribute(IFLA_INFO_KIND, "bridge"); });
  call(message, "making bridge " + name, EEXIST);
  if (const auto link = index(name)) up(*link);
}

void Netlink::add_pair(const Pair& pair) {
  ifinfomsg body{};
  body.ifi_flags = body.ifi_change = IFF_UP;
  Message message{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body};
  message.name(IFLA_IFNAME, pair.host_end);
  message.number(IFLA_MASTER, static_cast<std::uint32_t>(pair.bridge));
  message.nested(IFLA_LINKINFO, [&] {
    message.attribute(IFLA_INFO_KIND, "veth");
    message.nested(IFLA_INFO_DATA, [&] {
      message.nested(VETH_INFO_PEER, [&] {
        const ifinfomsg peer{};
        message.raw(&peer, sizeof peer);
        message.name(IFLA_IFNAME, pair.peer);
        message.number(IFLA_NET_NS_FD, static_cast<std::uint32_t>(pair.peer_namespace));
        const auto mac = hardware_address(pair.mac_from);
        message.attribute(IFLA_ADDRESS, mac.data(), mac.size());
      });
    });
  });
  call(message, "making the link pair " + pair.host_end);
  if (const auto link = index(pair.host_end)) reflect(*link);
}

void Netlink::reflect(int link) {
  ifinfomsg body{};
  body.ifi_family = AF_BRIDGE;
  body.ifi_index = link;
  Message message{RTM_SETLINK, 0, body};
  message.nested(IFLA_PROTINFO | NLA_F_NESTED, [&] {
    const std::uint8_t on = 1;
    message.attribute(IFLA_BRPORT_MODE, &on, sizeof on);
  });
  call(message, "setting up a port of a bridge");
}

void Netlink::attach(int link, int bridge) {
  ifinfomsg body{};
  body.ifi_index = link;
  body.ifi_flags = body.ifi_change = IFF_UP;
  Message message{RTM_NEWLINK, 0, body};
  message.number(IFLA_MASTER, static_cast<std::uint32_t>(bridge));
  call(message, "attaching a link to its bridge");
  reflect(link);
}

void Netlink::add_address(int link, Address address, int prefix) {
  ifaddrmsg body{};
  body.ifa_family = AF_INET;
  body.ifa_prefixlen = static_cast<unsigned char>(prefix);
  body.ifa_index = static_cast<unsigned>(link);
  Message message{RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body};
  message.address(IFA_LOCAL, address);
  message.address(IFA_ADDRESS, address);
  call(message, "adding address " + to_string(address), EEXIST);
}

void Netlink::up(int link) {
  ifinfomsg body{};
  body.ifi_index = link;
  body.ifi_flags = body.ifi_change = IFF_UP;
  Message message{RTM_NEWLINK, 0, body};
  call(message, "bringing a link up");
}

void Netlink::add_default_route(Address gateway) {
  rtmsg body{};
  body.rtm_family = AF_INET;
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = RT_SCOPE_UNIVERSE;
  body.rtm_type = RTN_UNICAST;
  Message message{RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body};
  message.address(RTA_GATEWAY, gateway);
  call(message, "adding the route by " + to_string(gateway), EEXIST);
}

void Netlink::remove(const std::string& link) {
  ifinfomsg body{};
  Message message{RTM_DELLINK, 0, body};
  message.name(IFLA_IFNAME, link);
  call(message, "removing link " + link, ENODEV);
}

}  // namespace tow::engine::local
