// SPDX-License-Identifier: Apache-2.0
// docs/cli.md is what the commands say of themselves.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "apps/commands.hpp"
#include "cli/cli.hpp"

namespace tow::apps {
namespace {

TEST(Reference, IsCurrent) {
  char program[] = "tow", command[] = "reference";
  char* words[] = {program, command};
  testing::internal::CaptureStdout();
  ASSERT_EQ(cli::run(2, words,
                     {.version = TOWPATH_VERSION,
                      .detect = &detect,
                      .find_components = &find_components,
                      .add_commands = &add_commands}),
            0);
  const auto made = testing::internal::GetCapturedStdout();
  const std::string path = TOW_SOURCE_DIR "/docs/cli.md";
  if (std::getenv("TOW_UPDATE_GOLDEN") != nullptr) std::ofstream{path, std::ios::binary} << made;
  std::ifstream in{path, std::ios::binary};
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), made) << "write it anew: TOW_UPDATE_GOLDEN=1, or `tow reference > docs/cli.md`";
}

}  // namespace
}  // namespace tow::apps
