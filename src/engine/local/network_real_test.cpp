// SPDX-License-Identifier: Apache-2.0
// What instances reach, and what they do not.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>
#include <thread>

#include "base/process.hpp"
#include "engine/local/launch.hpp"
#include "engine/local/machine.hpp"
#include "engine/local/netlink.hpp"

namespace tow::engine::local {
namespace {

using std::chrono::milliseconds;
using testing::AnyOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

/// A program of the host that runs as long as this lives.
class Server {
 public:
  explicit Server(std::vector<std::string> argv)
      : launched_{launch({.argv = std::move(argv), .environment = {"PATH=/usr/sbin:/usr/bin"}})} {}
  ~Server() {
    signal(launched_.process, SIGKILL);
    wait_for_end(launched_.process, 5000);
  }
  pid_t pid() const { return launched_.pid; }

 private:
  Launched launched_;
};

/// With and without the kernel's showing bridged packets to the IP rules, which is set machine-wide.
class NetworkReal : public OnMachine, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    OnMachine::SetUp();
    std::ofstream{"/proc/sys/net/bridge/bridge-nf-call-iptables"} << GetParam();
  }
  void serve(const std::string& group, const std::string& environment, int count = 1) {
    auto w = workload({"serve", "8080"}, {{.name = "http", .port = 8080}});
    w.environment = environment;
    w.component = group;
    ensure(group, w, count);
    wait_ready(group, count);
  }
  std::string address(const std::string& group, std::size_t at = 0) {
    return engine_->group(group)->instances.at(at).address;
  }
  std::string service(Service s) {
    std::string out;
    run_blocking([](Engine& e, Service what, std::string& to) -> Task<> {
      to = co_await e.ensure_service(std::move(what));
    }(*engine_, std::move(s), out));
    return out;
  }
  std::string in(const std::string& environment, std::vector<std::string> words) {
    return run(std::move(words), [&](Workload& w) { w.environment = environment; });
  }
  static std::string shell(const std::string& command) {
    const auto outcome = run_blocking(tow::run({.argv = {"sh", "-c", command}}));
    return outcome.out + outcome.err;
  }
};

TEST_P(NetworkReal, InstancesOfAnEnvironmentReachEachOther) {
  serve("g1", "e1");
  EXPECT_EQ(in("e1", {"fetch", address("g1"), "8080"}), "g1-0");
}

TEST_P(NetworkReal, EnvironmentsAreClosedToEachOther) {
  serve("g1", "e1");
  serve("g2", "e2");
  const auto at = service({.environment = "e2",
                           .name = "api",
                           .ports = {{.port = 80, .target = 8080}},
                           .endpoints = {address("g2")}});
  EXPECT_EQ(in("e2", {"fetch", at, "80"}), "g2-0");
  EXPECT_THAT(in("e1", {"fetch", address("g2"), "8080"}), AnyOf("No route to host", "Connection refused"));
  EXPECT_THAT(in("e1", {"fetch", at, "80"}), AnyOf("No route to host", "Connection refused"));
  EXPECT_EQ(in("e1", {"fetch", "api", "80"}), "unknown host api") << "nor are its names known";
}

TEST_P(NetworkReal, TheHostIsClosedButForDns) {
  serve("g1", "e1");
  serve("g2", "e2");
  // A server of the host on every address: the bridges', too.
  const Server server{{"/usr/bin/python3", "-m", "http.server", "7777"}};
  eventually("the host's server answers",
             [] { return shell("curl -s -o /dev/null -w %{http_code} http://127.0.0.1:7777/") == "200"; });
  EXPECT_EQ(in("e1", {"fetch", "10.90.0.1", "7777"}), "Connection refused") << "its own bridge";
  EXPECT_EQ(in("e1", {"fetch", "10.90.4.1", "7777"}), "Connection refused") << "another bridge's address";
  shell("ip address add 198.51.100.7/32 dev lo");
  EXPECT_EQ(in("e1", {"fetch", "198.51.100.7", "7777"}), "Connection refused") << "any address of the host";
  EXPECT_EQ(in("e1", {"udp-ask", "10.90.0.1", "7777"}), "No route to host") << "UDP is refused, too";
}

TEST_P(NetworkReal, AnotherEnvironmentsDnsServerIsClosed) {
  serve("g1", "e1");
  serve("g2", "e2");
  EXPECT_EQ(in("e1", {"fetch", "10.90.4.1", "53"}), "Connection refused");
  EXPECT_EQ(in("e1", {"udp-ask", "10.90.4.1", "53"}), "No route to host");
}

TEST_P(NetworkReal, TheHostReachesInstances) {
  serve("g1", "e1");
  EXPECT_EQ(shell("curl -s http://" + address("g1") + ":8080/"), "g1-0");
}

TEST_P(NetworkReal, AServiceSpreadsOverItsEndpoints) {
  serve("g1", "e1", 3);
  const auto at = service({.environment = "e1",
                           .name = "api",
                           .ports = {{.port = 80, .target = 8080}},
                           .endpoints = {address("g1", 0), address("g1", 1), address("g1", 2)}});
  std::set<std::string> seen;
  for (int i = 0; i < 3; ++i) seen.insert(in("e1", {"fetch", "api", "80"}));
  EXPECT_EQ(seen.size(), 3u) << "in turn";
  EXPECT_EQ(in("e1", {"fetch", "api.internal", "80"}).substr(0, 3), "g1-");
  EXPECT_EQ(in("e1", {"fetch", at, "80"}).substr(0, 3), "g1-");
}

TEST_P(NetworkReal, AnInstanceReachesItselfByItsService) {
  serve("g1", "e1");
  service({.environment = "e1",
           .name = "self",
           .ports = {{.port = 80, .target = 8080}},
           .endpoints = {address("g1")}});
  EXPECT_EQ(exec("g1-0", {"/p", "fetch", "self", "80"}).first, "g1-0\n");
}

TEST_P(NetworkReal, AServiceWithoutEndpointRefusesAtOnce) {
  serve("g1", "e1");
  Service s{.environment = "e1", .name = "api", .ports = {{.port = 80, .target = 8080}}};
  service(s);
  EXPECT_EQ(in("e1", {"fetch", "api", "80"}), "Connection refused");
  s.endpoints = {address("g1")};
  service(s);
  EXPECT_EQ(in("e1", {"fetch", "api", "80"}), "g1-0");
  EXPECT_EQ(in("e1", {"fetch", "api", "81"}), "Connection refused") << "a port that it does not have";
  s.endpoints = {};
  service(s);
  EXPECT_EQ(in("e1", {"fetch", "api", "80"}), "Connection refused");
  run_blocking(engine_->remove_service("e1", "api"));
  EXPECT_EQ(in("e1", {"fetch", "api", "80"}), "unknown host api");
}

TEST_P(NetworkReal, UdpIsSpreadToo) {
  auto w = workload({"udp-echo", "5353"}, {{.name = "echo", .port = 5353, .protocol = Protocol::Udp}});
  ensure("g1", w);
  wait_ready("g1");
  service({.environment = "e1",
           .name = "echo",
           .ports = {{.port = 53, .target = 5353, .protocol = Protocol::Udp}},
           .endpoints = {address("g1")}});
  EXPECT_EQ(in("e1", {"udp-ask", "echo", "53"}), "web-0");
}

TEST_P(NetworkReal, HttpGoesByWayOfTheProxyWhichKnowsWhatWasMeant) {
  serve("g1", "e1");
  // HAProxy as the router will run it: the backend is chosen by original destination.
  const auto haproxy = root_ / "haproxy.cfg";
  proxy_port_ = 18081;
  const auto at = service({.environment = "e1",
                           .name = "api",
                           .ports = {{.port = 80, .target = 8080, .http = true}},
                           .endpoints = {address("g1")}});
  std::ofstream{haproxy}
      << "defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 1s\n"
         "frontend internal\n  bind 0.0.0.0:18081\n"
         "  http-request return status 200 content-type text/plain lf-string "
         "\"%[dst]:%[dst_port] from %[src]\"\n";
  const Server proxy{{"/usr/sbin/haproxy", "-f", haproxy}};
  eventually("HAProxy listens",
             [] { return shell("curl -s http://127.0.0.1:18081/").find("from") != std::string::npos; });
  const std::string said = in("e1", {"fetch", "api", "80"});
  EXPECT_THAT(said, HasSubstr(at + ":80 from 10.90.0."));
  EXPECT_EQ(in("e1", {"fetch", "10.90.0.1", "18081"}), "Connection refused")
      << "only what was redirected may come in";
}

/// Another network beyond the host, with a server in it that says who asks.
class Outside {
 public:
  Outside() {
    const std::string own = fs::read_symlink("/proc/self/ns/net");
    const std::string process = "/proc/" + std::to_string(server_.pid());
    while (fs::read_symlink(process + "/ns/net") == own) std::this_thread::sleep_for(milliseconds{1});
    const Descriptor network{::open((process + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC)};
    Netlink here;
    here.add_bridge("outside0", *parse_address("203.0.113.1"));
    here.add_address(*here.index("outside0"), *parse_address("203.0.113.1"), 24);
    here.add_pair({.host_end = "outside1",
                   .bridge = *here.index("outside0"),
                   .peer = "eth0",
                   .peer_namespace = network.get(),
                   .mac_from = *parse_address("203.0.113.9")});
    Netlink there{network.get()};
    there.add_address(*there.index("eth0"), *parse_address("203.0.113.9"), 24);
    there.up(*there.index("eth0"));
    there.add_default_route(*parse_address("203.0.113.1"));
  }
  ~Outside() {
    Netlink{}.remove("outside1");
    Netlink{}.remove("outside0");
  }
  std::string run(const std::string& command) {
    return run_blocking(tow::run({.argv = {"nsenter", "-t", std::to_string(server_.pid()), "-n", "sh", "-c",
                                           command}}))
        .out;
  }

 private:
  Server server_{{"/usr/bin/unshare", "-n", ENGINE_PAYLOAD, "serve", "80"}};
};

TEST_P(NetworkReal, TheOutsideIsReachedUnderTheHostsAddressUnlessClosed) {
  Outside outside;
  serve("g1", "e1");
  EXPECT_EQ(in("e1", {"fetch", "203.0.113.9", "80", "/source"}), "203.0.113.1") << "masqueraded";
  const auto closed = run({"fetch", "203.0.113.9", "80", "/source"}, [](Workload& w) { w.outbound = false; });
  EXPECT_THAT(closed, AnyOf("No route to host", "Connection refused"));
  EXPECT_EQ(outside.run("curl -s -m 1 http://" + address("g1") + ":8080/"), "")
      << "nobody outside reaches in";
  EXPECT_NE(shell("curl -s http://" + address("g1") + ":8080/"), "") << "though it serves";
}

TEST_P(NetworkReal, WhatIsClosedStaysSoWhenTheEngineIsAnother) {
  Outside outside;
  auto closed = workload({"serve", "8080"}, {{.name = "http", .port = 8080}});
  closed.outbound = false;
  ensure("g1", closed);
  wait_ready("g1");
  const auto reach = [&] { return exec("g1-0", {"/p", "fetch", "203.0.113.9", "80", "/source"}).first; };
  const auto before = reach();
  EXPECT_THAT(before, AnyOf(HasSubstr("No route to host"), HasSubstr("Connection refused")));
  stop_engine();
  start_engine();
  wait_ready("g1");
  EXPECT_EQ(reach(), before);
  EXPECT_EQ(run({"fetch", "203.0.113.9", "80", "/source"}), "203.0.113.1") << "its neighbours are not closed";
}

TEST_P(NetworkReal, NobodyOutsideReachesTheProxysPortOrTheBridges) {
  Outside outside;
  serve("g1", "e1");
  proxy_port_ = 18081;
  service({.environment = "e1",
           .name = "api",
           .ports = {{.port = 80, .target = 8080, .http = true}},
           .endpoints = {address("g1")}});
  const Server proxy{{"/usr/bin/python3", "-m", "http.server", "18081"}};
  const Server other{{"/usr/bin/python3", "-m", "http.server", "7777"}};
  const auto from_outside = [&](const std::string& where) {
    return outside.run("curl -s -o /dev/null -m 1 -w '%{http_code}' http://" + where + "/");
  };
  const auto from_host = [&](const std::string& where) {
    return shell("curl -s -o /dev/null -w '%{http_code}' http://" + where + "/");
  };
  eventually("both answer", [&] {
    return from_host("127.0.0.1:18081") == "200" && from_outside("203.0.113.1:7777") == "200";
  });
  EXPECT_EQ(from_outside("203.0.113.1:18081"), "000") << "the proxy's own port";
  EXPECT_EQ(from_outside("10.90.0.1:7777"), "000") << "a bridge's address";
  EXPECT_EQ(outside.run("curl -s -o /dev/null -m 1 -w '%{time_connect}' http://10.90.0.1:53/"), "0.000000")
      << "its DNS";
  EXPECT_EQ(from_host("203.0.113.1:18081"), "200") << "the host reaches itself";
}

TEST_P(NetworkReal, ForeignFirewallsAreNamed) {
  EXPECT_TRUE(engine_->obstacles().empty());
  shell(
      "nft 'add table ip filter; "
      "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'");
  const auto found = engine_->obstacles();
  shell("nft delete table ip filter");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0], HasSubstr("ip filter FORWARD"));
  EXPECT_THAT(found[0], HasSubstr("twtb*"));
}

TEST_P(NetworkReal, ALostDnsServerComesBack) {
  serve("g1", "e1");
  service({.environment = "e1",
           .name = "api",
           .ports = {{.port = 80, .target = 8080}},
           .endpoints = {address("g1")}});
  kill_all("dnsmasq");
  eventually("names resolve again", [&] { return in("e1", {"fetch", "api", "80"}) == "g1-0"; });
}

INSTANTIATE_TEST_SUITE_P(BridgedThroughRules, NetworkReal, testing::Values("1"));
INSTANTIATE_TEST_SUITE_P(BridgedBeside, NetworkReal, testing::Values("0"));

}  // namespace
}  // namespace tow::engine::local
