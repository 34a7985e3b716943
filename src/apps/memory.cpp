// SPDX-License-Identifier: Apache-2.0
#include "apps/memory.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <utility>

#include "base/clock.hpp"

namespace tow::apps {
namespace {

constexpr std::chrono::seconds kPace{5};
constexpr std::uint64_t kGrowth = 4 << 20;
constexpr std::uint64_t kQuiet = 256 << 10;

std::uint64_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

bool Bursts::over(std::uint64_t resident) {
  const std::uint64_t before = std::exchange(last_, resident);
  least_ = least_ == 0 ? resident : std::min(least_, resident);
  const bool quiet = resident <= before + kQuiet && before <= resident + kQuiet;
  return quiet && resident >= least_ + kGrowth;
}

Task<> give_back_after_bursts() {
  Bursts bursts;
  SystemClock clock;
  while (true) {
    co_await clock.sleep(kPace);
    if (!bursts.over(resident_bytes())) continue;
    ::malloc_trim(0);
    bursts.gave_back(resident_bytes());
  }
}

}  // namespace tow::apps
