// SPDX-License-Identifier: Apache-2.0
#include "model/cron.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::cron {
namespace {

TimePoint at(std::string_view text) {
  const auto time = parse_time(std::string{text} + ":00Z");
  EXPECT_TRUE(time) << text;
  return time.value_or(TimePoint{});
}
std::string text_of(TimePoint time) { return to_string(time).substr(0, 16); }

struct Row {
  const char* reason;
  const char* schedule;
  const char* zone;
  const char* after;              // UTC
  std::vector<std::string> next;  // UTC, in order
};

void check(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    SCOPED_TRACE(fmt::format("{}: \"{}\" in {}", row.reason, row.schedule, row.zone));
    const auto schedule = Schedule::parse(row.schedule, row.zone);
    auto time = at(row.after);
    std::vector<std::string> next;
    for (std::size_t i = 0; i < row.next.size(); ++i) next.push_back(text_of(time = schedule.next(time)));
    EXPECT_EQ(next, row.next);
  }
}

TEST(Cron, IsDueWhereEveryFieldSaysSo) {
  check({
      {"every minute", "* * * * *", "", "2026-01-01T00:00", {"2026-01-01T00:01", "2026-01-01T00:02"}},
      {"strictly later", "0 3 * * *", "", "2026-01-01T03:00", {"2026-01-02T03:00"}},
      {"a step of minutes",
       "*/25 * * * *",
       "",
       "2026-01-01T00:00",
       {"2026-01-01T00:25", "2026-01-01T00:50", "2026-01-01T01:00"}},
      {"a range with a step",
       "0 8-18/5 * * *",
       "",
       "2026-01-01T00:00",
       {"2026-01-01T08:00", "2026-01-01T13:00", "2026-01-01T18:00", "2026-01-02T08:00"}},
      {"from a number on",
       "50/4 12 * * *",
       "",
       "2026-01-01T00:00",
       {"2026-01-01T12:50", "2026-01-01T12:54", "2026-01-01T12:58", "2026-01-02T12:50"}},
      {"a list of ranges",
       "0 0 1-2,15 * *",
       "",
       "2026-01-01T00:00",
       {"2026-01-02T00:00", "2026-01-15T00:00", "2026-02-01T00:00"}},
      {"names of months, whatever their case",
       "0 0 1 JAN,Jul *",
       "",
       "2026-01-01T00:00",
       {"2026-07-01T00:00", "2027-01-01T00:00"}},
      {"names of days",
       "30 9 * * mon-wed",
       "",
       "2026-01-01T00:00",
       {"2026-01-05T09:30", "2026-01-06T09:30", "2026-01-07T09:30", "2026-01-12T09:30"}},
      {"Sunday is 0", "0 0 * * 0", "", "2026-01-01T00:00", {"2026-01-04T00:00", "2026-01-11T00:00"}},
      {"and 7", "0 0 * * 7", "", "2026-01-01T00:00", {"2026-01-04T00:00", "2026-01-11T00:00"}},
      {"a week ends with Sunday, too",
       "0 0 * * fri-sun",
       "",
       "2026-01-01T00:00",
       {"2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00", "2026-01-09T00:00"}},
      {"5-7 is the same",
       "0 0 * * 5-7",
       "",
       "2026-01-01T00:00",
       {"2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00", "2026-01-09T00:00"}},
      {"months without a 31st have none",
       "0 0 31 * *",
       "",
       "2026-01-31T00:00",
       {"2026-03-31T00:00", "2026-05-31T00:00"}},
      {"blanks and tabs", " 0\t3  * * * ", "", "2026-01-01T00:00", {"2026-01-01T03:00"}},
      {"@hourly", "@hourly", "", "2026-01-01T00:30", {"2026-01-01T01:00"}},
      {"@daily", "@daily", "", "2026-01-01T00:30", {"2026-01-02T00:00"}},
      {"@midnight", "@midnight", "", "2026-01-01T00:30", {"2026-01-02T00:00"}},
      {"@weekly is Sunday", "@weekly", "", "2026-01-01T00:30", {"2026-01-04T00:00"}},
      {"@monthly", "@monthly", "", "2026-01-01T00:30", {"2026-02-01T00:00"}},
      {"@yearly", "@yearly", "", "2026-01-01T00:30", {"2027-01-01T00:00"}},
      {"@annually", "@annually", "", "2026-01-01T00:30", {"2027-01-01T00:00"}},
  });
}

TEST(Cron, OfTwoRestrictedDaysEitherSuffices) {
  check({
      {"POSIX: the 13th, and every Friday",
       "0 0 13 * fri",
       "",
       "2026-02-01T00:00",
       {"2026-02-06T00:00", "2026-02-13T00:00", "2026-02-20T00:00", "2026-02-27T00:00", "2026-03-06T00:00",
        "2026-03-13T00:00"}},
      {"a day of the month alone",
       "0 0 13 * *",
       "",
       "2026-02-01T00:00",
       {"2026-02-13T00:00", "2026-03-13T00:00"}},
      {"a day of the week alone",
       "0 0 * * fri",
       "",
       "2026-02-01T00:00",
       {"2026-02-06T00:00", "2026-02-13T00:00"}},
      {"a field that begins with * restricts nothing: both hold",
       "0 0 */2 * mon",
       "",
       "2026-02-01T00:00",
       {"2026-02-09T00:00", "2026-02-23T00:00", "2026-03-09T00:00"}},
      {"1-31 is a restriction, if none that is felt: either",
       "0 0 1-31 * mon",
       "",
       "2026-02-01T00:00",
       {"2026-02-02T00:00", "2026-02-03T00:00"}},
      {"the month holds in any case",
       "0 0 13 3 fri",
       "",
       "2026-02-01T00:00",
       {"2026-03-06T00:00", "2026-03-13T00:00"}},
  });
}

TEST(Cron, KnowsLeapDays) {
  check({
      {"every fourth year",
       "0 12 29 2 *",
       "",
       "2026-01-01T00:00",
       {"2028-02-29T12:00", "2032-02-29T12:00", "2036-02-29T12:00"}},
      {"but not in 2100", "0 12 29 2 *", "", "2096-03-01T00:00", {"2104-02-29T12:00"}},
      {"a leap day that is a Sunday takes its time",
       "0 0 29 2 */7",
       "",
       "2026-01-01T00:00",
       {"2032-02-29T00:00", "2060-02-29T00:00", "2088-02-29T00:00"}},
      {"across a century without one", "0 0 29 2 */7", "", "2089-01-01T00:00", {"2128-02-29T00:00"}},
      {"a day is a day", "0 0 1 3 *", "", "2028-02-28T00:00", {"2028-03-01T00:00"}},
  });
}

TEST(Cron, AZoneHasItsOwnDays) {
  check({
      {"east of Greenwich", "0 3 * * *", "Europe/Berlin", "2026-01-10T00:00", {"2026-01-10T02:00"}},
      {"in summer an hour earlier", "0 3 * * *", "Europe/Berlin", "2026-07-10T00:00", {"2026-07-10T01:00"}},
      {"half an hour", "0 9 * * mon", "Asia/Kolkata", "2026-01-01T00:00", {"2026-01-05T03:30"}},
      {"three quarters", "0 9 * * *", "Asia/Kathmandu", "2026-01-01T00:00", {"2026-01-01T03:15"}},
      {"the first of the month is the last of ours",
       "0 0 1 * *",
       "Asia/Tokyo",
       "2026-01-15T00:00",
       {"2026-01-31T15:00"}},
      {"past the last rule that is written out",
       "0 3 * * *",
       "America/New_York",
       "2060-07-01T12:00",
       {"2060-07-02T07:00"}},
      {"a zone without an hour to change", "0 3 * * *", "Etc/UTC", "2026-03-29T00:00", {"2026-03-29T03:00"}},
  });
}

// 2026: Berlin 29 March 02:00 → 03:00 (01:00 UTC), 25 October 03:00 → 02:00 (01:00 UTC).
TEST(Cron, WhatIsSkippedIsDueOnceAtTheEndOfTheGap) {
  check({
      {"Berlin",
       "30 2 * * *",
       "Europe/Berlin",
       "2026-03-27T12:00",
       {"2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"}},
      {"New York, 8 March 02:00 → 03:00",
       "15 2 * * *",
       "America/New_York",
       "2026-03-07T12:00",
       {"2026-03-08T07:00", "2026-03-09T06:15"}},
      {"Lord Howe moves by half an hour, 4 October 02:00 → 02:30",
       "15 2 * * *",
       "Australia/Lord_Howe",
       "2026-10-02T20:00",
       {"2026-10-03T15:30", "2026-10-04T15:15"}},
      {"where midnight is skipped: Cairo, 25 April 2025",
       "0 0 * * *",
       "Africa/Cairo",
       "2025-04-23T23:00",
       {"2025-04-24T22:00", "2025-04-25T21:00"}},
      {"many in the gap are one",
       "*/10 2 * * *",
       "Europe/Berlin",
       "2026-03-28T12:00",
       {"2026-03-29T01:00", "2026-03-30T00:00", "2026-03-30T00:10"}},
      {"the gap's end is due by itself as well: once",
       "0 2,3 * * *",
       "Europe/Berlin",
       "2026-03-28T12:00",
       {"2026-03-29T01:00", "2026-03-30T00:00", "2026-03-30T01:00"}},
      {"on the day of the change alone",
       "30 2 29 3 *",
       "Europe/Berlin",
       "2026-01-01T00:00",
       {"2026-03-29T01:00", "2027-03-29T00:30"}},
      {"a whole day: Samoa had no 30 December 2011",
       "0 12 30 12 *",
       "Pacific/Apia",
       "2011-06-01T00:00",
       {"2011-12-30T10:00", "2012-12-29T22:00"}},
  });
}

TEST(Cron, WhatComesTwiceIsDueTheFirstTime) {
  check({
      {"Berlin", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", {"2026-10-25T00:30", "2026-10-26T01:30"}},
      {"from between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:45", {"2026-10-26T01:30"}},
      {"New York, 1 November",
       "15 1 * * *",
       "America/New_York",
       "2026-10-31T12:00",
       {"2026-11-01T05:15", "2026-11-02T06:15"}},
      {"Lord Howe, 5 April, 02:00 → 01:30",
       "45 1 * * *",
       "Australia/Lord_Howe",
       "2026-04-03T20:00",
       {"2026-04-04T14:45", "2026-04-05T15:15"}},
      {"its end comes once",
       "0 3 * * *",
       "Europe/Berlin",
       "2026-10-24T12:00",
       {"2026-10-25T02:00", "2026-10-26T02:00"}},
      {"every other hour",
       "0 */2 * * *",
       "Europe/Berlin",
       "2026-10-24T22:00",
       {"2026-10-25T00:00", "2026-10-25T03:00"}},
  });
}

TEST(Cron, EveryHourGoesByElapsedTime) {
  check({
      {"no hour is left out when one comes twice",
       "30 * * * *",
       "Europe/Berlin",
       "2026-10-24T23:00",
       {"2026-10-24T23:30", "2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"}},
      {"and none is made up for",
       "30 * * * *",
       "Europe/Berlin",
       "2026-03-29T00:00",
       {"2026-03-29T00:30", "2026-03-29T01:30", "2026-03-29T02:30"}},
      {"every twenty minutes is every twenty minutes",
       "*/20 * * * *",
       "Europe/Berlin",
       "2026-10-25T00:35",
       {"2026-10-25T00:40", "2026-10-25T01:00", "2026-10-25T01:20"}},
      {"on its days alone",
       "0 * 25 10 *",
       "Europe/Berlin",
       "2026-10-25T22:30",
       {"2027-10-24T22:00", "2027-10-24T23:00"}},
      {"0-23 is every hour", "30 0-23 * * *", "Europe/Berlin", "2026-10-25T00:30", {"2026-10-25T01:30"}},
      {"at half an hour's change",
       "0 * * * *",
       "Australia/Lord_Howe",
       "2026-10-03T14:30",
       {"2026-10-03T16:00", "2026-10-03T17:00"}},
      {"where midnight is skipped",
       "30 * 25 4 *",
       "Africa/Cairo",
       "2025-04-24T20:00",
       {"2025-04-24T22:30", "2025-04-24T23:30"}},
  });
}

// Every day of twelve years, in zones that change at other times: once a day, whatever the clocks do.
TEST(Cron, OnceADayIsOnceADay) {
  for (const auto* zone : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo",
                           "America/Santiago", "Asia/Kolkata", "Pacific/Auckland", "UTC"}) {
    for (const auto* text : {"30 2 * * *", "0 0 * * *", "45 1 * * *"}) {
      const auto schedule = Schedule::parse(text, zone);
      const auto begin = at("2026-01-01T12:00"), end = at("2038-01-01T12:00");
      int count = 0;
      for (auto time = schedule.next(begin); time <= end; time = schedule.next(time)) ++count;
      EXPECT_EQ(count, (end - begin) / std::chrono::hours{24}) << text << " in " << zone;
    }
  }
}

TEST(Cron, WhatCannotBeIsSaid) {
  const struct {
    const char* reason;
    const char* schedule;
    const char* zone;
    const char* said;
  } rows[] = {
      {"nothing", "", "", "has 0 fields"},
      {"four fields", "0 3 * *", "", "has 4 fields, not the five of cron"},
      {"six, with seconds", "0 0 3 * * *", "", "has 6 fields"},
      {"a minute too many", "60 * * * *", "",
       "its minute, \"60\", has \"60\", which is no number from 0 to 59"},
      {"no day 0", "0 0 0 * *", "", "no number from 1 to 31"},
      {"no month 13", "0 0 1 13 *", "", "its month, \"13\""},
      {"a name in the wrong field", "0 0 jan * *", "", "its day of month, \"jan\""},
      {"a day that is none", "0 0 * * someday", "", "none of sun, mon"},
      {"backwards", "0 18-8 * * *", "", "ends before it begins"},
      {"a step of nothing", "*/0 * * * *", "", "the step \"0\""},
      {"an empty part", "0,,1 * * * *", "", "has an empty part"},
      {"a minus", "-1 * * * *", "", "its minute"},
      {"of other programs: L", "0 0 L * *", "", "\"L\""},
      {"of other programs: ?", "0 0 ? * 1", "", "\"?\""},
      {"another word", "@reboot", "", "\"@reboot\" is none of @hourly"},
      {"an interval", "@every 5m", "", "has 2 fields"},
      {"a zone in the schedule", "TZ=Europe/Berlin 0 3 * * *", "", "write it into timeZone"},
      {"never", "0 0 30 2 *", "", "is never due"},
      {"never, with names", "0 0 31 apr,jun *", "", "is never due"},
      {"a zone that is none", "0 3 * * *", "Europe/Bärlin", "is no time zone"},
      {"a file", "0 3 * * *", "../../../etc/passwd", "is no time zone"},
      {"a file by its whole path", "0 3 * * *", "/etc/localtime", "is no time zone"},
      {"the machine's own zone, which another machine has not", "0 3 * * *", "localtime", "is no time zone"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    try {
      Schedule::parse(row.schedule, row.zone);
      ADD_FAILURE() << "it was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid);
      EXPECT_NE(error.message().find(row.said), std::string::npos) << error.message();
    }
  }
  EXPECT_NO_THROW(Schedule::parse("0 0 30 2 mon", "")) << "Mondays come";
}

}  // namespace
}  // namespace tow::cron
