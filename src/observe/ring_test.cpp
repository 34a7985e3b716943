// SPDX-License-Identifier: Apache-2.0
#include "observe/ring.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.hpp"

namespace tow::observe {
namespace {

using std::chrono::seconds;
namespace fs = std::filesystem;

class Ring : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "observe-ring-XXXXXX";
    ASSERT_TRUE(::mkdtemp(name.data()));
    directory = name;
  }
  void TearDown() override { fs::remove_all(directory); }

  Rings open(Bytes limit = {1 << 20}) { return {directory, {.interval = seconds{10}, .rows = 10}, limit}; }
  static TimePoint at(int second) { return TimePoint{std::chrono::hours{500'000}} + seconds{second}; }
  static Row row(int second) {
    return {.time = at(second), .values = {static_cast<std::uint64_t>(second), 7, ~std::uint64_t{0}}};
  }
  std::vector<int> seconds_of(const Rings& rings, int from = -10'000, int to = 10'000) {
    std::vector<int> all;
    for (const auto& each : rings.read("usage-a-0", at(from), at(to))) {
      const auto second = static_cast<int>((each.time - at(0)) / seconds{1});
      EXPECT_EQ(each.values[0], static_cast<std::uint64_t>(second)) << "a row is whole";
      EXPECT_EQ(each.values[1], 7u);
      EXPECT_EQ(each.values[2], ~std::uint64_t{0});
      EXPECT_EQ(each.values[3], 0u);
      all.push_back(second);
    }
    return all;
  }
  fs::path file() const { return directory / "usage-a-0.ring"; }
  void overwrite(std::size_t offset, const std::string& bytes) {
    std::fstream out{file(), std::ios::in | std::ios::out | std::ios::binary};
    out.seekp(static_cast<std::streamoff>(offset));
    out << bytes;
  }
  fs::path directory;
};

using Seconds = std::vector<int>;

TEST_F(Ring, KeepsTheLastRowsInOrder) {
  auto rings = open();
  for (int second = 0; second < 250; second += 10) EXPECT_TRUE(rings.write("usage-a-0", 3, row(second)));
  EXPECT_EQ(seconds_of(rings, 0, 240), (Seconds{150, 160, 170, 180, 190, 200, 210, 220, 230, 240}));
  EXPECT_EQ(seconds_of(rings, 171, 200), (Seconds{180, 190, 200})) << "both ends count";
  EXPECT_EQ(seconds_of(rings, 200, 100), Seconds{});
  EXPECT_EQ(fs::file_size(file()), 64u + 10 * 5 * 8) << "the file does not grow";
}

TEST_F(Ring, SurvivesARestart) {
  {
    auto rings = open();
    for (int second = 0; second < 50; second += 10) rings.write("usage-a-0", 3, row(second));
  }
  auto rings = open();
  rings.write("usage-a-0", 3, row(60));
  EXPECT_EQ(seconds_of(rings, 0, 60), (Seconds{0, 10, 20, 30, 40, 60}));
}

TEST_F(Ring, LeavesGapsWhereNothingWasWritten) {
  auto rings = open();
  for (const int second : {0, 10, 20, 30, 40}) rings.write("usage-a-0", 3, row(second));
  for (const int second : {120, 140}) rings.write("usage-a-0", 3, row(second));
  EXPECT_EQ(seconds_of(rings, 60, 150), (Seconds{120, 140})) << "rows of the round before are gaps";
}

TEST_F(Ring, PassesOverTornRows) {
  for (std::size_t torn = 0; torn < 40; torn += 4) {
    auto rings = open();
    for (int second = 0; second < 100; second += 10) rings.write("usage-a-0", 3, row(second));
    // The place of second 50 holds only the first bytes of a newer row.
    const auto place = static_cast<std::size_t>(at(50).time_since_epoch() / seconds{10}) % 10;
    const Row newer = row(150);
    const auto time = static_cast<std::uint64_t>(newer.time.time_since_epoch().count());
    std::string bytes(reinterpret_cast<const char*>(&time), 8);
    bytes += std::string(reinterpret_cast<const char*>(newer.values.data()), 24);
    bytes.resize(40, '\x55');
    overwrite(64 + place * 40, bytes.substr(0, torn));
    const auto seen = seconds_of(rings, 0, 200);
    EXPECT_EQ(seen.size(), torn == 0 ? 10u : 9u) << torn;
    rings.write("usage-a-0", 3, row(150));
    EXPECT_EQ(seconds_of(rings, 60, 200), (Seconds{60, 70, 80, 90, 150})) << "the place can be used again";
    rings.remove("usage-a-0");
  }
}

TEST_F(Ring, BeginsAnewWhatIsDamaged) {
  struct Case {
    std::string reason;
    std::size_t offset;
    std::string bytes;
  };
  const Case cases[] = {
      {"another program's file", 0, "#!/bin/sh"},
      {"a length that is not so", 16, std::string(8, '\xff')},
      {"columns that cannot be", 24, std::string(8, '\xff')},
      {"a header without its checksum", 32, std::string(8, '\0')},
  };
  for (const auto& c : cases) {
    auto rings = open();
    rings.write("usage-a-0", 3, row(10));
    overwrite(c.offset, c.bytes);
    EXPECT_EQ(seconds_of(rings), Seconds{}) << c.reason;
    EXPECT_TRUE(rings.write("usage-a-0", 3, row(20))) << c.reason;
    EXPECT_EQ(seconds_of(rings), Seconds{20}) << c.reason;
  }
}

TEST_F(Ring, BeginsAnewWhatWasCutShort) {
  for (const std::uintmax_t length : {0, 20, 64, 80, 300}) {
    auto rings = open();
    for (int second = 0; second < 100; second += 10) rings.write("usage-a-0", 3, row(second));
    fs::resize_file(file(), length);
    for (const int second : seconds_of(rings)) EXPECT_LT(second, 100);
    rings.write("usage-a-0", 3, row(110));
    EXPECT_EQ(seconds_of(rings).back(), 110) << length;
    rings.remove("usage-a-0");
  }
}

TEST_F(Ring, BeginsAnewWithAnotherShape) {
  open().write("usage-a-0", 3, row(10));
  Rings other{directory, {.interval = seconds{5}, .rows = 10}, {1 << 20}};
  EXPECT_TRUE(other.read("usage-a-0", at(0), at(100)).empty());
  other.write("usage-a-0", 3, row(20));
  EXPECT_EQ(seconds_of(other), Seconds{20});
  EXPECT_TRUE(open().read("usage-a-0", at(0), at(100)).empty());
}

TEST_F(Ring, KeepsToItsLimit) {
  const std::uint64_t one = 64 + 10 * 5 * 8;
  auto rings = open({2 * one});
  EXPECT_TRUE(rings.write("usage-a-0", 3, row(10)));
  EXPECT_TRUE(rings.write("usage-b-0", 3, row(10)));
  EXPECT_FALSE(rings.write("usage-c-0", 3, row(10)));
  EXPECT_TRUE(rings.write("usage-a-0", 3, row(20))) << "what is there goes on";
  auto again = open({2 * one});
  EXPECT_FALSE(again.write("usage-c-0", 3, row(10))) << "a restart does not forget what is used";
  again.remove("usage-b-0");
  EXPECT_TRUE(again.write("usage-c-0", 3, row(10)));
}

TEST_F(Ring, ListsAndRemovesSeries) {
  auto rings = open();
  rings.write("usage-a-0", 3, row(10));
  rings.write("traffic-b", 3, row(10));
  std::ofstream{directory / "notes.txt"} << "of somebody else";
  ASSERT_EQ(rings.list().size(), 2u);
  EXPECT_EQ(rings.list()[0].name, "traffic-b");
  EXPECT_LT(rings.list()[0].age, std::chrono::hours{1});
  EXPECT_EQ(rings.list("usage-").size(), 1u);
  rings.remove("usage-a-0");
  rings.remove("usage-a-0");
  EXPECT_EQ(rings.list().size(), 1u);
  EXPECT_TRUE(fs::exists(directory / "notes.txt"));
}

TEST_F(Ring, RefusesNamesThatAreNone) {
  auto rings = open();
  for (const std::string name : {"", "../a", "a/b", "a.b", "a b"})
    EXPECT_THROW(rings.write(name, 3, row(10)), Error) << name;
}

}  // namespace
}  // namespace tow::observe
