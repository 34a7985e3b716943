// SPDX-License-Identifier: Apache-2.0
#pragma once
// Time and randomness as parameters, so that a test or a simulation can stand in for both.

#include <cstdint>
#include <memory>

#include "base/task.hpp"
#include "base/units.hpp"

namespace tow {

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall-clock time; may jump when the machine's clock is set.
  virtual TimePoint now() const = 0;
  /// Waits on the executor of the calling task; never for less than `duration`. Throws Error{Cancelled}.
  virtual Task<> sleep(Duration duration) = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
  Task<> sleep(Duration duration) override;
};

/// Time stands still until advance() moves it; sleepers then wake in the order of their times.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(TimePoint start = TimePoint{Duration{1'767'225'600'000}});  // 2026-01-01
  ~FakeClock() override;
  TimePoint now() const override;
  Task<> sleep(Duration duration) override;
  void advance(Duration duration);
  /// The time of the first sleeper, if there is one.
  std::optional<TimePoint> next() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// A small, fast, seedable generator (SplitMix64). Not for secrets. Not thread-safe.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_{seed} {}
  std::uint64_t next();
  /// In [0, 1).
  double real();
  /// In [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high);

 private:
  std::uint64_t state_;
};

}  // namespace tow
