// SPDX-License-Identifier: Apache-2.0
#include "engine/local/volumes.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

class Volumes : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_ / "outside"); }
  void TearDown() override { fs::remove_all(root_); }
  /// The file system's own number of the directory that was opened.
  ino_t open(const std::string& sub_path) {
    struct stat about{};
    const auto opened = open_volume(root_ / "volumes/v1", sub_path, ::geteuid(), ::getegid());
    return ::fstat(opened.get(), &about) == 0 ? about.st_ino : 0;
  }
  ino_t number(const fs::path& path) {
    struct stat about{};
    return ::lstat((root_ / path).c_str(), &about) == 0 ? about.st_ino : 0;
  }
  fs::path root_ = fs::temp_directory_path() / ("tow-volumes-" + new_uid());
};

TEST_F(Volumes, AreMadeWhereTheyAreMissing) {
  EXPECT_EQ(open(""), number("volumes/v1"));
  EXPECT_EQ(open("a/b"), number("volumes/v1/a/b"));
  EXPECT_EQ(open("./a//b/"), number("volumes/v1/a/b"));
  EXPECT_EQ(open("a/../c"), number("volumes/v1/c"));
}

TEST_F(Volumes, AreNotLeft) {
  open("");
  const fs::path volume = root_ / "volumes/v1";
  fs::create_directory_symlink(root_ / "outside", volume / "absolute");
  fs::create_directory_symlink("../../outside", volume / "relative");
  fs::create_directory_symlink("/", volume / "root");
  fs::create_directories(volume / "deep");
  fs::create_directory_symlink("../../../outside", volume / "deep/link");
  const struct {
    const char* reason;
    const char* sub_path;
  } rows[] = {
      {"up", ".."},
      {"up again", "a/../../v2"},
      {"absolute", "/etc"},
      {"a link", "absolute"},
      {"what would be made behind a link", "absolute/made"},
      {"behind a relative one", "relative/made"},
      {"behind one to the root", "root/tow-volumes-made"},
      {"behind one further down", "deep/link/made"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    try {
      open(row.sub_path);
      ADD_FAILURE() << "opened";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid) << error.message();
    }
  }
  EXPECT_TRUE(fs::is_empty(root_ / "outside"));
  EXPECT_FALSE(fs::exists("/tow-volumes-made"));
}

}  // namespace
}  // namespace tow::engine::local
