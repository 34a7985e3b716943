// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every implementation of the store must pass. A test takes `store` from the fixture; a new
// implementation is one line in implementations().

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "store/feed.hpp"
#include "store/store.hpp"

namespace tow::store {

struct Implementation {
  std::string name;
  /// Opens an empty store in a place of its own, which it clears away when the store ends.
  std::function<std::unique_ptr<Store>(IsCold, const Clock&, FeedLimits)> open;
};
std::vector<Implementation> implementations();
inline void PrintTo(const Implementation& implementation, std::ostream* out) { *out << implementation.name; }

class StoreContract : public testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override { open({}); }
  void TearDown() override {
    if (store) run_blocking(store->close());
  }
  void open(FeedLimits limits) {
    store.reset();
    store = GetParam().open([](std::string_view kind) { return kind == "Event"; }, clock, limits);
  }

  StoreRevision commit(Transaction transaction, Durability durability = Durability::Now) {
    return run_blocking(store->commit(std::move(transaction), durability));
  }
  /// The code with which a transaction is refused; nothing when it is not.
  std::optional<Code> refusal(Transaction transaction) {
    try {
      commit(std::move(transaction));
      return {};
    } catch (const Error& error) {
      return error.code();
    }
  }
  RecordPtr find(const Key& key) { return run_blocking(store->find(key)); }

  FakeClock clock;
  std::unique_ptr<Store> store;
};

inline Key key(std::string name, std::string kind = "Deployment", std::string project = "shop") {
  return {std::move(kind), std::move(project), std::move(name)};
}
inline Record draft(Key key, std::string spec = "{}", Labels labels = {}) {
  Record record;
  record.key = std::move(key);
  record.spec = std::move(spec);
  record.labels = std::move(labels);
  return record;
}
inline Transaction create(Key key, std::string spec = "{}", Labels labels = {}) {
  return Transaction{}.create(draft(std::move(key), std::move(spec), std::move(labels)));
}
inline std::string names(const std::vector<RecordPtr>& records) {
  std::string text;
  for (const auto& record : records) text += (text.empty() ? "" : " ") + record->key.name;
  return text;
}
/// "3+web 4-web": revision, put or removed, name.
inline std::string text(const std::vector<Change>& changes) {
  std::string text;
  for (const auto& change : changes) {
    text += (text.empty() ? "" : " ") + std::to_string(change.revision);
    text += (change.type == Change::Type::Put ? "+" : "-") + change.record->key.name;
  }
  return text;
}
std::string text(const Record& record);

}  // namespace tow::store
