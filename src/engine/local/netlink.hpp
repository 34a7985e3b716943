// SPDX-License-Identifier: Apache-2.0
#pragma once
// Links, addresses and routes through rtnetlink: about 2 ms for what a run of `ip` takes 11 for.
// Every call blocks until the kernel has answered, is idempotent, and throws Error{Internal} naming what
// failed. Not thread-safe; cheap to make.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/local/address.hpp"
#include "engine/local/descriptor.hpp"

namespace tow::engine::local {

class Netlink {
 public:
  /// Works in the network namespace of the calling thread.
  Netlink();
  /// Works in another one; the calling thread is back in its own when this returns.
  explicit Netlink(int network_namespace);

  std::optional<int> index(const std::string& link);
  /// Names of the links that begin with `prefix`.
  std::vector<std::string> links(std::string_view prefix);

  /// A bridge, up, without spanning tree. One that exists is brought up. Its hardware address is made from
  /// `mac_from` and stays: a bridge without one takes that of a port, and instances' ARP tables go stale.
  void add_bridge(const std::string& name, Address mac_from);

  struct Pair {
    std::string host_end;  // attached to the bridge, up
    int bridge = 0;        // index
    std::string peer;      // name inside the other namespace
    int peer_namespace = -1;
    Address mac_from;  // the peer's hardware address is made from it: 02:74:a.b.c.d
  };
  /// Fails when the host's end exists. The bridge may send back to it what came from it: so an instance
  /// reaches itself by its service, also where bridged packets pass the IP rules (bridge-nf-call-iptables).
  void add_pair(const Pair& pair);
  /// Makes a link a port of the bridge, as add_pair does; a port of it already is fine.
  void attach(int link, int bridge);

  void add_address(int link, Address address, int prefix);
  void up(int link);
  void add_default_route(Address gateway);
  /// A link that is not there is fine.
  void remove(const std::string& link);

 private:
  class Message;
  void reflect(int link);
  void call(Message& message, std::string_view what, int tolerated = 0);

  Descriptor socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace tow::engine::local
