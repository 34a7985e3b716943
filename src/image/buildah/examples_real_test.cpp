// SPDX-License-Identifier: Apache-2.0
// The examples are built as a push would build them.
#include <ostream>

#include "image/buildah/real_fixture.hpp"

namespace tow::image::buildah {
namespace {

struct Example {
  const char* name;
  const char* context;
  const char* component;
  const char* pack;
};

void PrintTo(const Example& example, std::ostream* out) { *out << example.name; }

class Examples : public RealImages, public testing::WithParamInterface<Example> {};

TEST_P(Examples, AreBuiltAndOnlyWhatChangedIsBuiltAgain) {
  const auto& example = GetParam();
  std::filesystem::copy(
      std::filesystem::path{TOWPATH_SOURCE_DIR} / "examples" / example.context, context_,
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  auto wanted = request();
  wanted.component_path = example.component;
  const auto first = build(wanted);
  EXPECT_EQ(first.pack, example.pack);
  EXPECT_FALSE(first.image.id.empty());

  // The same source again: nothing is built, and the image is the same.
  wanted.id = new_uid();
  const auto second = build(wanted);
  EXPECT_TRUE(second.cached) << log();
  EXPECT_EQ(second.image.id, first.image.id);
}

INSTANTIATE_TEST_SUITE_P(All, Examples,
                         testing::Values(Example{"shop_web", "shop", "web", "node"},
                                         Example{"shop_api", "shop", "api", "python"},
                                         Example{"quotes", "quotes", "", ""},
                                         Example{"site", "site", "", "static"},
                                         Example{"worker", "worker", "", "python"}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tow::image::buildah
