// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/collection.hpp"

#include <gtest/gtest.h>

namespace tow::image::buildah {
namespace {

constexpr TimePoint kOld{Duration{1'000}};
constexpr TimePoint kSince{Duration{2'000}};
constexpr TimePoint kNew{Duration{3'000}};

StoredImage image(std::string id, std::string layer, TimePoint created = kOld,
                  std::vector<std::string> names = {}) {
  return {.id = id,
          .digest = "sha256:" + id + id,
          .names = std::move(names),
          .layer = std::move(layer),
          .created = created};
}

TEST(Collection, ChoosesWhatNobodyNeeds) {
  // base <- deps <- app1, app2; tools stands alone
  const std::map<std::string, StoredLayer> layers = {
      {"base", {"base", "", {}}},     {"deps", {"deps", "base", {}}},   {"app1", {"app1", "deps", {}}},
      {"app2", {"app2", "deps", {}}}, {"tools", {"tools", "base", {}}}, {"more", {"more", "tools", {}}},
  };
  const auto base = image("b", "base", kOld, {"localhost/towpath/base:12"});
  const struct {
    const char* reason;
    std::vector<StoredImage> images;
    std::vector<std::string> used;
    std::vector<std::string> garbage;
  } cases[] = {
      {"base images stay", {base}, {}, {}},
      {"what is used stays, by id", {base, image("1", "app1")}, {"1"}, {}},
      {"or by digest", {base, image("1", "app1")}, {"sha256:11"}, {}},
      {"or by a name", {image("1", "app1", kOld, {"docker.io/library/x:1"})}, {"docker.io/library/x:1"}, {}},
      {"what is not used goes", {base, image("1", "app1"), image("2", "app2")}, {"1"}, {"2"}},
      {"steps below something used cost nothing, and stay",
       {base, image("d", "deps"), image("1", "app1")},
       {"1"},
       {}},
      {"steps of nothing that stays go, the last one first",
       {base, image("t", "tools"), image("m", "more")},
       {},
       {"m", "t"}},
      {"fresh ones stay as a cache", {base, image("t", "tools", kNew)}, {}, {}},
      {"what was fetched by name goes when it is not used",
       {base, image("f", "base", kOld, {"docker.io/library/x:1"})},
       {},
       {"f"}},
      {"an image without a layer is a step of nothing", {image("s", "")}, {}, {}},
  };
  for (const auto& one : cases)
    EXPECT_EQ(choose_garbage(one.images, layers, one.used, kSince), one.garbage) << one.reason;
}

}  // namespace
}  // namespace tow::image::buildah
