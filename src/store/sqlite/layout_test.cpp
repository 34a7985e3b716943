// SPDX-License-Identifier: Apache-2.0
// Every layout that was ever written opens. A new layout adds its frozen example here; none is changed.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>

#include "store/contract_test.hpp"
#include "store/sqlite/sqlite.hpp"
#include "store/temporary_test.hpp"

namespace tow::store::sqlite {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream stream{path, std::ios::binary};
  EXPECT_TRUE(stream) << path;
  return {std::istreambuf_iterator<char>{stream}, {}};
}

void thaw(const std::string& sql, const std::filesystem::path& file) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << message;
  sqlite3_close(database);
}

TEST(StoreLayout, TheFirstOneOpens) {
  const TemporaryDirectory directory;
  thaw(read(TOW_SOURCE_DIR "/src/store/sqlite/testdata/layout1.sql"), directory.path() / "store.db");
  const FakeClock clock;
  const auto store = open({.directory = directory.path(),
                           .is_cold = [](std::string_view kind) { return kind == "Event"; },
                           .clock = &clock});
  std::string now;
  for (const auto& record : store->snapshot()->list({})) now += text(*record) + "\n";
  EXPECT_EQ(
      now,
      "deployment:shop/web.production 01kdtzvw0000000000000000web owner=01kdtzvw00000000000project "
      "generation=2 revision=4 created=2026-01-01T00:00:00.000Z@1 updated=2026-01-01T00:03:00.000Z deleted=- "
      "schema=3 tier=front !engine !route {\"release\":\"r2\"} {\"ready\":true}\n"
      "project:shop 01kdtzvw00000000000project owner= generation=1 revision=1 "
      "created=2026-01-01T00:00:00.000Z@1 updated=2026-01-01T00:00:00.000Z deleted=- schema=1 team=checkout "
      "{\"members\":[\"ada\"]} {}\n"
      "route:shop/old 01kdtzvw0000000000000route2 owner= generation=1 revision=6 "
      "created=2026-01-01T00:05:00.000Z@6 updated=2026-01-01T00:05:00.000Z deleted=- schema=1 {} {}\n"
      "volume:shop/data 01kdtzvw0000000000000volume owner=01kdtzvw00000000000project generation=1 revision=8 "
      "created=2026-01-01T00:06:00.000Z@7 updated=2026-01-01T00:07:00.000Z "
      "deleted=2026-01-01T00:07:00.000Z schema=1 !engine {} {}\n");
  const auto event = run_blocking(store->query({.filter = {.kind = "Event", .labels = {{"about", "web"}}}}));
  ASSERT_EQ(event.size(), 1u);
  EXPECT_EQ(event[0]->spec, R"({"who":"ada","what":"push"})");

  EXPECT_EQ(store->snapshot()->revision(), 8);
  EXPECT_THROW(run_blocking(store->find_at(key("old", "Route"), 2)), WatchLost) << "it was compacted";
  EXPECT_TRUE(run_blocking(store->find_at(key("old", "Route"), 4)));
  EXPECT_FALSE(run_blocking(store->find_at(key("old", "Route"), 5)));
  EXPECT_EQ(text(run_blocking(store->history(key("old", "Route")))), "6+old 5-old 2+old");
  const auto older = run_blocking(store->find_at(key("web.production"), 3));
  EXPECT_EQ(older->labels, (Labels{{"tier", "web"}, {"odd", "\"=\\ü"}}));
  EXPECT_EQ(older->annotations, (Labels{{"note", "two\nlines"}}));
  EXPECT_EQ(text(run_blocking(store->watch(4)->next())), "5-old 6+old 7+data 8+data");

  EXPECT_EQ(run_blocking(store->commit(Transaction{}.remove_finalizer(key("data", "Volume"), "engine"))), 9);
  EXPECT_FALSE(run_blocking(store->find(key("data", "Volume"))));
  run_blocking(store->close());
}

}  // namespace
}  // namespace tow::store::sqlite
