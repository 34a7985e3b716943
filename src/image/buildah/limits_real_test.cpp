// SPDX-License-Identifier: Apache-2.0
// What a build's steps may use, tried out by steps that want more.
#include <chrono>

#include "image/buildah/real_fixture.hpp"

namespace tow::image::buildah {
namespace {

class RealLimits : public RealImages {
 public:
  /// Builds with these limits; the step is no other build's.
  std::optional<Error> try_step(const std::string& step) {
    images_ = make(settings_);
    run_blocking(images_->start());
    write("Containerfile", "FROM towpath/python:12\nENV TRY=" + new_uid() + "\nRUN true\nRUN " + step + "\n");
    wanted_ = request();
    const auto error = error_of([&] { build(wanted_); });
    expect_no_traces(wanted_.id);
    return error;
  }
  BuildRequest wanted_;
};

TEST_F(RealLimits, AStepThatWantsTooMuchMemoryIsKilledAndTheLimitSaid) {
  settings_.memory = Bytes{96 << 20};
  const auto error = try_step("python3 -c 'x = bytearray(400 << 20); print(\"survived\", len(x))'");
  ASSERT_TRUE(error) << log();
  EXPECT_EQ(error->code(), Code::Exhausted) << error->message();
  EXPECT_NE(error->message().find(to_string(*settings_.memory)), std::string::npos) << error->message();
  EXPECT_NE(error->message().find("step 4/4: RUN python3"), std::string::npos) << error->message();
  EXPECT_EQ(log().find("\nsurvived"), std::string::npos) << log();
}

TEST_F(RealLimits, AStepThatStartsTooManyProcessesIsRefusedMore) {
  settings_.processes = 40;
  const auto error = try_step("for i in $(seq 100); do sleep 30 & done; echo survived");
  EXPECT_EQ(log().find("\nsurvived"), std::string::npos) << log();
  ASSERT_TRUE(error) << log();
  EXPECT_NE(error->message().find("fork"), std::string::npos) << error->message();
}

TEST_F(RealLimits, WhatAStepLeavesRunningEndsWithIt) {
  const auto begin = std::chrono::steady_clock::now();
  const auto error = try_step("setsid sleep 1000 >/dev/null 2>&1 & echo left");
  EXPECT_FALSE(error) << error->message();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::minutes{5});
}

}  // namespace
}  // namespace tow::image::buildah
