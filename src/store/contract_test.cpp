// SPDX-License-Identifier: Apache-2.0
#include "store/contract_test.hpp"

#include "store/memory/memory.hpp"
#include "store/sqlite/sqlite.hpp"
#include "store/temporary_test.hpp"

namespace tow::store {

namespace {

// A store whose directory goes with it.
class Temporary final : public Store {
 public:
  Temporary(std::unique_ptr<TemporaryDirectory> directory, std::unique_ptr<Store> store)
      : directory_{std::move(directory)}, store_{std::move(store)} {}
  Task<StoreRevision> commit(Transaction t, Durability d) override { return store_->commit(std::move(t), d); }
  SnapshotPtr snapshot() const override { return store_->snapshot(); }
  std::unique_ptr<Watch> watch(StoreRevision from, Filter f) override {
    return store_->watch(from, std::move(f));
  }
  Task<std::vector<RecordPtr>> query(Query query) override { return store_->query(std::move(query)); }
  Task<RecordPtr> find(Key key) override { return store_->find(std::move(key)); }
  Task<RecordPtr> find_at(Key key, StoreRevision r) override { return store_->find_at(std::move(key), r); }
  Task<std::vector<RecordPtr>> list_at(Filter filter, StoreRevision r) override {
    return store_->list_at(std::move(filter), r);
  }
  Task<std::vector<Change>> history(Key key, std::size_t n) override {
    return store_->history(std::move(key), n);
  }
  Task<StoreRevision> revision_at(TimePoint time) override { return store_->revision_at(time); }
  Task<> compact(TimePoint before) override { return store_->compact(before); }
  Task<> purge_history(Key key) override { return store_->purge_history(std::move(key)); }
  Task<> close() override { return store_->close(); }

 private:
  std::unique_ptr<TemporaryDirectory> directory_;
  std::unique_ptr<Store> store_;
};

}  // namespace

std::vector<Implementation> implementations() {
  return {
      {"memory",
       [](IsCold is_cold, const Clock& clock, FeedLimits limits) {
         return memory::open({.is_cold = std::move(is_cold), .clock = &clock, .feed = limits});
       }},
      {"sqlite",
       [](IsCold is_cold, const Clock& clock, FeedLimits limits) -> std::unique_ptr<Store> {
         auto directory = std::make_unique<TemporaryDirectory>();
         auto store = sqlite::open({.directory = directory->path(),
                                    .is_cold = std::move(is_cold),
                                    .clock = &clock,
                                    .feed = limits});
         return std::make_unique<Temporary>(std::move(directory), std::move(store));
       }},
  };
}

std::string text(const Record& r) {
  std::string text = fmt::format(
      "{} {} owner={} generation={} revision={} created={}@{} updated={} deleted={} schema={}",
      to_string(r.key), r.uid, r.owner, r.generation, r.revision, to_string(r.created), r.created_revision,
      to_string(r.updated), r.deleted ? to_string(*r.deleted) : "-", r.schema);
  for (const auto& [k, v] : r.labels) text += fmt::format(" {}={}", k, v);
  for (const auto& [k, v] : r.annotations) text += fmt::format(" @{}={}", k, v);
  for (const auto& name : r.finalizers) text += fmt::format(" !{}", name);
  return text + " " + r.spec + " " + r.status;
}

namespace {

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, testing::ValuesIn(implementations()),
                         [](const auto& each) { return each.param.name; });

TEST_P(StoreContract, CreateFillsInWhatTheStoreKnows) {
  Record wanted = draft(key("web"), R"({"scale":1})", {{"team", "a"}});
  wanted.annotations = {{"note", "x\ny"}};
  wanted.finalizers = {"engine"};
  wanted.status = R"({"ready":false})";
  wanted.schema = 3;
  wanted.generation = 99;
  wanted.revision = 99;
  wanted.deleted = clock.now();
  const auto revision = commit(Transaction{}.create(wanted));

  const auto stored = find(key("web"));
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->uid.size(), 26u);
  EXPECT_EQ(text(*stored),
            fmt::format("deployment:shop/web {} owner= generation=1 revision={} created={}@{} updated={} "
                        "deleted=- schema=3 team=a @note=x\ny !engine {{\"scale\":1}} {{\"ready\":false}}",
                        stored->uid, revision, to_string(clock.now()), revision, to_string(clock.now())));
  EXPECT_EQ(store->snapshot()->get(key("web")), stored);
  EXPECT_EQ(store->snapshot()->get_by_uid(stored->uid), stored);
  EXPECT_EQ(store->snapshot()->revision(), revision);
}

TEST_P(StoreContract, EachActionChangesWhatItSaysAndNothingElse) {
  commit(create(key("web"), R"({"a":1})"));
  clock.advance(std::chrono::seconds{5});
  struct Case {
    const char* reason;
    Transaction transaction;
    const char* expected;  // generation, spec, status, labels, finalizers
  };
  const Case cases[] = {
      {"a new spec is a new generation", Transaction{}.put_spec(key("web"), R"({"a":2})"),
       "2 {\"a\":2} {}  "},
      {"status is no generation", Transaction{}.put_status(key("web"), R"({"up":1})"),
       "2 {\"a\":2} {\"up\":1}  "},
      {"labels are no generation", Transaction{}.put_metadata(key("web"), {{"t", "b"}}, {}),
       "2 {\"a\":2} {\"up\":1} t=b "},
      {"a finalizer is added once",
       Transaction{}.add_finalizer(key("web"), "f").add_finalizer(key("web"), "f"),
       "2 {\"a\":2} {\"up\":1} t=b f"},
      {"a finalizer that is not there is no error", Transaction{}.remove_finalizer(key("web"), "other"),
       "2 {\"a\":2} {\"up\":1} t=b f"},
      {"a finalizer goes", Transaction{}.remove_finalizer(key("web"), "f"), "2 {\"a\":2} {\"up\":1} t=b "},
      {"labels are replaced as a whole", Transaction{}.put_metadata(key("web"), {{"u", "c"}}, {}),
       "2 {\"a\":2} {\"up\":1} u=c "},
  };
  for (const auto& [reason, transaction, expected] : cases) {
    SCOPED_TRACE(reason);
    commit(transaction);
    const auto stored = find(key("web"));
    std::string labels, finalizers;
    for (const auto& [k, v] : stored->labels) labels += k + "=" + v;
    for (const auto& name : stored->finalizers) finalizers += name;
    EXPECT_EQ(
        fmt::format("{} {} {} {} {}", stored->generation, stored->spec, stored->status, labels, finalizers),
        expected);
    EXPECT_EQ(stored->created_revision, 1);
    EXPECT_EQ(stored->updated, clock.now());
    EXPECT_EQ(stored->created + std::chrono::seconds{5}, stored->updated);
  }
}

TEST_P(StoreContract, RefusesWithTheRightCodeAndThenChangesNothing) {
  commit(create(key("web")));
  commit(Transaction{}.put_spec(key("web"), R"({"a":1})"));  // revision 2
  commit(Transaction{}.create(draft(key("held"))).add_finalizer(key("held"), "f").erase(key("held")));
  Record owned = draft(key("new"));
  owned.owner = "nobody";
  Record taken = draft(key("new"));
  taken.uid = find(key("web"))->uid;
  Record nameless = draft(key(""));
  struct Case {
    const char* reason;
    Transaction transaction;
    Code code;
  };
  const Case cases[] = {
      {"the key is taken", create(key("web")), Code::AlreadyExists},
      {"the key is taken while the entity is being deleted", create(key("held")), Code::AlreadyExists},
      {"the key is taken within the transaction", create(key("new")).create(draft(key("new"))),
       Code::AlreadyExists},
      {"the uid is taken", Transaction{}.create(taken), Code::AlreadyExists},
      {"its owner does not exist", Transaction{}.create(owned), Code::FailedPrecondition},
      {"it has no name", Transaction{}.create(nameless), Code::Invalid},
      {"no spec of what is not there", Transaction{}.put_spec(key("no"), "{}"), Code::NotFound},
      {"no status of what is not there", Transaction{}.put_status(key("no"), "{}"), Code::NotFound},
      {"no labels of what is not there", Transaction{}.put_metadata(key("no"), {}, {}), Code::NotFound},
      {"no finalizer on what is not there", Transaction{}.add_finalizer(key("no"), "f"), Code::NotFound},
      {"no finalizer off what is not there", Transaction{}.remove_finalizer(key("no"), "f"), Code::NotFound},
      {"no end of what is not there", Transaction{}.erase(key("no")), Code::NotFound},
      {"an old revision of spec", Transaction{}.put_spec(key("web"), "{}", 1), Code::Conflict},
      {"a revision to come", Transaction{}.put_status(key("web"), "{}", 9), Code::Conflict},
      {"an old revision of labels", Transaction{}.put_metadata(key("web"), {}, {}, 1), Code::Conflict},
      {"an old revision of what is to be erased", Transaction{}.erase(key("web"), 1), Code::Conflict},
      {"a new finalizer would hold up a deletion", Transaction{}.add_finalizer(key("held"), "g"),
       Code::FailedPrecondition},
      {"one bad write refuses the good ones before it",
       Transaction{}.put_spec(key("web"), R"({"a":2})").create(draft(key("new"))).erase(key("no")),
       Code::NotFound},
  };
  const auto revision = store->snapshot()->revision();
  for (const auto& [reason, transaction, code] : cases) {
    EXPECT_EQ(refusal(transaction), code) << reason;
    EXPECT_EQ(store->snapshot()->revision(), revision) << reason;
    EXPECT_EQ(find(key("web"))->spec, R"({"a":1})") << reason;
    EXPECT_FALSE(find(key("new"))) << reason;
  }
  EXPECT_FALSE(refusal(Transaction{}.put_spec(key("web"), "{}", 2))) << "the right revision is taken";
}

TEST_P(StoreContract, WhatChangesNothingHasNoRevision) {
  const auto revision = commit(create(key("web"), R"({"a":1})", {{"t", "x"}}));
  const auto before = find(key("web"));
  const std::pair<const char*, Transaction> cases[] = {
      {"an empty transaction", {}},
      {"an equal spec", Transaction{}.put_spec(key("web"), R"({"a":1})", revision)},
      {"an equal status", Transaction{}.put_status(key("web"), "{}")},
      {"equal labels", Transaction{}.put_metadata(key("web"), {{"t", "x"}}, {})},
      {"there and back", Transaction{}.put_spec(key("web"), "{}").put_spec(key("web"), R"({"a":1})")},
      {"created and erased at once", create(key("new")).erase(key("new"))},
  };
  const auto watch = store->watch(revision);
  for (const auto& [reason, transaction] : cases) {
    EXPECT_EQ(commit(transaction), revision) << reason;
    EXPECT_EQ(find(key("web")), before) << reason;
  }
  commit(create(key("end")));
  EXPECT_EQ(text(run_blocking(watch->next())), "2+end") << "nobody heard of it";
}

TEST_P(StoreContract, ATransactionIsOneRevisionAndSeesItself) {
  const auto revision = commit(create(key("a"), R"({"n":1})")
                                   .create(draft(key("b")))
                                   .put_spec(key("a"), R"({"n":2})")
                                   .put_status(key("a"), R"({"up":true})"));
  EXPECT_EQ(find(key("a"))->revision, revision);
  EXPECT_EQ(find(key("b"))->revision, revision);
  EXPECT_EQ(find(key("a"))->spec, R"({"n":2})");
  EXPECT_EQ(find(key("a"))->generation, 1) << "it was made like this";
  EXPECT_EQ(text(run_blocking(store->watch(0)->next())), "1+a 1+b") << "one change of each entity";

  const auto old = find(key("a"))->uid;
  commit(Transaction{}.erase(key("a")).create(draft(key("a"))));
  EXPECT_NE(find(key("a"))->uid, old) << "a name is free again when its entity is gone";
  EXPECT_EQ(text(run_blocking(store->watch(1)->next())), "2-a 2+a");
  EXPECT_FALSE(store->snapshot()->get_by_uid(old));
}

TEST_P(StoreContract, DeletionWaitsForFinalizers) {
  commit(create(key("web")).add_finalizer(key("web"), "engine").add_finalizer(key("web"), "route"));
  clock.advance(std::chrono::seconds{1});
  commit(Transaction{}.erase(key("web")));
  ASSERT_TRUE(find(key("web")));
  EXPECT_EQ(find(key("web"))->deleted, clock.now());

  const auto marked = store->snapshot()->revision();
  clock.advance(std::chrono::seconds{1});
  EXPECT_EQ(commit(Transaction{}.erase(key("web"))), marked) << "it is marked already";
  commit(Transaction{}.put_status(key("web"), R"({"draining":true})"));
  commit(Transaction{}.remove_finalizer(key("web"), "engine"));
  ASSERT_TRUE(find(key("web")));
  commit(Transaction{}.remove_finalizer(key("web"), "route"));
  EXPECT_FALSE(find(key("web")));
  EXPECT_EQ(text(run_blocking(store->watch(0)->next())), "1+web 2+web 3+web 4+web 5-web");
}

TEST_P(StoreContract, ListsByWhateverIsAsked) {
  Record owner = draft(key("owner", "Project", ""));
  owner.uid = "owner-uid";
  Record owned = draft(key("c"));
  owned.owner = owner.uid;
  commit(Transaction{}.create(owner).create(owned));
  commit(create(key("b"), "{}", {{"team", "x"}, {"tier", "1"}}));
  commit(create(key("a"), "{}", {{"team", "x"}}));
  commit(create(key("a", "Route"), "{}", {{"team", "x"}}));
  commit(create(key("z", "Deployment", "bank"), "{}", {{"team", "y"}}));
  for (int i = 100; i < 200; ++i)
    commit(create(key(std::to_string(i), "Volume", "bulk"), "{}", {{"even", i % 2 ? "no" : "yes"}}));
  struct Case {
    const char* reason;
    Filter filter;
    const char* expected;
  };
  const Case cases[] = {
      {"a kind: by project, then name", {.kind = "Deployment"}, "z a b c"},
      {"a kind in a project", {.kind = "Deployment", .project = "shop"}, "a b c"},
      {"a project: by kind, then name", {.project = "shop"}, "a b c a"},
      {"an owner", {.owner = "owner-uid"}, "c"},
      {"an owner of nothing", {.owner = "other"}, ""},
      {"a label", {.labels = {{"team", "x"}}}, "a b a"},
      {"two labels", {.labels = {{"team", "x"}, {"tier", "1"}}}, "b"},
      {"a label in a kind", {.kind = "Route", .labels = {{"team", "x"}}}, "a"},
      {"a label in a project", {.project = "bank", .labels = {{"team", "y"}}}, "z"},
      {"a label's other value", {.labels = {{"team", "q"}}}, ""},
      {"a kind of which there is none", {.kind = "Depl"}, ""},
      {"a project of which there is none", {.project = "sho"}, ""},
  };
  for (const auto& [reason, filter, expected] : cases) {
    EXPECT_EQ(names(store->snapshot()->list(filter)), expected) << reason;
    EXPECT_EQ(names(run_blocking(store->list_at(filter, store->snapshot()->revision()))), expected) << reason;
  }
  EXPECT_EQ(store->snapshot()->list({.labels = {{"even", "yes"}}}).size(), 50u) << "a label that many have";
  EXPECT_EQ(store->snapshot()->list({}).size(), 106u);

  commit(Transaction{}.put_metadata(key("b"), {{"team", "y"}}, {}));
  EXPECT_EQ(names(store->snapshot()->list({.labels = {{"team", "y"}}})), "z b") << "labels move";
  EXPECT_EQ(names(store->snapshot()->list({.labels = {{"tier", "1"}}})), "");
}

TEST_P(StoreContract, ASnapshotNeverChanges) {
  commit(create(key("web"), R"({"a":1})"));
  const auto before = store->snapshot();
  commit(Transaction{}.put_spec(key("web"), R"({"a":2})").create(draft(key("api"))));
  commit(Transaction{}.erase(key("web")));
  EXPECT_EQ(before->get(key("web"))->spec, R"({"a":1})");
  EXPECT_EQ(names(before->list({})), "web");
  EXPECT_EQ(before->revision(), 1);
  EXPECT_EQ(names(store->snapshot()->list({})), "api");
}

TEST_P(StoreContract, ColdKindsAreEntitiesLikeAnyOther) {
  commit(create(key("e", "Event"), R"({"a":1})", {{"t", "x"}}).create(draft(key("web"))));
  EXPECT_FALSE(store->snapshot()->get(key("e", "Event"))) << "not in memory";
  EXPECT_EQ(names(store->snapshot()->list({})), "web");
  ASSERT_TRUE(find(key("e", "Event")));
  EXPECT_EQ(find(key("e", "Event"))->labels, (Labels{{"t", "x"}}));
  const auto uid = find(key("e", "Event"))->uid;

  commit(Transaction{}.put_status(key("e", "Event"), R"({"seen":true})", 1));
  EXPECT_EQ(refusal(Transaction{}.put_status(key("e", "Event"), "{}", 1)), Code::Conflict);
  EXPECT_EQ(refusal(create(key("e", "Event"))), Code::AlreadyExists);
  Record same_uid = draft(key("f", "Event"));
  same_uid.uid = uid;
  EXPECT_EQ(refusal(Transaction{}.create(same_uid)), Code::AlreadyExists);
  EXPECT_EQ(text(run_blocking(store->watch(0, {.kind = "Event"})->next())), "1+e 2+e");

  commit(Transaction{}.erase(key("e", "Event")));
  EXPECT_FALSE(find(key("e", "Event")));
  commit(Transaction{}.create(same_uid).put_spec(same_uid.key, R"({"n":1})"));
  EXPECT_EQ(find(same_uid.key)->uid, uid) << "a uid is free when its entity is gone";
}

TEST_P(StoreContract, QueriesGoFromTheNewestInPages) {
  for (const char* kind : {"Event", "Build"}) {
    SCOPED_TRACE(kind);
    for (int i = 0; i < 10; ++i) {
      const auto name = std::to_string(i);
      commit(create(key(name, kind, i % 2 ? "odd" : "even"), "{}", {{"half", i < 5 ? "low" : "high"}}));
    }
    const auto query = [&](Filter filter, std::size_t limit, StoreRevision before = 0) {
      filter.kind = kind;
      return run_blocking(store->query({.filter = filter, .before = before, .limit = limit}));
    };
    EXPECT_EQ(names(query({}, 3)), "9 8 7");
    EXPECT_EQ(names(query({}, 3, query({}, 3).back()->created_revision)), "6 5 4");
    EXPECT_EQ(names(query({.project = "odd"}, 100)), "9 7 5 3 1");
    EXPECT_EQ(names(query({.labels = {{"half", "low"}}}, 2)), "4 3");
    EXPECT_EQ(names(query({.project = "even", .labels = {{"half", "low"}}}, 100)), "4 2 0");
    EXPECT_EQ(names(query({.project = "none"}, 100)), "");
    EXPECT_EQ(names(query({}, 0)), "");

    commit(Transaction{}.put_metadata(key("0", kind, "even"), {{"half", "high"}}, {}));
    commit(Transaction{}.erase(key("9", kind, "odd")));
    EXPECT_EQ(names(query({.labels = {{"half", "high"}}}, 100)), "8 7 6 5 0")
        << "a change makes nothing newer";
  }
  EXPECT_EQ(run_blocking(store->query({.filter = {.project = "odd"}})).size(), 8u) << "of every kind";

  commit(create(key("x", "Event", "many")).create(draft(key("y", "Event", "many"))));
  commit(create(key("z", "Event", "many")));
  EXPECT_EQ(run_blocking(store->query({.filter = {.kind = "Event", .project = "many"}, .limit = 2})).size(),
            3u)
      << "what was created together stays on one page, so that the next page misses nothing";
}

TEST_P(StoreContract, OwnersTakeWhatTheyOwnWithThem) {
  // project -> application -> (deployment with a finalizer, event), another project beside it.
  const auto owned = [](Key key, std::string uid, std::string owner) {
    Record record = draft(std::move(key));
    record.uid = std::move(uid);
    record.owner = std::move(owner);
    return record;
  };
  commit(Transaction{}
             .create(owned(key("p", "Project", ""), "p", ""))
             .create(owned(key("q", "Project", ""), "q", ""))
             .create(owned(key("app", "Component"), "a", "p"))
             .create(owned(key("web"), "w", "a"))
             .create(owned(key("log", "Event"), "l", "a"))
             .create(owned(key("other"), "o", "q"))
             .add_finalizer(key("web"), "engine"));
  const auto watch = store->watch(1, {.kind = "Deployment"});
  commit(Transaction{}.erase(key("p", "Project", "")));
  EXPECT_EQ(text(run_blocking(watch->next())).substr(1), "+web") << "marked by the collector";
  EXPECT_TRUE(find(key("web"))->deleted);
  EXPECT_FALSE(find(key("app", "Component")));
  EXPECT_FALSE(find(key("log", "Event")));
  EXPECT_EQ(refusal(Transaction{}.create(owned(key("late"), "x", "a"))), Code::FailedPrecondition);

  commit(Transaction{}.remove_finalizer(key("web"), "engine"));
  EXPECT_EQ(text(run_blocking(watch->next())).substr(1), "-web");
  EXPECT_EQ(names(store->snapshot()->list({})), "other q");
}

TEST_P(StoreContract, ManyOwnedEntitiesGoInSeveralTransactions) {
  Record owner = draft(key("p", "Project", ""));
  owner.uid = "p";
  Transaction transaction;
  transaction.create(owner);
  for (int i = 0; i < 1'000; ++i) {
    Record record = draft(key(std::to_string(i), i % 2 ? "Deployment" : "Event"));
    record.owner = "p";
    transaction.create(std::move(record));
  }
  commit(std::move(transaction));
  const auto watch = store->watch(1);
  commit(Transaction{}.erase(key("p", "Project", "")));
  std::size_t removed = 0;
  StoreRevision last = 0;
  while (removed < 1'001) {
    for (const auto& change : run_blocking(watch->next())) {
      EXPECT_EQ(change.type, Change::Type::Removed);
      last = change.revision;
      ++removed;
    }
  }
  EXPECT_GT(last, 4) << "more than one transaction";
  EXPECT_TRUE(store->snapshot()->list({}).empty());
  EXPECT_TRUE(run_blocking(store->query({.filter = {.kind = "Event"}})).empty());
}

TEST_P(StoreContract, ObservationsAreCommitsToo) {
  commit(create(key("web")));
  const auto revision = commit(Transaction{}.put_status(key("web"), R"({"up":1})"), Durability::Soon);
  EXPECT_EQ(find(key("web"))->status, R"({"up":1})");
  EXPECT_EQ(store->snapshot()->revision(), revision);
}

TEST_P(StoreContract, AClosedStoreRefuses) {
  commit(create(key("web")));
  const auto watch = store->watch(1);
  run_blocking(store->close());
  EXPECT_EQ(refusal(create(key("api"))), Code::Unavailable);
  EXPECT_THROW(run_blocking(watch->next()), Error);
  EXPECT_THROW(run_blocking(store->history(key("web"))), Error);
  run_blocking(store->close());
}

}  // namespace
}  // namespace tow::store
