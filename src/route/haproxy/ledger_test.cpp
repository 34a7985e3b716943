// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/ledger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::route::haproxy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

Backend backend(const SiteId& id, const std::string& host) {
  return {.site = {.id = id, .title = "t", .matches = {{.host = host}}}};
}

Ledger with_spares(std::size_t count) {
  Ledger ledger;
  ledger.declare(count);
  return ledger;
}

TEST(Ledger, ClaimsFreshBackendsAndFindsThemAgain) {
  Ledger ledger = with_spares(2);
  const int number = ledger.claim();
  ledger.put(number, backend("a", "a.test"));
  EXPECT_EQ(ledger.find("a"), number);
  EXPECT_EQ(ledger.owner(backend_name(number)), "a");
  ASSERT_NE(ledger.leads("a.test/"), nullptr);
  EXPECT_EQ(*ledger.leads("a.test/"), "a");
  EXPECT_EQ(ledger.spares(), 1U);
  EXPECT_EQ(ledger.wanted().claimed.size(), 1U);
  EXPECT_THAT(ledger.wanted().spare, ElementsAre(1));
}

TEST(Ledger, PutReplacesTheKeys) {
  Ledger ledger = with_spares(1);
  const int number = ledger.claim();
  ledger.put(number, backend("a", "old.test"));
  ledger.put(number, backend("a", "new.test"));
  EXPECT_EQ(ledger.leads("old.test/"), nullptr);
  EXPECT_NE(ledger.leads("new.test/"), nullptr);
}

TEST(Ledger, AKeyIsTakenFromWhoeverHadIt) {
  Ledger ledger = with_spares(2);
  const int first = ledger.claim();
  ledger.put(first, backend("a", "x.test"));
  ledger.put(ledger.claim(), backend("b", "x.test"));
  EXPECT_EQ(*ledger.leads("x.test/"), "b");
  EXPECT_THAT(ledger.at(first).site.matches, IsEmpty());
  ledger.put(first, backend("a", "y.test"));
  EXPECT_EQ(*ledger.leads("x.test/"), "b");  // and going on does not take it back
}

TEST(Ledger, AFreedBackendIsClaimedOnlyWhenItsCountersWereHeard) {
  Ledger ledger = with_spares(1);
  const int number = ledger.claim();
  ledger.put(number, backend("a", "a.test"));
  const std::uint64_t asked_before = ledger.handings();
  ledger.free(number);
  EXPECT_TRUE(ledger.handed_since(backend_name(number), asked_before));
  ledger.heard(asked_before);
  EXPECT_FALSE(ledger.has_fresh());
  EXPECT_TRUE(ledger.has_used());
  ledger.heard(ledger.handings());
  EXPECT_TRUE(ledger.has_fresh());
  EXPECT_EQ(ledger.leads("a.test/"), nullptr);
  EXPECT_FALSE(ledger.find("a"));
}

TEST(Ledger, DeclaresNewNumbersAndGivesUpTheHighest) {
  Ledger ledger = with_spares(2);
  ledger.claim();
  ledger.declare(3);
  EXPECT_THAT(ledger.wanted().spare, ElementsAre(1, 2, 3));
  ledger.declare(1);
  EXPECT_THAT(ledger.wanted().spare, ElementsAre(1, 2));
  ledger.declare(3);
  EXPECT_THAT(ledger.wanted().spare, ElementsAre(1, 2, 4));  // 3 is of a worker that may still be there
}

TEST(Ledger, ANewWorkerKnowsNothingThatLeft) {
  Ledger ledger = with_spares(2);
  Backend leaving = backend("a", "a.test");
  leaving.leaving = true;
  const int number = ledger.claim();
  ledger.put(number, std::move(leaving));
  Backend kept = backend("b", "b.test");
  kept.retired = {"i-1"};
  const int other = ledger.claim();
  ledger.put(other, std::move(kept));
  EXPECT_THAT(ledger.begin_anew(), ElementsAre(Pair("a", number)));
  EXPECT_TRUE(ledger.has_fresh());
  EXPECT_THAT(ledger.at(other).retired, IsEmpty());
}

const Ledger::Answers kAnswers = {
    .backends = "# name\nhandover_public\nnowhere\nb0\nb3\nb4\n",
    .sites = "0x1 b0 60000|01aa|shop web.dev\n0x2 b3 500|01bb|shop api.dev\n",
    .routes = "0x1 web.test/ b0\n0x2 web.test/api/ b3\n",
    .internal = "0x1 10.90.0.1:80 b3\n",
    .servers =
        "1\n# be_name srv_name srv_addr srv_admin_state srv_uweight srv_port\n"
        "handover_public successor - 0 1 0\nb0 i-1 10.0.0.1 0 90 80\nb0 i-0 10.0.0.2 1 90 80\n"};

TEST(LedgerRead, GivesBackWhatHaproxyServes) {
  const auto [ledger, sound] = Ledger::read(kAnswers);
  EXPECT_TRUE(sound);
  EXPECT_EQ(ledger.find("01aa"), 0);
  EXPECT_EQ(ledger.find("01bb"), 3);
  EXPECT_THAT(ledger.wanted().spare, ElementsAre(4));
  const Backend& web = ledger.at(0);
  EXPECT_EQ(web.site.title, "shop web.dev");
  ASSERT_EQ(web.site.servers.size(), 1U);
  EXPECT_EQ(web.site.servers[0].weight, 90);
  EXPECT_THAT(web.retired, ElementsAre("i-0"));
  const Backend& api = ledger.at(3);
  EXPECT_EQ(api.site.request_limit, Duration{500});
  ASSERT_EQ(api.site.matches.size(), 2U);
  EXPECT_EQ(api.site.matches[0].path, "/api");
  EXPECT_EQ(api.site.matches[1].port, 80);
  EXPECT_FALSE(ledger.has_fresh());  // what was spare may have served somebody
}

TEST(LedgerRead, LeavesOutWhatApplyWouldNotAdmitAndSaysSo) {
  struct Case {
    const char* reason;
    std::function<void(Ledger::Answers&)> spoil;
  };
  const Case cases[] = {
      {"a host with a space", [](auto& a) { a.routes += "0x3 a$b/ b0\n"; }},
      {"a key that is not one", [](auto& a) { a.routes += "0x3 web b0\n"; }},
      {"an unknown backend", [](auto& a) { a.routes += "0x3 x.test/ b9\n"; }},
      {"a port that is not one", [](auto& a) { a.internal += "0x3 10.0.0.1:http b0\n"; }},
      {"a title that is not one", [](auto& a) { a.sites += "0x3 b4 1|01cc|<b>\n"; }},
      {"a description that is not one", [](auto& a) { a.sites += "0x3 b4 x\n"; }},
      {"a site twice", [](auto& a) { a.sites += "0x3 b4 1|01aa|t\n"; }},
      {"a server of another spelling", [](auto& a) { a.servers += "b0 I_1 10.0.0.1 0 90 80\n"; }},
  };
  for (const Case& it : cases) {
    Ledger::Answers answers = kAnswers;
    it.spoil(answers);
    const auto [ledger, sound] = Ledger::read(answers);
    EXPECT_FALSE(sound) << it.reason;
    EXPECT_EQ(ledger.find("01bb"), 3) << it.reason;
  }
  EXPECT_TRUE(Ledger::read({}).sound);
}

}  // namespace
}  // namespace tow::route::haproxy
