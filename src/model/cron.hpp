// SPDX-License-Identifier: Apache-2.0
#pragma once
// When something on a schedule is due: five fields of crontab(5), read in a time zone. Values; the clock is
// the caller's.
//
//   minute  hour  day of month  month  day of week      0-59  0-23  1-31  1-12 or jan-dec  0-7 or sun-sat
//
// A field is a list of numbers and ranges, each with a step or without: "*", "1,15", "mon-fri", "*/10",
// "8-18/2", "5/15" (from 5 to the end). 0 and 7 are Sunday. Or one of @hourly, @daily (@midnight), @weekly,
// @monthly, @yearly (@annually) instead of all five.
//
// Where both days are restricted, either suffices (POSIX); a field that begins with * restricts nothing (as
// in Debian's cron), so that with "*/2" in one of them both have to hold.
//
// Clocks that are changed: a local time that is skipped is due at the end of the gap, once, however many are;
// one that comes twice is due the first time. A schedule of every hour knows no such times: it goes on by
// elapsed time, and is due in both of the two hours, and not at the end of a gap.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.hpp"

namespace tow::cron {

class Schedule {
 public:
  /// The zone is a name of the IANA database, "UTC" when empty. Throws Error{Invalid}: what is wrong with
  /// which field, an unknown zone, a schedule that is never due.
  static Schedule parse(std::string_view text, std::string_view zone);

  Schedule(Schedule&&) noexcept;
  Schedule& operator=(Schedule&&) noexcept;
  ~Schedule();

  /// The first moment after `after`. It is always on a full minute.
  TimePoint next(TimePoint after) const;

 private:
  struct State;
  explicit Schedule(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

/// What is wrong with the zone's name; empty: nothing.
std::string zone_fault(std::string_view zone);

}  // namespace tow::cron
