// SPDX-License-Identifier: Apache-2.0
#include "base/units.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tow {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsReadAsItIsWritten) {
  const struct {
    std::string_view reason, text;
    std::optional<Duration> value;
  } cases[] = {
      {"seconds", "30s", 30s},
      {"milliseconds are not minutes", "500ms", 500ms},
      {"several units", "1h30m", 90min},
      {"days", "2d", 48h},
      {"a fraction", "1.5s", 1500ms},
      {"a bare zero", "0", 0ms},
      {"a zero with a unit", "0s", 0ms},
      {"nothing", "", {}},
      {"no unit", "5", {}},
      {"no number", "s", {}},
      {"an unknown unit", "5y", {}},
      {"a part without unit", "1h30", {}},
      {"a sign", "-5s", {}},
      {"a sign in the middle", "1h-5s", {}},
      {"white space", "5 s", {}},
      {"infinity", "infs", {}},
      {"no number at all", "nans", {}},
      {"too long for a clock", "99999999999999999d", {}},
      {"an exponent", "1e3s", {}},
  };
  for (const auto& [reason, text, value] : cases) EXPECT_EQ(parse_duration(text), value) << reason;
}

TEST(Duration, IsWrittenShort) {
  EXPECT_EQ(to_string(Duration{0}), "0s");
  EXPECT_EQ(to_string(Duration{90min + 1ms}), "1h30m1ms");
  EXPECT_EQ(to_string(Duration{48h}), "48h");
  for (const Duration value : {Duration{1}, Duration{999}, Duration{61s}, Duration{25h + 3s + 7ms}})
    EXPECT_EQ(parse_duration(to_string(value)), value) << to_string(value);
}

TEST(Bytes, AreReadAsScoreAndKubernetesWriteThem) {
  const struct {
    std::string_view reason, text;
    std::optional<Bytes> value;
  } cases[] = {
      {"plain bytes", "1024", Bytes{1024}},
      {"powers of a thousand", "512M", Bytes{512'000'000}},
      {"powers of 1024", "512Mi", Bytes{512ULL << 20}},
      {"a fraction", "1.5Gi", Bytes{3ULL << 29}},
      {"both spellings of a thousand", "2k", Bytes{2000}},
      {"the largest unit", "7Ei", Bytes{7ULL << 60}},
      {"zero", "0", Bytes{0}},
      {"more than there is", "16Ei", {}},
      {"a small unit", "512mb", {}},
      {"a byte sign", "512MB", {}},
      {"nothing", "", {}},
      {"no number", "Mi", {}},
      {"a sign", "-1", {}},
      {"white space", "1 Mi", {}},
      {"infinity", "inf", {}},
  };
  for (const auto& [reason, text, value] : cases) EXPECT_EQ(parse_bytes(text), value) << reason;
}

TEST(Bytes, AreWrittenExactly) {
  EXPECT_EQ(to_string(Bytes{0}), "0");
  EXPECT_EQ(to_string(Bytes{1000}), "1000");
  EXPECT_EQ(to_string(Bytes{1024}), "1Ki");
  EXPECT_EQ(to_string(Bytes{3ULL << 29}), "1536Mi");
  for (const std::uint64_t count : {1ULL, 1023ULL, 1ULL << 62, 5ULL << 40})
    EXPECT_EQ(parse_bytes(to_string(Bytes{count})), Bytes{count}) << count;
}

TEST(Time, IsReadByRfc3339) {
  const auto noon = TimePoint{Duration{1'772'366'400'000}};  // 2026-03-01T12:00:00Z
  const struct {
    std::string_view reason, text;
    std::optional<TimePoint> value;
  } cases[] = {
      {"UTC", "2026-03-01T12:00:00Z", noon},
      {"small letters", "2026-03-01t12:00:00z", noon},
      {"milliseconds", "2026-03-01T12:00:00.250Z", noon + 250ms},
      {"one digit of a second", "2026-03-01T12:00:00.5Z", noon + 500ms},
      {"finer than ours", "2026-03-01T12:00:00.123456789Z", noon + 123ms},
      {"ahead of UTC", "2026-03-01T13:30:00+01:30", noon},
      {"behind UTC", "2026-03-01T04:00:00-08:00", noon},
      {"a leap day", "2024-02-29T00:00:00Z", TimePoint{Duration{1'709'164'800'000}}},
      {"before 1970", "1969-12-31T23:59:59.999Z", TimePoint{Duration{-1}}},
      {"no such day", "2026-02-29T12:00:00Z", {}},
      {"no such month", "2026-13-01T12:00:00Z", {}},
      {"no such hour", "2026-03-01T24:00:00Z", {}},
      {"no such minute", "2026-03-01T12:60:00Z", {}},
      {"no zone", "2026-03-01T12:00:00", {}},
      {"an empty fraction", "2026-03-01T12:00:00.Z", {}},
      {"something behind it", "2026-03-01T12:00:00Zebra", {}},
      {"letters in the zone", "2026-03-01T12:00:00+ab:cd", {}},
      {"a short year", "26-03-01T12:00:00Z", {}},
      {"a sign in a number", "2026-+3-01T12:00:00Z", {}},
      {"a blank for T", "2026-03-01 12:00:00Z", {}},
      {"a date alone", "2026-03-01", {}},
      {"nothing", "", {}},
  };
  for (const auto& [reason, text, value] : cases) EXPECT_EQ(parse_time(text), value) << reason;
}

TEST(Time, IsWrittenInUtcWithMilliseconds) {
  const struct {
    std::int64_t millis;
    std::string_view text;
  } cases[] = {{0, "1970-01-01T00:00:00.000Z"},
               {-1, "1969-12-31T23:59:59.999Z"},
               {1'772'366'400'250, "2026-03-01T12:00:00.250Z"}};
  for (const auto& [millis, text] : cases) {
    EXPECT_EQ(to_string(TimePoint{Duration{millis}}), text);
    EXPECT_EQ(parse_time(text), TimePoint{Duration{millis}});
  }
}

}  // namespace
}  // namespace tow
