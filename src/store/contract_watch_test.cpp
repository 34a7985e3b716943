// SPDX-License-Identifier: Apache-2.0
// The contract of watches and of history.
#include <thread>

#include "store/contract_test.hpp"

namespace tow::store {
namespace {

TEST_P(StoreContract, AWatchGivesEveryLaterChangeOnce) {
  commit(create(key("a")));
  commit(create(key("b")));
  const auto watch = store->watch(1);
  EXPECT_EQ(text(run_blocking(watch->next())), "2+b");
  commit(create(key("c")));
  commit(Transaction{}.erase(key("a")));
  EXPECT_EQ(text(run_blocking(watch->next())), "3+c 4-a");
}

TEST_P(StoreContract, AWatchWaits) {
  commit(create(key("a")));
  const auto watch = store->watch(1);
  std::thread later{[&] { commit(create(key("b"))); }};
  EXPECT_EQ(text(run_blocking(watch->next())), "2+b");
  later.join();
}

TEST_P(StoreContract, AWatchSeesOnlyWhatItsFilterLetsThrough) {
  const std::pair<Filter, const char*> cases[] = {
      {{.kind = "Route"}, "3+r"},
      {{.project = "bank"}, "2+b"},
      {{.kind = "Deployment", .project = "shop"}, "1+a 4+a 5+a 6+a"},
      {{.labels = {{"t", "x"}}}, "1+a 4-a 6+a"},
      {{.labels = {{"t", "y"}}}, "4+a 5+a 6-a"},
      {{.owner = "nobody"}, "7+end"},
  };
  std::vector<std::unique_ptr<Watch>> live;
  for (const auto& [filter, expected] : cases) live.push_back(store->watch(0, filter));
  commit(create(key("a"), "{}", {{"t", "x"}}));
  commit(create(key("b", "Deployment", "bank")));
  commit(create(key("r", "Route")));
  commit(Transaction{}.put_metadata(key("a"), {{"t", "y"}}, {}));  // leaves one filter, enters another
  commit(Transaction{}.put_status(key("a"), R"({"up":1})"));
  commit(Transaction{}.put_metadata(key("a"), {{"t", "x"}}, {}));
  Record owner = draft(key("owner", "Project", "other"));
  owner.uid = "nobody";
  Record end = draft(key("end", "Volume", "other"));
  end.owner = "nobody";
  commit(Transaction{}.create(owner).create(end));
  for (std::size_t i = 0; i < live.size(); ++i) {
    EXPECT_EQ(text(run_blocking(live[i]->next())), cases[i].second);
    EXPECT_EQ(text(run_blocking(store->watch(0, cases[i].first)->next())), cases[i].second);
  }
}

TEST_P(StoreContract, AWatchGoesOnFromHistoryAndThenFromTheRing) {
  open({.changes = 10, .batch = 7});
  std::string expected;
  for (int i = 1; i <= 100; ++i) {
    commit(create(key(std::to_string(i), i % 3 ? "Deployment" : "Event")));
    expected += fmt::format("{}{}+{}", i > 1 ? " " : "", i, i);
  }
  const auto watch = store->watch(0);
  std::string seen;
  for (int i = 101; i <= 150; ++i) {
    for (const auto& change : run_blocking(watch->next()))
      seen += fmt::format("{}{}+{}", seen.empty() ? "" : " ", change.revision, change.record->key.name);
    commit(create(key(std::to_string(i))));
    expected += fmt::format(" {}+{}", i, i);
  }
  while (seen.size() < expected.size())
    for (const auto& change : run_blocking(watch->next()))
      seen += fmt::format(" {}+{}", change.revision, change.record->key.name);
  EXPECT_EQ(seen, expected);
}

TEST_P(StoreContract, HistoryAndRingGiveTheSameChanges) {
  open({.changes = 6});  // more than a step makes: who follows reads the ring, who comes later reads history
  const Filter filters[] = {{}, {.project = "shop"}, {.labels = {{"t", "x"}}}};
  std::vector<std::unique_ptr<Watch>> watches;
  std::vector<std::string> followed(std::size(filters));
  for (const auto& filter : filters) watches.push_back(store->watch(0, filter));
  const auto describe = [](const std::vector<Change>& changes) {
    std::string lines;
    for (const auto& change : changes)
      lines += fmt::format("{} {} {}\n", change.revision, int(change.type), text(*change.record));
    return lines;
  };
  const auto step = [&](Transaction transaction) {
    clock.advance(std::chrono::seconds{1});
    commit(std::move(transaction));
    const auto beat = "beat" + std::to_string(store->snapshot()->revision());  // every filter lets it through
    commit(create(key(beat), "{}", {{"t", "x"}}));
    for (std::size_t i = 0; i < watches.size(); ++i)
      followed[i] += describe(run_blocking(watches[i]->next()));
  };
  Record first = draft(key("a"), "{}", {{"t", "x"}});
  first.finalizers = {"f"};
  step(Transaction{}.create(first));
  step(create(key("e", "Event"), "{}", {{"t", "x"}, {"u", "\"quoted\"\n"}}));
  step(Transaction{}.put_metadata(key("a"), {{"t", "y"}}, {{"note", "ü"}}).put_spec(key("a"), R"({"n":1})"));
  step(Transaction{}.put_metadata(key("e", "Event"), {{"t", "y"}}, {}));
  step(Transaction{}.put_metadata(key("a"), {{"t", "x"}}, {}));
  step(Transaction{}.erase(key("a")));
  step(Transaction{}
           .remove_finalizer(key("a"), "f")
           .erase(key("e", "Event"))
           .create(draft(key("e", "Event"))));
  for (std::size_t i = 0; i < watches.size(); ++i) {
    std::string again;
    const auto watch = store->watch(0, filters[i]);
    while (again.size() < followed[i].size()) again += describe(run_blocking(watch->next()));
    EXPECT_EQ(again, followed[i]) << i;
  }
}

TEST_P(StoreContract, AWatchNeverSplitsATransaction) {
  open({.changes = 40, .batch = 5});
  for (int t = 0; t < 20; ++t) {
    Transaction transaction;
    for (int i = 0; i < 4; ++i) transaction.create(draft(key(fmt::format("{}-{}", t, i))));
    commit(std::move(transaction));
  }
  const auto watch = store->watch(0);
  std::size_t seen = 0;
  for (StoreRevision last = 0; last < 20;) {
    const auto changes = run_blocking(watch->next());
    EXPECT_GT(changes.front().revision, last);
    last = changes.back().revision;
    EXPECT_EQ(changes.size() % 4, 0u);
    seen += changes.size();
  }
  EXPECT_EQ(seen, 80u);
}

TEST_P(StoreContract, ASlowWatcherIsTold) {
  open({.changes = 10, .lag = 50});
  const auto slow = store->watch(0);
  const auto slower = store->watch(0);
  commit(create(key("first")));
  run_blocking(slow->next());
  run_blocking(slower->next());
  for (int i = 0; i < 40; ++i) commit(create(key(std::to_string(i))));
  EXPECT_EQ(run_blocking(slow->next()).size(), 40u) << "a little late is served from history";
  for (int i = 40; i < 80; ++i) commit(create(key(std::to_string(i))));
  EXPECT_THROW(run_blocking(slower->next()), WatchLost);
  EXPECT_EQ(run_blocking(store->watch(0)->next()).size(), 81u) << "who asks for old revisions gets them";
}

TEST_P(StoreContract, AWatchFromTheFutureIsRefused) {
  commit(create(key("a")));
  EXPECT_THROW(run_blocking(store->watch(7)->next()), WatchLost) << "it does not come from this store";
}

TEST_P(StoreContract, AWatchCanBeCancelled) {
  const auto watch = store->watch(0);
  bool cancelled = false;
  run_blocking([](Watch& each, bool& result) -> Task<> {
    Scope scope{co_await boost::asio::this_coro::executor, "watchers"};
    scope.spawn([](Watch& inner, bool& out) -> Task<> {
      try {
        co_await inner.next();
      } catch (const Error& error) {
        out = error.code() == Code::Cancelled;
      }
    }(each, result));
    for (int i = 0; i < 10; ++i) co_await yield_now();
    scope.cancel();
    co_await scope.join();
  }(*watch, cancelled));
  EXPECT_TRUE(cancelled);
  commit(create(key("a")));
  EXPECT_EQ(text(run_blocking(watch->next())), "1+a") << "and be used again";
}

TEST_P(StoreContract, HistoryTellsHowItWas) {
  for (const char* kind : {"Deployment", "Event"}) {
    SCOPED_TRACE(kind);
    const auto base = store->snapshot()->revision();
    const Key web = key("web", kind);
    commit(create(web, R"({"n":1})", {{"t", "x"}}));  // 1
    commit(create(key("api", kind)));                 // 2
    clock.advance(std::chrono::minutes{1});
    commit(Transaction{}.put_spec(web, R"({"n":2})"));          // 3
    commit(Transaction{}.put_metadata(web, {{"t", "y"}}, {}));  // 4
    clock.advance(std::chrono::minutes{1});
    commit(Transaction{}.erase(web));   // 5
    commit(create(web, R"({"n":6})"));  // 6

    EXPECT_FALSE(run_blocking(store->find_at(web, base)));
    EXPECT_EQ(run_blocking(store->find_at(web, base + 2))->spec, R"({"n":1})");
    EXPECT_EQ(run_blocking(store->find_at(web, base + 3))->spec, R"({"n":2})");
    EXPECT_EQ(run_blocking(store->find_at(web, base + 3))->generation, 2);
    EXPECT_FALSE(run_blocking(store->find_at(web, base + 5)));
    EXPECT_EQ(run_blocking(store->find_at(web, base + 6))->spec, R"({"n":6})");

    const auto list = [&](StoreRevision revision, Labels labels = {}) {
      return names(
          run_blocking(store->list_at({.kind = kind, .labels = std::move(labels)}, base + revision)));
    };
    EXPECT_EQ(list(0), "");
    EXPECT_EQ(list(1), "web");
    EXPECT_EQ(list(2), "api web");
    EXPECT_EQ(list(3, {{"t", "x"}}), "web");
    EXPECT_EQ(list(4, {{"t", "x"}}), "");
    EXPECT_EQ(list(5), "api");
    EXPECT_EQ(list(6), "api web");

    const auto history = run_blocking(store->history(web));
    EXPECT_EQ(text(history), fmt::format("{}+web {}-web {}+web {}+web {}+web", base + 6, base + 5, base + 4,
                                         base + 3, base + 1));
    EXPECT_EQ(text(*history[1].record), text(*history[2].record)) << "a removal shows it as it was last";
    EXPECT_EQ(run_blocking(store->history(web, 2)).size(), 2u);
    EXPECT_TRUE(run_blocking(store->history(key("none", kind))).empty());

    const auto at = [&](std::chrono::minutes ago) {
      return run_blocking(store->revision_at(clock.now() - ago));
    };
    EXPECT_EQ(at(std::chrono::minutes{0}), base + 6);
    EXPECT_EQ(at(std::chrono::minutes{1}), base + 4);
    EXPECT_EQ(at(std::chrono::minutes{2}), base + 2);
  }
  EXPECT_EQ(run_blocking(store->revision_at(TimePoint{})), 0);
}

TEST_P(StoreContract, CompactionForgetsWhatCameBefore) {
  open({.changes = 2});
  commit(
      create(key("web"), R"({"n":1})").create(draft(key("gone"))).create(draft(key("old", "Event"))));  // 1
  commit(Transaction{}.put_spec(key("web"), R"({"n":2})"));                                             // 2
  commit(Transaction{}.erase(key("gone")));                                                             // 3
  const auto horizon = clock.now();
  clock.advance(std::chrono::minutes{1});
  commit(Transaction{}.put_spec(key("web"), R"({"n":4})"));  // 4
  run_blocking(store->compact(horizon));

  EXPECT_THROW(run_blocking(store->find_at(key("web"), 2)), WatchLost);
  EXPECT_THROW(run_blocking(store->list_at({}, 2)), WatchLost);
  EXPECT_THROW(run_blocking(store->watch(2)->next()), WatchLost);
  EXPECT_EQ(run_blocking(store->find_at(key("web"), 3))->spec, R"({"n":2})");
  EXPECT_EQ(names(run_blocking(store->list_at({}, 3))), "web old");
  EXPECT_EQ(text(run_blocking(store->watch(3)->next())), "4+web");
  EXPECT_EQ(text(run_blocking(store->history(key("web")))), "4+web 2+web");
  EXPECT_TRUE(run_blocking(store->history(key("gone"))).empty());
  EXPECT_TRUE(find(key("old", "Event"))) << "what exists stays, however old";
  EXPECT_EQ(run_blocking(store->revision_at(horizon)), 3);

  run_blocking(store->compact(horizon));  // again: nothing
  run_blocking(store->compact(TimePoint{}));
  EXPECT_EQ(run_blocking(store->find_at(key("web"), 3))->spec, R"({"n":2})");
  run_blocking(store->compact(clock.now()));
  EXPECT_THROW(run_blocking(store->find_at(key("web"), 3)), WatchLost);
  EXPECT_EQ(find(key("web"))->spec, R"({"n":4})");
  EXPECT_EQ(commit(create(key("next"))), 5) << "no revision is used again";
}

TEST_P(StoreContract, PurgedVersionsAreGoneForGood) {
  for (const std::size_t ring : {1'000, 1}) {
    SCOPED_TRACE(ring);
    open({.changes = ring});
    const Key secret = key("password", "Secret");
    commit(create(secret, R"({"value":"one"})"));
    commit(Transaction{}.put_spec(secret, R"({"value":"two"})"));
    commit(Transaction{}.erase(secret));
    commit(create(secret, R"({"value":"three"})"));
    commit(Transaction{}.put_spec(secret, R"({"value":"four"})"));
    run_blocking(store->purge_history(secret));

    std::string all;
    for (const auto& change : run_blocking(store->history(secret))) all += change.record->spec;
    for (StoreRevision revision = 1; revision <= 5; ++revision)
      if (const auto found = run_blocking(store->find_at(secret, revision))) all += found->spec;
    for (const auto& change : run_blocking(store->watch(0)->next())) all += change.record->spec;
    for (const char* value : {"one", "two", "three"}) EXPECT_EQ(all.find(value), std::string::npos) << value;
    EXPECT_EQ(find(secret)->spec, R"({"value":"four"})");
    EXPECT_EQ(run_blocking(store->find_at(secret, 5))->spec, R"({"value":"four"})");
  }
}

TEST_P(StoreContract, TimeNeverRunsBackwards) {
  commit(create(key("a")));
  clock.advance(std::chrono::hours{-1});
  commit(create(key("b")));
  EXPECT_EQ(find(key("b"))->created, find(key("a"))->created);
}

}  // namespace
}  // namespace tow::store
