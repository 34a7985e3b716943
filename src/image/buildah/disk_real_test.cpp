// SPDX-License-Identifier: Apache-2.0
// A full disk, made of a small file system in memory.
#include <sys/mount.h>

#include "image/buildah/real_fixture.hpp"

namespace tow::image::buildah {
namespace {

class RealFullDisk : public RealImages {
 public:
  RealFullDisk() {
    settings_.directory = std::filesystem::temp_directory_path() / ("towpath-disk-" + new_uid());
    settings_.run_directory = default_run_directory(settings_.directory);
    std::filesystem::create_directories(settings_.directory);
    mounted_ = ::mount("tmpfs", settings_.directory.c_str(), "tmpfs", 0, "size=24m") == 0;
  }
  ~RealFullDisk() override {
    if (mounted_) EXPECT_EQ(::umount2(settings_.directory.c_str(), 0), 0);
    std::error_code error;
    std::filesystem::remove_all(settings_.directory, error);
    std::filesystem::remove_all(settings_.run_directory, error);
  }
  bool mounted_ = false;
};

TEST_F(RealFullDisk, IsSaidAndWhatWasBuiltBeforeStays) {
  ASSERT_TRUE(mounted_);
  write("small", "small");
  write("Containerfile", "FROM scratch\nCOPY small /small\n");
  const auto first = build(request());
  std::string large;
  large.resize(20'000'000, 'x');
  write("large", large);
  write("Containerfile", "FROM scratch\nCOPY small /small\nCOPY large /large\n");
  const auto wanted = request();
  const auto error = error_of([&] { build(wanted); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::Exhausted) << error->message();
  EXPECT_NE(error->message().find("the disk is full"), std::string::npos) << error->message();
  EXPECT_EQ(traces(wanted.id).find(wanted.id), std::string::npos) << traces(wanted.id);
  // With room again, building goes on.
  EXPECT_TRUE(run_blocking(images_->find(first.image.id)));
  write("Containerfile", "FROM scratch\nCOPY small /again\n");
  EXPECT_FALSE(build(request()).image.id.empty());
}

}  // namespace
}  // namespace tow::image::buildah
