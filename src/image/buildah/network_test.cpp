// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/network.hpp"

#include <gtest/gtest.h>

namespace tow::image::buildah {
namespace {

TEST(BuildNetwork, LoopbackPortsOfSettings) {
  struct Row {
    const char* address;
    std::uint16_t port;
    const char* reason;
  };
  for (const auto& [address, port, reason] : {
           Row{"http://127.0.0.1:3141/simple/", 3141, "an index on this machine"},
           Row{"http://localhost:8080", 8080, "by name"},
           Row{"http://user:word@localhost:81/", 81, "with a user"},
           Row{"https://[::1]/", 443, "the scheme's own port"},
           Row{"localhost:3128", 3128, "a proxy without a scheme"},
           Row{"http://127.0.0.1.example.org/", 0, "a name that only begins like it"},
           Row{"http://registry.example:80/127.0.0.1:9/", 0, "elsewhere"},
           Row{"http://127.0.0.1:99999/", 0, "no port"},
           Row{"", 0, "nothing"},
       })
    EXPECT_EQ(loopback_port(address), port) << reason;
}

TEST(BuildNetwork, IsACommandAroundTheBuild) {
  BuildNetwork network{.closed = {"10.90.0.0/16", "fd00::2/128"}, .loopback = {80, 3141}};
  EXPECT_EQ(
      render_routes(network),
      "link set lo up\nroute replace unreachable 10.90.0.0/16\nroute replace unreachable fd00::2/128\n");
  auto words = in_network(network, "/run/b1", {"buildah", "bud"});
  ASSERT_EQ(words.size(), 6U);
  EXPECT_EQ(words[3], "/run/b1/net");
  EXPECT_NE(words[2].find("--tcp-ns 80,3141 --udp-ns none"), std::string::npos) << words[2];
  network.resolver_on_loopback = true;
  words = in_network(network, "/run/b1", {"buildah"});
  EXPECT_NE(words[2].find("--tcp-ns 53,80,3141 --udp-ns 53"), std::string::npos) << words[2];
  network.outward = false;
  words = in_network(network, "/run/b1", {"buildah"});
  EXPECT_EQ(words[2].find("pasta"), std::string::npos)
      << "a machine without a way out has nothing to lead to";
}

TEST(BuildNetwork, OnlyWhatRunsOrFetchesNeedsOne) {
  EXPECT_TRUE(needs_network("FROM a\n  run x\n"));
  EXPECT_TRUE(needs_network("FROM a\nADD http://b/c /\n"));
  EXPECT_FALSE(needs_network("FROM a\nCOPY run add\n# RUN x\n"));
}

}  // namespace
}  // namespace tow::image::buildah
