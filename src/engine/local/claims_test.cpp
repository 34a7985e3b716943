// SPDX-License-Identifier: Apache-2.0
#include "engine/local/claims.hpp"

#include <gmock/gmock.h>

namespace tow::engine::local {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Claim claim(const std::string& table, const char* network, const std::string& links,
            const std::string& state = "/var/lib/other") {
  return {.table = table, .network = *parse_network(network), .links = links, .state = state};
}

const Claim kOwn = claim("towpath", "10.90.0.0/16", "tow", "/var/lib/towpath/engine");

TEST(Claims, AreReadAsTheyAreWritten) {
  const auto read = read_claim(claim_comment("tow", "/var/lib/towpath/engine"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->links, "tow");
  EXPECT_EQ(read->state, "/var/lib/towpath/engine");
  EXPECT_FALSE(read_claim("somebody's own words"));
  EXPECT_LE(claim_comment("tow", std::string(300, 'x')).size(), 127u);
  EXPECT_EQ(claim_comment("tow", "/a\"b\n"), "links tow, state /a?b?");
}

TEST(Claims, OfTwoEnginesAreHeldAgainstEachOther) {
  const struct {
    const char* reason;
    Claim other;
    const char* said;  // nothing: both may be
  } rows[] = {
      {"an earlier run of its own", kOwn, nullptr},
      {"all of its own", claim("second", "10.91.0.0/16", "two"), nullptr},
      {"the same network", claim("second", "10.90.0.0/16", "two"), "10.90.0.0/16, which overlaps"},
      {"a part of it", claim("second", "10.90.128.0/20", "two"), "(--network)"},
      {"a larger one around it", claim("second", "10.0.0.0/8", "two"), "(--network)"},
      {"the next one", claim("second", "10.91.0.0/20", "two"), nullptr},
      {"the same links", claim("second", "10.91.0.0/16", "tow"), "(--links)"},
      {"links that look like its bridges", claim("second", "10.91.0.0/16", "towb"), "(--links)"},
      {"links that go on otherwise", claim("second", "10.91.0.0/16", "tow2"), nullptr},
      {"links that are shorter", claim("second", "10.91.0.0/16", "to"), nullptr},
      {"the same name", claim("towpath", "10.91.0.0/16", "two"), "(--name)"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto all = conflicts(kOwn, {row.other}, {});
    if (row.said)
      EXPECT_THAT(all, ElementsAre(HasSubstr(row.said)));
    else
      EXPECT_THAT(all, SizeIs(0));
  }
}

TEST(Claims, OfItsNetworkAreHeldAgainstTheMachinesAddresses) {
  const auto with = [](const char* link, const char* address) {
    return conflicts(kOwn, {}, {{link, *parse_address(address)}});
  };
  EXPECT_THAT(
      with("eth0", "10.90.7.8"),
      ElementsAre("the link eth0 of this machine has the address 10.90.7.8, which lies in the network "
                  "10.90.0.0/16: choose another network (--network)"));
  EXPECT_THAT(with("eth0", "10.91.0.1"), SizeIs(0));
  EXPECT_THAT(with("towb0", "10.90.0.1"), SizeIs(0)) << "its own bridge";
}

TEST(Claims, AnEngineWhoseStateIsCutInTheCommentKnowsItself) {
  const Claim own = claim("towpath", "10.90.0.0/16", "tow", "/" + std::string(200, 'd'));
  auto earlier = *read_claim(claim_comment(own.links, own.state));
  earlier.table = own.table;
  earlier.network = own.network;
  EXPECT_THAT(conflicts(own, {earlier}, {}), SizeIs(0));
}

}  // namespace
}  // namespace tow::engine::local
