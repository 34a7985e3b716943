// SPDX-License-Identifier: Apache-2.0
// Random transactions from several threads at once, beside readers and watchers; afterwards everything is
// held against a model that applies the same transactions one after another.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "store/contract_test.hpp"

namespace tow::store {
namespace {

struct Entity {
  std::string spec, status = "{}", label;
  std::vector<std::string> finalizers;
  bool deleted = false;
  int generation = 1;
  bool operator==(const Entity&) const = default;
};
using Entities = std::map<Key, Entity>;

// One line an entity, for messages.
std::string text(const Entities& entities) {
  std::string lines;
  for (const auto& [key, e] : entities) {
    lines += fmt::format("{} {} {} {} {}", to_string(key), e.generation, e.spec, e.status, e.label);
    for (const auto& name : e.finalizers) lines += " !" + name;
    lines += e.deleted ? " deleted\n" : "\n";
  }
  return lines;
}

// The rules of the store, as simple as can be, for what the random transactions contain.
class Model {
 public:
  /// False when it should have been refused.
  bool apply(StoreRevision revision, const Transaction& transaction) {
    Entities next = at(revision);
    const Entities before = next;
    std::set<Key> created;
    for (const auto& write : transaction.writes()) {
      if (write.action == Write::Action::Create) created.insert(write.record.key);
      if (!apply(next, write)) return false;
    }
    for (auto& [key, entity] : next)
      if (const auto old = before.find(key); old != before.end() && !created.contains(key))
        entity.generation = old->second.generation + (old->second.spec != entity.spec);
    states_[revision] = std::move(next);
    return true;
  }

  /// How it was at a revision.
  const Entities& at(StoreRevision revision) const {
    static const Entities nothing;
    const auto after = states_.upper_bound(revision);
    return after == states_.begin() ? nothing : std::prev(after)->second;
  }

 private:
  static bool apply(Entities& entities, const Write& write) {
    const Key& key = write.record.key;
    if (write.action == Write::Action::Create)
      return entities
          .try_emplace(key, Entity{.spec = write.record.spec, .label = write.record.labels.at("l")})
          .second;
    const auto place = entities.find(key);
    if (place == entities.end()) return false;
    Entity& entity = place->second;
    const auto finalizer = std::ranges::find(entity.finalizers, write.finalizer);
    const bool has = finalizer != entity.finalizers.end();
    if (write.action == Write::Action::PutSpec) entity.spec = write.record.spec;
    if (write.action == Write::Action::PutStatus) entity.status = write.record.status;
    if (write.action == Write::Action::PutMetadata) entity.label = write.record.labels.at("l");
    if (write.action == Write::Action::AddFinalizer && !has) {
      if (entity.deleted) return false;
      entity.finalizers.push_back(write.finalizer);
    }
    if (write.action == Write::Action::RemoveFinalizer && has) entity.finalizers.erase(finalizer);
    if (write.action == Write::Action::Erase) entity.deleted = true;
    if (entity.deleted && entity.finalizers.empty()) entities.erase(place);
    return true;
  }

  std::map<StoreRevision, Entities> states_;
};

Entity as_entity(const Record& record) {
  return {.spec = record.spec,
          .status = record.status,
          .label = record.labels.at("l"),
          .finalizers = record.finalizers,
          .deleted = record.deleted.has_value(),
          .generation = static_cast<int>(record.generation)};
}

// Of the table, what a filter lets through, without the marks that give each transaction a revision.
Entities filtered(const Entities& all, const Filter& filter) {
  Entities found;
  for (const auto& [key, entity] : all) {
    const auto label = filter.labels.find("l");
    if (key.kind == "Mark" || (!filter.kind.empty() && key.kind != filter.kind)) continue;
    if (!filter.project.empty() && key.project != filter.project) continue;
    if (label == filter.labels.end() || label->second == entity.label) found[key] = entity;
  }
  return found;
}

Entities as_entities(const std::vector<RecordPtr>& records, const Filter& filter) {
  Entities entities;
  for (const auto& record : records) entities[record->key] = as_entity(*record);
  return filtered(entities, filter);
}

Labels random_label(Random& random) { return {{"l", random.between(0, 1) ? "x" : "y"}}; }

Transaction random_transaction(Random& random) {
  Transaction transaction;
  for (auto writes = random.between(1, 3); writes > 0; --writes) {
    const Key at = key(std::string(1, static_cast<char>('a' + random.between(0, 5))),
                       random.between(0, 3) ? "Deployment" : "Event", random.between(0, 1) ? "shop" : "bank");
    const auto value = std::to_string(random.between(0, 3));
    switch (random.between(0, 8)) {
      case 0:
      case 1:
        transaction.create(draft(at, value, random_label(random)));
        break;
      case 2:
        transaction.put_spec(at, value);
        break;
      case 3:
        transaction.put_status(at, value);
        break;
      case 4:
        transaction.put_metadata(at, random_label(random), {});
        break;
      case 5:
        transaction.add_finalizer(at, "f");
        break;
      case 6:
      case 7:
        transaction.remove_finalizer(at, "f");
        break;
      case 8:
        transaction.erase(at);
        break;
    }
  }
  return transaction;
}

const Filter kFilters[] = {{},
                           {.kind = "Event"},
                           {.project = "shop"},
                           {.labels = {{"l", "x"}}},
                           {.kind = "Deployment", .labels = {{"l", "x"}}}};

// Follows a watch until it sees the entity named "end", and keeps a table of what it was told.
std::map<StoreRevision, Entities> follow(Store& store, const Filter& filter) {
  std::map<StoreRevision, Entities> states;
  Entities now;
  const auto watch = store.watch(0, filter);
  StoreRevision last = 0;
  for (bool end = false; !end;) {
    for (const auto& change : run_blocking(watch->next())) {
      EXPECT_GE(change.revision, last) << "in order";
      last = change.revision;
      EXPECT_GE(store.snapshot()->revision(), last) << "who is told of a change can read it";
      if (change.type == Change::Type::Put)
        now[change.record->key] = as_entity(*change.record);
      else
        EXPECT_EQ(now.erase(change.record->key), 1u) << "what is removed was there";
      states[last] = filtered(now, {});
      end = end || change.record->key.name == "end";
    }
  }
  return states;
}

TEST_P(StoreContract, RandomHistoriesFromManyThreads) {
  constexpr int kThreads = 4, kEach = 120;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    open({.changes = 64, .batch = 20});
    std::vector<std::future<std::map<StoreRevision, Entities>>> followers;
    for (const auto& filter : kFilters)
      followers.push_back(std::async(std::launch::async, [&] { return follow(*store, filter); }));

    std::mutex mutex;
    std::map<StoreRevision, Transaction> done;
    std::atomic<int> running = kThreads;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t, random = Random{seed * 100 + static_cast<std::uint64_t>(t)}]() mutable {
        for (int i = 0; i < kEach; ++i) {
          auto transaction = random_transaction(random);
          transaction.create(draft(key(fmt::format("{}-{}", t, i), "Mark"), "{}", {{"l", "none"}}));
          try {
            const auto revision =
                commit(transaction, random.between(0, 19) ? Durability::Now : Durability::Soon);
            const std::lock_guard lock{mutex};
            EXPECT_TRUE(done.emplace(revision, std::move(transaction)).second)
                << revision << " was given twice";
          } catch (const Error& error) {
            EXPECT_THAT(error.code(),
                        testing::AnyOf(Code::AlreadyExists, Code::NotFound, Code::FailedPrecondition))
                << error.message();
          }
        }
        --running;
      });
    }
    // Each snapshot is one moment: its index and a walk agree.
    while (running > 0) {
      const auto snapshot = store->snapshot();
      std::size_t walked = 0;
      for (const auto& record : snapshot->list({})) walked += record->labels.at("l") == "x";
      EXPECT_EQ(snapshot->list({.labels = {{"l", "x"}}}).size(), walked);
    }
    for (auto& thread : threads) thread.join();
    const auto end = create(key("end", "Deployment"), "0", {{"l", "x"}})
                         .create(draft(key("end", "Event"), "0", {{"l", "x"}}));
    const auto last = commit(end);
    done.emplace(last, end);
    ASSERT_EQ(static_cast<StoreRevision>(done.size()), last) << "no revision is missing";

    Model model;
    for (const auto& [revision, transaction] : done)
      ASSERT_TRUE(model.apply(revision, transaction)) << revision;
    for (std::size_t i = 0; i < followers.size(); ++i) {
      const auto& filter = kFilters[i];
      const auto followed = followers[i].get();
      for (StoreRevision revision = 1; revision <= last; ++revision) {
        const auto seen = followed.upper_bound(revision);
        ASSERT_EQ(text(seen == followed.begin() ? Entities{} : std::prev(seen)->second),
                  text(filtered(model.at(revision), filter)))
            << "a watch, filter " << i << ", at revision " << revision;
        if (revision % 17 == 0 || revision == last)
          ASSERT_EQ(text(as_entities(run_blocking(store->list_at(filter, revision)), filter)),
                    text(filtered(model.at(revision), filter)))
              << "history, filter " << i << ", at revision " << revision;
      }
      ASSERT_TRUE(follow(*store, filter) == followed) << "a later watch is told the same, filter " << i;
      auto now = as_entities(store->snapshot()->list(filter), filter);
      if (filter.kind != "Deployment")
        now.merge(as_entities(
            run_blocking(
                store->query({.filter = {.kind = "Event", .project = filter.project, .labels = filter.labels},
                              .limit = 1'000})),
            filter));
      ASSERT_EQ(text(now), text(filtered(model.at(last), filter))) << "now, filter " << i;
    }
  }
}

TEST_P(StoreContract, RandomHistoriesWhileTheyAreCompacted) {
  Random random{7};
  open({.changes = 4});
  std::atomic<bool> stop = false;
  const auto compactor = std::async(std::launch::async, [&] {
    while (!stop) run_blocking(store->compact(clock.now() - std::chrono::seconds{100}));
  });
  const std::shared_ptr<void> at_end{nullptr, [&](void*) { stop = true; }};
  Model model;
  StoreRevision last = 0;
  for (int i = 0; i < 400; ++i) {
    auto transaction = random_transaction(random);
    transaction.create(draft(key(std::to_string(i), "Mark"), "{}", {{"l", "none"}}));
    if (refusal(transaction)) continue;
    clock.advance(std::chrono::seconds{1});  // so many seconds, so many revisions
    last = store->snapshot()->revision();
    ASSERT_TRUE(model.apply(last, transaction));
    const auto revision = random.between(std::max<StoreRevision>(0, last - 60), last);
    ASSERT_EQ(text(as_entities(run_blocking(store->list_at({}, revision)), {})),
              text(filtered(model.at(revision), {})))
        << "what is kept is whole, at revision " << revision << " of " << last;
  }
  stop = true;
  compactor.wait();
  // How far it came beside the writes is a matter of speed.
  run_blocking(store->compact(clock.now() - std::chrono::seconds{100}));
  EXPECT_THROW(run_blocking(store->list_at({}, 1)), WatchLost);
  EXPECT_EQ(text(as_entities(run_blocking(store->list_at({}, last)), {})),
            text(filtered(model.at(last), {})));
}

}  // namespace
}  // namespace tow::store
