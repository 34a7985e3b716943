// SPDX-License-Identifier: Apache-2.0
#pragma once
// Random tests by seed: the same seed is the same run. TOWPATH_SEED=17 repeats one, TOWPATH_SEEDS=5000 runs
// from 1 to there. For tests only.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <functional>

#include "base/error.hpp"

namespace tow::deploy {

/// Until one fails, which is named.
inline void for_each_seed(std::uint64_t as_many_as, const std::function<void(std::uint64_t seed)>& run) {
  const auto number = [](const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
  };
  const auto only = number("TOWPATH_SEED", 0);
  const auto last = only ? only : number("TOWPATH_SEEDS", as_many_as);
  for (auto seed = only ? only : 1; seed <= last; ++seed) {
    SCOPED_TRACE(fmt::format("TOWPATH_SEED={}", seed));
    try {
      run(seed);
    } catch (const Error& error) {
      FAIL() << error.message();
    }
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace tow::deploy
