// SPDX-License-Identifier: Apache-2.0
#include "deploy/simulation_test.hpp"

#include "deploy/seeds_test.hpp"

namespace tow::deploy {
namespace {

TEST(Simulation, HoldsItsPromises) {
  for_each_seed(200, [](std::uint64_t seed) { Simulation{seed}.run(); });
}

}  // namespace
}  // namespace tow::deploy
