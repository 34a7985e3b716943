// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/storage.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::image::buildah {
namespace {

const std::string kId(64, 'a');
const std::string kDigest = "sha256:" + std::string(64, 'd');

class StorageTest : public testing::Test {
 protected:
  StorageTest() {
    write("overlay-images/images.json",
          R"([{"id":")" + kId + R"(","digest":")" + kDigest +
              R"(","names":["localhost/towpath/base:12"],"layer":"top",)"
              R"("created":"2026-01-02T03:04:05.123456789Z","metadata":"{}"}])");
    write(
        "overlay-layers/layers.json",
        R"([{"id":"top","parent":"bottom","diff-size":10},{"id":"bottom","diff-size":32},{"id":"x","diff-size":9}])");
    write(
        "overlay-images/" + kId + "/=" + base64("sha256:" + kId),
        R"({"architecture":"amd64","config":{"User":"app","Entrypoint":["/e"],"Cmd":["a","b"],"Env":["A=1"],)"
        R"("WorkingDir":"/app","ExposedPorts":{"9000/udp":{},"8080/tcp":{}},"StopSignal":"SIGINT",)"
        R"("Labels":{"recipe":"r1"}}})");
  }
  ~StorageTest() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream{root_ / path} << text;
  }

  std::filesystem::path root_ = std::filesystem::temp_directory_path() / ("towpath-storage-" + new_uid());
  Storage storage_{root_};
};

TEST_F(StorageTest, DescribesAnImageFromItsFiles) {
  const auto stored = storage_.resolve("localhost/towpath/base:12");
  ASSERT_TRUE(stored);
  EXPECT_EQ(to_string(stored->created), "2026-01-02T03:04:05.123Z");
  const auto image = storage_.describe(*stored);
  EXPECT_EQ(image.id, kId);
  EXPECT_EQ(image.digest, kDigest);
  EXPECT_EQ(image.entrypoint, (std::vector<std::string>{"/e"}));
  EXPECT_EQ(image.command, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(image.environment, (std::vector<std::string>{"A=1"}));
  EXPECT_EQ(image.working_directory, "/app");
  EXPECT_EQ(image.user, "app");
  EXPECT_EQ(image.exposed_ports, (std::vector<std::uint16_t>{8080, 9000}));
  EXPECT_EQ(image.stop_signal, "SIGINT");
  EXPECT_EQ(image.size, Bytes{42});
  EXPECT_EQ(storage_.label(kId, "recipe"), "r1");
  EXPECT_EQ(storage_.label(kId, "other"), "");
}

TEST_F(StorageTest, FindsAnImageByIdDigestAndName) {
  for (const auto& reference : {kId, "sha256:" + kId, kDigest, std::string{"localhost/towpath/base:12"},
                                "docker.io/library/x@" + kDigest})
    EXPECT_TRUE(storage_.resolve(reference)) << reference;
  for (const auto& reference :
       {std::string(64, 'b'), std::string{"localhost/towpath/base:13"}, std::string{}})
    EXPECT_FALSE(storage_.resolve(reference)) << reference;
}

TEST_F(StorageTest, FindsTheWorkingContainersOfABuild) {
  write("overlay-containers/containers.json", R"([{"id":"one"},{"id":"two"},{"id":"three"}])");
  write("overlay-containers/one/userdata/buildah.json",
        R"({"CommonBuildOpts":{"CgroupParent":"/towpath/a"}})");
  write("overlay-containers/two/userdata/buildah.json",
        R"({"CommonBuildOpts":{"CgroupParent":"/towpath/b"}})");
  EXPECT_EQ(storage_.working_containers("/towpath/a"), (std::vector<std::string>{"one"}));
  EXPECT_EQ(storage_.working_cgroups(), (std::vector<std::string>{"/towpath/a", "", "/towpath/b"}));
}

TEST_F(StorageTest, AnEmptyStorageHasNothing) {
  const Storage empty{root_ / "none"};
  EXPECT_TRUE(empty.images().empty());
  EXPECT_TRUE(empty.layers().empty());
  EXPECT_TRUE(empty.working_containers("/x").empty());
  EXPECT_FALSE(empty.resolve("localhost/towpath/base:12"));
}

TEST_F(StorageTest, ADamagedIndexIsSaidByName) {
  write("overlay-images/images.json", "[{");
  try {
    storage_.images();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("overlay-images/images.json"), std::string::npos) << error.message();
  }
}

TEST(References, AreNormalisedAsDockerDoes) {
  const std::string digest = "@sha256:" + std::string(64, '0');
  const struct {
    std::string reference;
    std::string normal;
  } cases[] = {
      {"node:20", "docker.io/library/node:20"},
      {"node", "docker.io/library/node:latest"},
      {"grafana/grafana:1", "docker.io/grafana/grafana:1"},
      {"docker.io/nginx", "docker.io/library/nginx:latest"},
      {"towpath/node:12", "localhost/towpath/node:12"},
      {"localhost/mine", "localhost/mine:latest"},
      {"localhost:5000/a/b:c", "localhost:5000/a/b:c"},
      {"quay.io/a/b:1.0", "quay.io/a/b:1.0"},
      {"node:20" + digest, "docker.io/library/node" + digest},
      {std::string(64, 'a'), std::string(64, 'a')},
      {"sha256:" + std::string(64, 'a'), "sha256:" + std::string(64, 'a')},
  };
  for (const auto& one : cases) EXPECT_EQ(normalise(one.reference), one.normal);
}

TEST(References, WhatIsNoneIsRefused) {
  for (const char* text : {"", "UPPER", "a b", "node:", "-x", "a//b", "http://x/y", "a:b:c", "../x",
                           "node;rm", "--help", "a@sha256:12"})
    EXPECT_THROW(normalise(text), Error) << text;
}

}  // namespace
}  // namespace tow::image::buildah
