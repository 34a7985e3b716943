// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <map>
#include <mutex>

#include "base/waiter.hpp"

namespace tow {

namespace asio = boost::asio;

TimePoint SystemClock::now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

Task<> SystemClock::sleep(Duration duration) {
  const auto executor = co_await asio::this_coro::executor;
  Waiter waiter{executor};
  co_await waiter.wait(std::max(duration, Duration{0}));
}

struct FakeClock::State {
  mutable std::mutex mutex;
  TimePoint now;
  std::multimap<TimePoint, Waiter*> sleepers;  // each takes itself out
};

namespace {

// One sleeper's entry, for as long as it sleeps.
template <class State>
class Sleeping {
 public:
  Sleeping(State& state, Duration duration, Waiter& waiter) : state_{state} {
    const std::lock_guard lock{state.mutex};
    const auto until = duration < TimePoint::max() - state.now ? state.now + duration : TimePoint::max();
    entry_ = state.sleepers.emplace(until, &waiter);
  }
  ~Sleeping() {
    const std::lock_guard lock{state_.mutex};
    state_.sleepers.erase(entry_);
  }
  Sleeping(const Sleeping&) = delete;
  Sleeping& operator=(const Sleeping&) = delete;

 private:
  State& state_;
  std::multimap<TimePoint, Waiter*>::iterator entry_;
};

}  // namespace

FakeClock::FakeClock(TimePoint start) : state_{std::make_shared<State>()} { state_->now = start; }
FakeClock::~FakeClock() = default;

TimePoint FakeClock::now() const {
  const std::lock_guard lock{state_->mutex};
  return state_->now;
}

Task<> FakeClock::sleep(Duration duration) {
  if (duration <= Duration{0}) {
    co_await yield_now();
    co_return;
  }
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  Waiter waiter{executor};
  const Sleeping sleeping{*state, duration, waiter};
  co_await waiter.wait();
}

void FakeClock::advance(Duration duration) {
  const std::lock_guard lock{state_->mutex};
  state_->now += duration;
  for (auto& [until, waiter] : state_->sleepers) {
    if (until > state_->now) break;
    waiter->wake();
  }
}

std::optional<TimePoint> FakeClock::next() const {
  const std::lock_guard lock{state_->mutex};
  const auto first = state_->sleepers.upper_bound(state_->now);
  if (first == state_->sleepers.end()) return {};
  return first->first;
}

std::uint64_t Random::next() {
  std::uint64_t value = (state_ += 0x9e3779b97f4a7c15);
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

double Random::real() { return static_cast<double>(next() >> 11) * 0x1p-53; }

std::int64_t Random::between(std::int64_t low, std::int64_t high) {
  const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  if (range == 0) return static_cast<std::int64_t>(next());  // all 64 bits
  // Values past the last whole multiple of the range would make low results likelier.
  const std::uint64_t excess = (0 - range) % range;
  std::uint64_t value = next();
  while (value < excess) value = next();
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + value % range);
}

}  // namespace tow
