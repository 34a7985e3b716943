// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <gtest/gtest.h>

namespace tow::log {
namespace {

TEST(Log, IsOneLineAnEventWhateverTheMessage) {
  const TimePoint time{Duration{1'772'366'400'250}};
  const struct {
    std::string_view reason, message, line;
  } cases[] = {
      {"a plain message", "started", "2026-03-01T12:00:00.250Z warning store started\n"},
      {"a line break must not forge a line", "a\nb", "2026-03-01T12:00:00.250Z warning store a\\nb\n"},
      {"an escape must not reach the terminal", "\x1b[2J",
       "2026-03-01T12:00:00.250Z warning store \\x1b[2J\n"},
      {"other scripts stay", "größe", "2026-03-01T12:00:00.250Z warning store größe\n"},
  };
  for (const auto& [reason, message, expected] : cases)
    EXPECT_EQ(line(time, Level::Warning, "store", message), expected) << reason;
}

TEST(Log, WritesFromItsLevelOn) {
  testing::internal::CaptureStderr();
  debug("test", "hidden {}", 1);
  info("test", "seen {}", 2);
  set_level(Level::Error);
  warning("test", "hidden {}", 3);
  error("test", "seen {}", 4);
  set_level(Level::Debug);
  debug("test", "seen {}", 5);
  set_level(Level::Info);
  const auto said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.find("hidden"), said.npos) << said;
  for (const char* seen : {"info test seen 2\n", "error test seen 4\n", "debug test seen 5\n"})
    EXPECT_NE(said.find(seen), said.npos) << seen;
}

}  // namespace
}  // namespace tow::log
