// SPDX-License-Identifier: Apache-2.0
// The test program is its repositories' hook, too, as `tow` is in a real server.
#include <gtest/gtest.h>

#include "source/source.hpp"

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view{argv[1]} == "hook") return tow::source::run_hook(argv[2]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
