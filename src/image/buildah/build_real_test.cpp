// SPDX-License-Identifier: Apache-2.0
// Builds with the real buildah.
#include "image/buildah/real_fixture.hpp"

namespace tow::image::buildah {
namespace {

TEST_F(RealImages, BuildsAContainerfileAndStreamsItsLog) {
  write("Containerfile", "FROM towpath/base:12\nRUN echo " + request().id +
                             " is $((6*7))\nENV A=b\nEXPOSE 8080\nUSER app\nSTOPSIGNAL SIGINT\nCMD "
                             "[\"x\"]\n");
  const auto result = build(request());
  EXPECT_NE(log().find(" is 42\n"), std::string::npos) << log();
  EXPECT_EQ(result.pack, "");
  EXPECT_EQ(result.image.command, (std::vector<std::string>{"x"}));
  EXPECT_EQ(result.image.user, "app");
  EXPECT_EQ(result.image.exposed_ports, (std::vector<std::uint16_t>{8080}));
  EXPECT_EQ(result.image.stop_signal, "SIGINT");
  EXPECT_GT(result.image.size.count, 50'000'000U);
  const auto found = run_blocking(images_->find("sha256:" + result.image.id));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->digest, result.image.digest);
}

}  // namespace
}  // namespace tow::image::buildah
