// SPDX-License-Identifier: Apache-2.0
#include "route/contract.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/error.hpp"

namespace tow::route::contract {
namespace {

using namespace std::chrono_literals;

#define CODE_OF(task) code_of(*subject_, [&]() -> Task<> { co_await (task); })

Code code_of(Subject& subject, const std::function<Task<>()>& work) {
  Code code = Code::Internal;
  subject.run([](const std::function<Task<>()>& inner, Code& out) -> Task<> {
    try {
      co_await inner();
      out = Code::Cancelled;  // stands for "nothing was thrown", which no router throws here
    } catch (const Error& error) {
      out = error.code();
    }
  }(work, code));
  return code;
}

constexpr Code kFine = Code::Cancelled;

Site site(SiteId id, std::vector<Match> matches, std::vector<Server> servers) {
  return {.id = std::move(id),
          .title = "shop web.development",
          .matches = std::move(matches),
          .servers = std::move(servers)};
}

TEST_P(RouterContract, RoutesByHostWhateverItsCaseAndPort) {
  Router& router = subject_->router();
  subject_->run(router.start());
  subject_->run(router.apply(site("a", {{.host = "Web.test"}}, {subject_->server("a1")})));
  EXPECT_EQ(subject_->request("web.test", "/"), "a1");
  EXPECT_EQ(subject_->request("WEB.Test:8080", "/x?y=1"), "a1");
  EXPECT_EQ(subject_->request("web.test.", "/"), "a1");
  EXPECT_EQ(subject_->request("other.test", "/"), "404");
  EXPECT_EQ(subject_->request("xweb.test", "/"), "404");
  EXPECT_EQ(subject_->request("web.test.evil", "/"), "404");
}

TEST_P(RouterContract, TheLongestPathWinsOnSegmentBoundaries) {
  Router& router = subject_->router();
  subject_->run(router.start());
  subject_->run(router.apply(site("a", {{.host = "web.test"}}, {subject_->server("a1")})));
  subject_->run(router.apply(site("b", {{.host = "web.test", .path = "/api"}}, {subject_->server("b1")})));
  subject_->run(
      router.apply(site("c", {{.host = "web.test", .path = "/api/v2/"}}, {subject_->server("c1")})));
  const std::map<std::string, std::string> paths = {
      {"/", "a1"},        {"/apix", "a1"},   {"/ap", "a1"},        {"/api", "b1"},
      {"/api/", "b1"},    {"/api/v1", "b1"}, {"/api/v2", "c1"},    {"/api/v2/x", "c1"},
      {"/api/v22", "b1"}, {"/API", "a1"},    {"/api?x=/v2/", "b1"}};
  for (const auto& [path, server] : paths) EXPECT_EQ(subject_->request("web.test", path), server) << path;
}

TEST_P(RouterContract, InternalAddressesAreRoutedByDestination) {
  Router& router = subject_->router();
  subject_->run(router.start());
  subject_->run(router.apply(site("a", {subject_->internal(1)}, {subject_->server("a1")})));
  subject_->run(router.apply(site("b", {subject_->internal(2)}, {subject_->server("b1")})));
  EXPECT_EQ(subject_->request_internal(subject_->internal(1)), "a1");
  EXPECT_EQ(subject_->request_internal(subject_->internal(2)), "b1");
  EXPECT_EQ(subject_->request_internal(subject_->internal(3)), "404");
}

TEST_P(RouterContract, SharesByWeight) {
  Router& router = subject_->router();
  subject_->run(router.start());
  subject_->run(router.apply(
      site("a", {{.host = "web.test"}}, {subject_->server("a1", 75), subject_->server("a2", 25)})));
  std::map<std::string, int> answers;
  for (int i = 0; i < 40; ++i) ++answers[subject_->request("web.test", "/")];
  EXPECT_EQ(answers["a1"] + answers["a2"], 40);
  EXPECT_NEAR(answers["a1"], 30, 2);
}

TEST_P(RouterContract, AServerOfWeightNothingGetsNothingNew) {
  Router& router = subject_->router();
  subject_->run(router.start());
  Site wanted = site("a", {{.host = "web.test"}}, {subject_->server("a1"), subject_->server("a2", 0)});
  subject_->run(router.apply(wanted));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(subject_->request("web.test", "/"), "a1");
  std::swap(wanted.servers[0].weight, wanted.servers[1].weight);
  subject_->run(router.apply(wanted));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(subject_->request("web.test", "/"), "a2");
}

TEST_P(RouterContract, NothingReadyIsNotUnknown) {
  Router& router = subject_->router();
  subject_->run(router.start());
  subject_->run(router.apply(site("a", {{.host = "web.test"}}, {})));
  EXPECT_EQ(subject_->request("web.test", "/"), "503");
  subject_->run(router.apply(site("a", {{.host = "web.test"}}, {subject_->server("a1", 0)})));
  EXPECT_EQ(subject_->request("web.test", "/"), "503");
  subject_->run(router.apply(site("a", {{.host = "web.test"}}, {subject_->server("a1", 1)})));
  EXPECT_EQ(subject_->request("web.test", "/"), "a1");
}

TEST_P(RouterContract, ApplyIsTheWholeOfASite) {
  Router& router = subject_->router();
  subject_->run(router.start());
  subject_->run(router.apply(site("a", {{.host = "old.test"}, {.host = "kept.test"}},
                                  {subject_->server("a1"), subject_->server("a2")})));
  for (int repeat = 0; repeat < 2; ++repeat) {
    subject_->run(
        router.apply(site("a", {{.host = "kept.test"}, {.host = "new.test"}}, {subject_->server("a3")})));
    EXPECT_EQ(subject_->request("old.test", "/"), "404");
    EXPECT_EQ(subject_->request("kept.test", "/"), "a3");
    EXPECT_EQ(subject_->request("new.test", "/"), "a3");
  }
}

TEST_P(RouterContract, ARemovedSiteIsUnknownAndMayComeBack) {
  Router& router = subject_->router();
  subject_->run(router.start());
  const Site wanted = site("a", {{.host = "web.test"}}, {subject_->server("a1")});
  for (int repeat = 0; repeat < 3; ++repeat) {
    subject_->run(router.apply(wanted));
    EXPECT_EQ(subject_->request("web.test", "/"), "a1");
    subject_->run(router.remove("a"));
    EXPECT_EQ(subject_->request("web.test", "/"), "404");
  }
  subject_->run(router.remove("a"));
  subject_->run(router.remove("never"));
}

TEST_P(RouterContract, AHostMovesWhenItsSiteLetsGo) {
  Router& router = subject_->router();
  subject_->run(router.start());
  subject_->run(router.apply(site("a", {{.host = "web.test"}}, {subject_->server("a1")})));
  const Site other = site("b", {{.host = "web.test"}}, {subject_->server("b1")});
  EXPECT_EQ(CODE_OF(router.apply(other)), Code::AlreadyExists);
  EXPECT_EQ(subject_->request("web.test", "/"), "a1");
  subject_->run(router.apply(site("a", {}, {subject_->server("a1")})));
  EXPECT_EQ(CODE_OF(router.apply(other)), kFine);
  EXPECT_EQ(subject_->request("web.test", "/"), "b1");
}

TEST_P(RouterContract, WhatIsNotSafeIsRefusedWhole) {
  Router& router = subject_->router();
  subject_->run(router.start());
  Site bad = site("a", {{.host = "web.test"}}, {subject_->server("a1")});
  bad.title = "x\"\nglobal";
  EXPECT_EQ(CODE_OF(router.apply(bad)), Code::Invalid);
  EXPECT_EQ(CODE_OF(router.remove("a;shutdown")), Code::Invalid);
  EXPECT_EQ(CODE_OF(router.sessions("a", "b c")), Code::Invalid);
  EXPECT_EQ(subject_->request("web.test", "/"), "404");
}

TEST_P(RouterContract, CountsSessionsOfServersThatLeft) {
  Router& router = subject_->router();
  subject_->run(router.start());
  subject_->run(router.apply(site("a", {{.host = "web.test"}}, {subject_->server("a1")})));
  subject_->open_stream("a", "web.test", "a1");
  const auto sessions = [&] {
    std::uint32_t count = 99;
    subject_->run([](Router& of, std::uint32_t& out) -> Task<> { out = co_await of.sessions("a", "a1"); }(
                                                         router, count));
    return count;
  };
  EXPECT_EQ(sessions(), 1U);
  subject_->run(router.apply(site("a", {{.host = "web.test"}}, {subject_->server("a2")})));
  EXPECT_EQ(sessions(), 1U);
  EXPECT_EQ(subject_->request("web.test", "/"), "a2");
  subject_->run(router.remove("a"));
  EXPECT_EQ(sessions(), 1U);
  subject_->close_streams();
  EXPECT_EQ(sessions(), 0U);
}

TEST_P(RouterContract, SignalsCountAndNeverFall) {
  Router& router = subject_->router();
  subject_->run(router.start());
  const Site wanted = site("a", {{.host = "web.test"}}, {subject_->server("a1")});
  subject_->run(router.apply(wanted));
  for (int i = 0; i < 7; ++i) subject_->request("web.test", "/");
  const auto signals = [&] {
    std::map<SiteId, Signals> out;
    subject_->run([](Router& of, std::map<SiteId, Signals>& result) -> Task<> {
      result = co_await of.signals();
    }(subject_->router(), out));
    return out;
  };
  EXPECT_EQ(signals().at("a").requests, 7U);
  EXPECT_EQ(signals().at("a").responses[2], 7U);
  subject_->restart();
  subject_->run(subject_->router().start());
  subject_->run(subject_->router().apply(wanted));
  subject_->request("web.test", "/");
  EXPECT_EQ(signals().at("a").requests, 8U);
  subject_->run(subject_->router().remove("a"));
  EXPECT_FALSE(signals().contains("a"));
}

TEST_P(RouterContract, TrafficGoesOnWithoutAControlPlaneAndUntilSettle) {
  subject_->run(subject_->router().start());
  const Site kept = site("a", {{.host = "a.test"}}, {subject_->server("a1")});
  subject_->run(subject_->router().apply(kept));
  subject_->run(subject_->router().apply(site("b", {{.host = "b.test"}}, {subject_->server("b1")})));
  subject_->restart();
  EXPECT_EQ(subject_->request("a.test", "/"), "a1");
  subject_->run(subject_->router().start());
  EXPECT_EQ(subject_->request("b.test", "/"), "b1");
  subject_->run(subject_->router().apply(kept));
  EXPECT_EQ(subject_->request("b.test", "/"), "b1");
  subject_->run(subject_->router().settle());
  EXPECT_EQ(subject_->request("b.test", "/"), "404");
  EXPECT_EQ(subject_->request("a.test", "/"), "a1");
}

TEST_P(RouterContract, AHostOfASiteThatNobodyAppliedAgainMayBeTaken) {
  subject_->run(subject_->router().start());
  subject_->run(subject_->router().apply(
      site("a", {{.host = "web.test"}, {.host = "also.test"}}, {subject_->server("a1")})));
  subject_->restart();
  subject_->run(subject_->router().start());
  subject_->run(subject_->router().apply(site("b", {{.host = "web.test"}}, {subject_->server("b1")})));
  EXPECT_EQ(subject_->request("web.test", "/"), "b1");
  EXPECT_EQ(subject_->request("also.test", "/"), "a1");
  subject_->run(subject_->router().settle());
  EXPECT_EQ(subject_->request("web.test", "/"), "b1");
  EXPECT_EQ(subject_->request("also.test", "/"), "404");
}

// ---- requests that are held

Site sleeper(Subject& subject, int weight = 0, Hold hold = {}) {
  Site made = site("a", {{.host = "web.test"}, subject.internal(1)}, {});
  if (weight > 0) made.servers.push_back(subject.server("a1", weight));
  made.hold = hold;
  return made;
}

/// The sites that were told, safe to read while they are.
class Told {
 public:
  std::function<void(const SiteId&)> listener() {
    return [this](const SiteId& site) {
      const std::lock_guard lock{mutex_};
      ++times_[site];
    };
  }
  int times(const SiteId& site) {
    const std::lock_guard lock{mutex_};
    return times_[site];
  }

 private:
  std::mutex mutex_;
  std::map<SiteId, int> times_;
};

TEST_P(RouterContract, AHeldRequestIsToldAndAnsweredByTheFirstServer) {
  Told told;
  subject_->router().observe_held(told.listener());
  subject_->run(subject_->router().start());
  subject_->run(subject_->router().apply(sleeper(*subject_)));
  const auto first = subject_->begin_request("web.test");
  ASSERT_TRUE(subject_->soon([&] { return told.times("a") > 0; }));
  EXPECT_EQ(first(), "");
  subject_->run(subject_->router().apply(sleeper(*subject_, 100)));
  EXPECT_TRUE(subject_->soon([&] { return first() == "a1"; })) << first();
  EXPECT_EQ(subject_->request("web.test", "/"), "a1");
  EXPECT_EQ(subject_->request_internal(subject_->internal(1)), "a1");
}

TEST_P(RouterContract, ASiteFallsAsleepAndWakesAgainAndAgain) {
  Told told;
  subject_->router().observe_held(told.listener());
  subject_->run(subject_->router().start());
  for (int round = 1; round <= 3; ++round) {
    subject_->run(subject_->router().apply(sleeper(*subject_, 100)));
    EXPECT_EQ(subject_->request("web.test", "/"), "a1");
    Site drained = sleeper(*subject_, 100);
    drained.servers[0].weight = 0;  // it drains first
    subject_->run(subject_->router().apply(drained));
    subject_->run(subject_->router().apply(sleeper(*subject_)));
    const auto held = subject_->begin_request("web.test");
    ASSERT_TRUE(subject_->soon([&] { return told.times("a") >= round; }));
    subject_->run(subject_->router().apply(sleeper(*subject_, 100)));
    EXPECT_TRUE(subject_->soon([&] { return held() == "a1"; })) << held();
  }
}

TEST_P(RouterContract, NoMoreAreHeldThanMay) {
  subject_->router().observe_held([](const SiteId&) {});
  subject_->run(subject_->router().start());
  subject_->run(subject_->router().apply(sleeper(*subject_, 0, {.most = 2})));
  std::vector<std::function<std::string()>> all;
  for (int i = 0; i < 4; ++i) all.push_back(subject_->begin_request("web.test"));
  const auto count = [&](const std::string& answer) {
    return std::ranges::count_if(all, [&](const auto& each) { return each() == answer; });
  };
  EXPECT_TRUE(subject_->soon([&] { return count("503") == 2; }));
  subject_->run(subject_->router().apply(sleeper(*subject_, 100)));
  EXPECT_TRUE(subject_->soon([&] { return count("a1") == 2; }));
}

TEST_P(RouterContract, WhatIsHeldSurvivesAControlPlane) {
  subject_->router().observe_held([](const SiteId&) {});
  subject_->run(subject_->router().start());
  subject_->run(subject_->router().apply(sleeper(*subject_)));
  const auto held = subject_->begin_request("web.test");
  subject_->restart();
  EXPECT_EQ(held(), "");
  Told told;
  subject_->router().observe_held(told.listener());
  subject_->run(subject_->router().start());
  EXPECT_TRUE(subject_->soon([&] { return told.times("a") > 0; })) << "the new one is told as well";
  subject_->run(subject_->router().apply(sleeper(*subject_, 100)));
  EXPECT_TRUE(subject_->soon([&] { return held() == "a1"; })) << held();
}

TEST_P(RouterContract, WhatIsHeldForASiteThatGoesIsAnswered) {
  subject_->router().observe_held([](const SiteId&) {});
  subject_->run(subject_->router().start());
  subject_->run(subject_->router().apply(sleeper(*subject_)));
  const auto held = subject_->begin_request("web.test");
  subject_->run(subject_->router().remove("a"));
  EXPECT_TRUE(subject_->soon([&] { return held() == "404"; })) << held();
}

TEST_P(RouterContract, NothingIsAppliedBeforeStart) {
  EXPECT_EQ(CODE_OF(subject_->router().apply(site("a", {}, {}))), Code::FailedPrecondition);
}

}  // namespace

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RouterContract);

}  // namespace tow::route::contract
