// SPDX-License-Identifier: Apache-2.0
#pragma once
// From rows to the points of charts: rates of counters, and peaks of what goes up and down. Pure.

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "observe/ring.hpp"

namespace tow::observe {

/// What happened in one step.
struct Bucket {
  std::array<std::uint64_t, kMostColumns> growth{};  // of counters
  std::array<std::uint64_t, kMostColumns> most{};
  Duration covered{};  // by the growth; zero where no two rows follow one another
  int rows = 0;
};
/// By the end of the step; steps begin at multiples of their length. Growth over a longer gap than `gap`
/// belongs to no step: nobody was looking.
using Buckets = std::map<TimePoint, Bucket>;
Buckets in_steps(const std::vector<Row>& rows, Duration step, Duration gap);

/// The length of a step: a multiple of the sampling's interval, so that about 120 make up the time.
Duration step_for(Duration since, Duration interval);

}  // namespace tow::observe
