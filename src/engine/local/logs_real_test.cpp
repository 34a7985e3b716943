// SPDX-License-Identifier: Apache-2.0
// Logs of real instances: conmon writes them, and is told to go on in a new file.
#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

#include "engine/local/machine.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::SizeIs;

class LogsReal : public OnMachine {
 protected:
  std::vector<LogLine> query(const LogQuery& what) {
    std::vector<LogLine> all;
    run_blocking(engine_->logs(what, [&](const LogLine& line) -> Task<> {
      all.push_back(line);
      co_return;
    }));
    return all;
  }
};

TEST_F(LogsReal, StreamsLongLinesAndLastLinesAreWhole) {
  run({"complain", "to stderr"});
  const auto lines = query({.source = "job1"});
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0].stream, Stream::Err);
  EXPECT_EQ(lines[0].instance, "job1");
  EXPECT_EQ(run({"speak", "1", "100000"}).size(), 100002u) << "conmon cuts it in parts";
  EXPECT_EQ(run({"cat", "/proc/sys/kernel/osrelease"}).find('\n'), std::string::npos);
}

TEST_F(LogsReal, KeepsTheLogsOfEveryRunInOrder) {
  auto w = workload({"exit", "1"});
  ensure("g1", w);
  eventually("it ran three times", [&] { return engine_->group("g1")->instances.at(0).restarts >= 2; });
  run_blocking(engine_->retire("g1", std::chrono::seconds{1}));
  wait_gone("g1");
  const auto lines = query({.source = "g1"});
  ASSERT_GE(lines.size(), 2u);
  for (std::size_t i = 1; i < lines.size(); ++i) EXPECT_LE(lines[i - 1].time, lines[i].time);
  EXPECT_THAT(query({.source = "g1", .since = lines[1].time, .tail = 1}), SizeIs(1));
  EXPECT_EQ(query({.source = "g1-0"}).size(), lines.size()) << "an instance's own";
}

TEST_F(LogsReal, MergesTheInstancesOfAGroupByTime) {
  ensure("g1", workload({"serve", "8080"}, {{.name = "http", .port = 8080}}), 3);
  wait_ready("g1", 3);
  eventually("conmon has written", [&] { return query({.source = "g1"}).size() == 3; });
  const auto lines = query({.source = "g1"});
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_LE(lines[0].time, lines[1].time);
  EXPECT_LE(lines[1].time, lines[2].time);
  EXPECT_THAT(query({.source = "g1", .tail = 2}), SizeIs(2));
  EXPECT_EQ(query({.source = "g1", .tail = 1})[0].time, lines[2].time);
}

TEST_F(LogsReal, FollowsUntilTheSourceIsGone) {
  ensure("g1", workload({"ticks", "1000", "20"}));
  std::vector<std::string> seen;
  std::atomic<int> count = 0;
  std::thread follower{[&] {
    run_blocking(engine_->logs({.source = "g1", .follow = true}, [&](const LogLine& line) -> Task<> {
      seen.push_back(line.text);
      ++count;
      co_return;
    }));
  }};
  eventually("lines come as they are written", [&] { return count >= 10; });
  run_blocking(engine_->retire("g1", std::chrono::seconds{1}));
  follower.join();
  EXPECT_EQ(seen[0], "tick 0");
  EXPECT_EQ(seen[9], "tick 9");
  EXPECT_EQ(seen.size(), query({.source = "g1"}).size()) << "to the last line";
}

TEST_F(LogsReal, RotatesWithoutLosingALineAndStaysBounded) {
  stop_engine();
  log_file_size_ = Bytes{1 << 20};
  start_engine();
  // 40,000 lines of 120 bytes, as fast as 2 MB/s, then it stays.
  ensure("g1", workload({"ticks", "40000", "0", "120"}));
  const fs::path folder = root_ / "logs/g1";
  wait_ready("g1");
  eventually(
      "older files are compressed",
      [&] {
        int packed = 0;
        for (const auto& entry : fs::directory_iterator{folder}) packed += entry.path().extension() == ".zst";
        return packed >= 2;
      },
      std::chrono::seconds{30});
  eventually(
      "all is written",
      [&] {
        return !query({.source = "g1", .tail = 1}).empty() &&
               query({.source = "g1", .tail = 1})[0].text.starts_with("tick 39999");
      },
      std::chrono::seconds{30});
  const auto lines = query({.source = "g1"});
  ASSERT_FALSE(lines.empty());
  int expected = std::atoi(lines[0].text.c_str() + 5);
  for (const auto& line : lines) ASSERT_EQ(std::atoi(line.text.c_str() + 5), expected++);
  EXPECT_EQ(expected, 40000);
  int files = 0;
  for (const auto& entry : fs::directory_iterator{folder}) files += entry.is_regular_file();
  EXPECT_LE(files, 4);
  EXPECT_THAT(query({.source = "g1", .tail = 5}), SizeIs(5));
}

}  // namespace
}  // namespace tow::engine::local
