// SPDX-License-Identifier: Apache-2.0
// What only the store on a disk has to show: that it is all there again, and what a bad disk does.
#include "store/sqlite/sqlite.hpp"

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "store/contract_test.hpp"
#include "store/sqlite/faulty_disk_test.hpp"
#include "store/temporary_test.hpp"

namespace tow::store::sqlite {
namespace {

using testing::HasSubstr;

class SqliteStore : public testing::Test {
 protected:
  void SetUp() override { FaultyDisk::get().set(FaultyDisk::State::Healthy); }
  void TearDown() override { FaultyDisk::get().set(FaultyDisk::State::Healthy); }

  void open(FeedLimits limits = {}) {
    store.reset();
    store = sqlite::open({.directory = directory.path() / "data",
                          .is_cold = [](std::string_view kind) { return kind == "Event"; },
                          .clock = &clock,
                          .feed = limits,
                          .vfs = FaultyDisk::kName});
  }
  std::string why_not_open() {
    try {
      open();
      return "it opens";
    } catch (const Error& error) {
      return fmt::format("{}: {}", name(error.code()), error.message());
    }
  }
  StoreRevision commit(Transaction transaction) {
    return run_blocking(store->commit(std::move(transaction)));
  }
  std::string refusal(Transaction transaction) {
    try {
      commit(std::move(transaction));
      return "it commits";
    } catch (const Error& error) {
      return std::string{name(error.code())};
    }
  }
  RecordPtr find(const Key& key) { return run_blocking(store->find(key)); }
  std::string file() const { return (directory.path() / "data" / "store.db").string(); }
  // Runs SQL on the closed store.
  void sql(const char* text) {
    store.reset();
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &database), SQLITE_OK);
    char* message = nullptr;
    ASSERT_EQ(sqlite3_exec(database, text, nullptr, nullptr, &message), SQLITE_OK) << message;
    sqlite3_close(database);
  }

  TemporaryDirectory directory;
  FakeClock clock;
  std::unique_ptr<Store> store;
};

TEST_F(SqliteStore, EverythingIsThereAgain) {
  open();
  Record full = draft(key("web"), R"({"n":1})", {{"team", "x"}, {"odd", "a=\"b\"\n\\ü\xff"}});
  full.annotations = {{"", "empty key"}};
  full.finalizers = {"engine", "route"};
  full.schema = 7;
  commit(Transaction{}.create(full).create(draft(key("p", "Project", ""))));
  Record owned = draft(key("e", "Event"), "{}", {{"t", "x"}});
  owned.owner = find(key("p", "Project", ""))->uid;
  clock.advance(std::chrono::seconds{3});
  commit(Transaction{}.create(owned).put_status(key("web"), R"({"up":true})"));
  commit(Transaction{}.erase(key("web")));
  std::string before;
  for (const auto& record : store->snapshot()->list({})) before += text(*record) + "\n";
  before += text(*find(key("e", "Event")));
  const auto revision = store->snapshot()->revision();

  open();
  std::string after;
  for (const auto& record : store->snapshot()->list({})) after += text(*record) + "\n";
  after += text(*find(key("e", "Event")));
  EXPECT_EQ(after, before);
  EXPECT_EQ(store->snapshot()->revision(), revision);
  EXPECT_EQ(names(store->snapshot()->list({.labels = {{"team", "x"}}})), "web");
  EXPECT_EQ(text(run_blocking(store->watch(0)->next())), "1+web 1+p 2+e 2+web 3+web");
  EXPECT_EQ(run_blocking(store->history(key("web"))).size(), 3u);
  EXPECT_EQ(commit(create(key("next"))), revision + 1);
  clock.advance(std::chrono::hours{-1});
  open();
  commit(create(key("later")));
  EXPECT_GE(find(key("later"))->created, find(key("next"))->created) << "time does not run backwards";
}

TEST_F(SqliteStore, NoRevisionIsUsedAgainWhenItsTracesAreGone) {
  open();
  commit(create(key("web")));
  commit(Transaction{}.erase(key("web")));  // revision 2
  run_blocking(store->compact(clock.now()));
  open();
  EXPECT_EQ(store->snapshot()->revision(), 2);
  EXPECT_EQ(commit(create(key("web"))), 3);
  EXPECT_THROW(run_blocking(store->watch(1)->next()), WatchLost);
}

TEST_F(SqliteStore, OnlyItsOwnerCanReadTheFiles) {
  umask(0);
  open();
  commit(create(key("web")));
  struct stat status{};
  ASSERT_EQ(stat((directory.path() / "data").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  for (const auto& entry : std::filesystem::directory_iterator{directory.path() / "data"}) {
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << entry.path();
  }
  umask(022);
}

TEST_F(SqliteStore, OneProcessOwnsADirectory) {
  open();
  const Settings again{.directory = directory.path() / "data", .clock = &clock};
  try {
    sqlite::open(again);
    FAIL() << "it opened twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::FailedPrecondition);
    EXPECT_THAT(error.message(), HasSubstr("in use by process " + std::to_string(getpid())));
    EXPECT_THAT(error.message(), HasSubstr((directory.path() / "data").string()));
  }
  run_blocking(store->close());
  run_blocking(sqlite::open(again)->close());
}

TEST_F(SqliteStore, RefusesWhatItCannotRead) {
  open();
  commit(create(key("web")));
  sql("PRAGMA user_version=2");
  EXPECT_THAT(why_not_open(),
              HasSubstr("failed-precondition: store.db was written by a newer Towpath (layout 2"));
  sql("PRAGMA user_version=1; PRAGMA application_id=7");
  EXPECT_THAT(why_not_open(), HasSubstr("failed-precondition: store.db belongs to another program"));
  std::filesystem::remove_all(directory.path() / "data");
  std::filesystem::create_directory(directory.path() / "data");
  std::ofstream{file()} << std::string(8192, 'x');
  EXPECT_THAT(why_not_open(), HasSubstr("failed-precondition: store.db is not a store of Towpath"));
  std::filesystem::remove_all(directory.path() / "data");
  std::ofstream{directory.path() / "data"} << "a file";
  EXPECT_THAT(why_not_open(), HasSubstr("data"));
}

TEST_F(SqliteStore, NothingIsSeenBeforeItIsDurable) {
  open();
  commit(create(key("before")));
  const auto watch = store->watch(1);
  auto& disk = FaultyDisk::get();
  disk.set(FaultyDisk::State::SyncWaits);
  bool acknowledged = false;
  std::thread writer{[&] {
    commit(create(key("web")).create(draft(key("e", "Event"))));
    acknowledged = true;
  }};
  disk.await_sync();
  // No read waits for the disk, and none sees what is not on it.
  EXPECT_EQ(names(store->snapshot()->list({})), "before");
  EXPECT_FALSE(find(key("e", "Event")));
  EXPECT_EQ(run_blocking(store->list_at({}, 2)).size(), 1u);
  EXPECT_TRUE(run_blocking(store->query({.filter = {.kind = "Event"}})).empty());
  EXPECT_FALSE(acknowledged);
  // A watch may begin at what is about to be: a read of the disk can show it before it is published.
  const auto early = store->watch(2);
  std::thread watcher{[&] { EXPECT_EQ(text(run_blocking(early->next())), "3+next"); }};
  disk.set(FaultyDisk::State::Healthy);
  writer.join();
  EXPECT_EQ(text(run_blocking(watch->next())), "2+web 2+e");
  commit(create(key("next")));
  watcher.join();
  EXPECT_TRUE(find(key("e", "Event")));
}

TEST_F(SqliteStore, WhoWaitsTogetherSharesAnFsync) {
  open();
  commit(create(key("counter")));
  auto& disk = FaultyDisk::get();
  disk.set(FaultyDisk::State::SyncWaits);
  std::thread first{[&] { commit(create(key("first"))); }};
  disk.await_sync();
  const int before = disk.syncs();
  std::thread others{[&] {
    run_blocking(with_scope("writers", [&](Scope& scope) -> Task<> {
      for (int i = 0; i < 50; ++i)
        scope.spawn([](Store& to, int number) -> Task<> {
          co_await to.commit(create(key(std::to_string(number))));
        }(*store, i));
      // All of them have been queued when this task's turn comes again.
      for (int i = 0; i < 3; ++i) co_await yield_now();
      FaultyDisk::get().set(FaultyDisk::State::Healthy);
      co_await scope.join();
    }));
  }};
  first.join();
  others.join();
  EXPECT_EQ(store->snapshot()->list({}).size(), 52u);
  EXPECT_EQ(store->snapshot()->revision(), 52) << "each has a revision of its own";
  EXPECT_LE(disk.syncs() - before, 2);
}

TEST_F(SqliteStore, AFullDiskRefusesUntilThereIsRoom) {
  open();
  commit(create(key("web"), R"({"n":1})"));
  const auto watch = store->watch(1);
  FaultyDisk::get().set(FaultyDisk::State::Full);
  EXPECT_EQ(refusal(Transaction{}.put_spec(key("web"), R"({"n":2})")), "exhausted");
  EXPECT_EQ(refusal(create(key("api")).create(draft(key("e", "Event")))), "exhausted");
  EXPECT_EQ(find(key("web"))->spec, R"({"n":1})") << "reads go on";
  EXPECT_FALSE(find(key("api")));
  EXPECT_FALSE(find(key("e", "Event")));
  FaultyDisk::get().set(FaultyDisk::State::Healthy);
  EXPECT_EQ(refusal(Transaction{}.put_spec(key("web"), R"({"n":3})", 1)), "it commits");
  EXPECT_EQ(run_blocking(watch->next()).front().record->spec, R"({"n":3})");
  open();
  EXPECT_EQ(find(key("web"))->spec, R"({"n":3})");
  EXPECT_FALSE(find(key("api")));
}

TEST_F(SqliteStore, WhatIsOrphanedOnAFullDiskGoesLater) {
  open();
  Record owner = draft(key("p", "Project", ""));
  owner.uid = "p";
  Record child = draft(key("child"));
  child.owner = "p";
  commit(Transaction{}.create(owner).create(child));
  const auto watch = store->watch(1, {.kind = "Deployment"});
  auto& disk = FaultyDisk::get();
  disk.set(FaultyDisk::State::SyncWaits);
  std::thread eraser{[&] { commit(Transaction{}.erase(key("p", "Project", ""))); }};
  disk.await_sync();
  disk.set(FaultyDisk::State::Full);  // the erasure gets through, the collector does not
  eraser.join();
  EXPECT_EQ(refusal(create(key("other"))), "exhausted");
  disk.set(FaultyDisk::State::Healthy);
  EXPECT_EQ(text(run_blocking(watch->next())).substr(1), "-child");
}

TEST_F(SqliteStore, ABrokenDiskMakesItReadOnlyUntilItIsOpenedAgain) {
  open();
  commit(create(key("web"), R"({"n":1})"));
  FaultyDisk::get().set(FaultyDisk::State::SyncFails);
  EXPECT_EQ(refusal(Transaction{}.put_spec(key("web"), R"({"n":2})")), "unavailable");
  FaultyDisk::get().set(FaultyDisk::State::Healthy);
  EXPECT_EQ(refusal(create(key("api"))), "unavailable") << "nobody knows what is on the disk";
  EXPECT_EQ(store->snapshot()->get(key("web"))->spec, R"({"n":1})");
  EXPECT_EQ(run_blocking(store->history(key("web"))).size(), 1u);
  open();
  EXPECT_EQ(refusal(create(key("api"))), "it commits");
  const auto spec = find(key("web"))->spec;
  EXPECT_TRUE(spec == R"({"n":1})" || spec == R"({"n":2})") << spec;
}

TEST_F(SqliteStore, WhatLostItsOwnerInACrashIsCollected) {
  open();
  Record owner = draft(key("p", "Project", ""));
  owner.uid = "p";
  Record child = draft(key("child"));
  child.owner = "p";
  child.uid = "c";
  Record grandchild = draft(key("grandchild", "Event"));
  grandchild.owner = "c";
  commit(Transaction{}.create(owner).create(child).create(grandchild).create(draft(key("other"))));
  sql("UPDATE entity SET removed = 1 << 20 WHERE uid = 'p'; DELETE FROM version WHERE entity = 1 << 20;");
  open();
  const auto watch = store->watch(1, {.kind = "Event"});
  EXPECT_EQ(text(run_blocking(watch->next())).substr(1), "-grandchild");
  EXPECT_EQ(names(store->snapshot()->list({})), "other");
}

TEST_F(SqliteStore, TheWriteAheadLogIsBounded) {
  open();
  commit(create(key("web")));
  for (int i = 0; i < 300; ++i)
    commit(Transaction{}.put_status(key("web"), "\"" + std::string(200'000, char('a' + i % 26)) + "\""));
  EXPECT_LT(std::filesystem::file_size(file() + "-wal"), 40u << 20) << "of 60 MB that were written";
}

TEST_F(SqliteStore, PurgedValuesAreNotOnTheDisk) {
  open();
  const Key secret = key("password", "Secret");
  const std::string old = "hunter2-hunter2-hunter2-" + std::string(6'000, 'h');  // on pages of its own
  commit(create(secret, "\"" + old + "\""));
  commit(create(key("small", "Secret"), "\"swordfish\""));
  commit(Transaction{}.put_spec(secret, "\"new\"").put_spec(key("small", "Secret"), "\"new\""));
  run_blocking(store->purge_history(secret));
  run_blocking(store->purge_history(key("small", "Secret")));
  for (const auto& entry : std::filesystem::directory_iterator{directory.path() / "data"}) {
    std::ifstream stream{entry.path(), std::ios::binary};
    const std::string bytes{std::istreambuf_iterator<char>{stream}, {}};
    EXPECT_EQ(bytes.find("hunter2"), std::string::npos) << entry.path();
    EXPECT_EQ(bytes.find("swordfish"), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace tow::store::sqlite
