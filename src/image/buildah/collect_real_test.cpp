// SPDX-License-Identifier: Apache-2.0
// Collecting, in a storage that no other test uses.
#include "image/buildah/real_fixture.hpp"

namespace tow::image::buildah {
namespace {

class RealCollection : public RealImages {
 public:
  RealCollection() {
    const auto name = new_uid();
    settings_.directory = std::filesystem::temp_directory_path() / ("towpath-collect-" + name);
    settings_.run_directory = default_run_directory(settings_.directory);
    settings_.cache_age = Duration{0};
  }
  ~RealCollection() override {
    std::filesystem::remove_all(settings_.directory);
    std::filesystem::remove_all(settings_.run_directory);
  }
  /// An image of two layers, of which the first depends on `below` and the second on `top`.
  std::string made(const std::string& below, const std::string& top) {
    write("below", below + std::string(100'000, 'x'));
    write("top", top + std::string(100'000, 'y'));
    write("Containerfile", "FROM scratch\nCOPY below /below\nCOPY top /top\n");
    return build(request()).image.id;
  }
  std::size_t count() const { return Storage{storage_root(settings_)}.images().size(); }
  bool has(const std::string& id) { return run_blocking(images_->find(id)).has_value(); }
};

TEST_F(RealCollection, KeepsWhatIsUsedAndItsCache) {
  const auto first = made("a", "1");
  const auto second = made("a", "2");
  const auto third = made("b", "3");
  const auto freed = run_blocking(images_->collect({second}));
  EXPECT_GT(freed.count, 300'000U);
  EXPECT_FALSE(has(first));
  EXPECT_TRUE(has(second));
  EXPECT_FALSE(has(third));
  // The step below what is used stayed: building the same again takes everything from the cache.
  EXPECT_EQ(made("a", "2"), second);
  EXPECT_TRUE(std::filesystem::exists(top_layer(second) / "top"));
}

TEST_F(RealCollection, RemovesEverythingWhenNothingIsUsed) {
  made("a", "1");
  made("b", "2");
  run_blocking(images_->collect({}));
  EXPECT_EQ(count(), 0U);
  EXPECT_TRUE(Storage{storage_root(settings_)}.layers().empty());
  EXPECT_EQ(run_blocking(images_->collect({})).count, 0U);
}

TEST_F(RealCollection, KeepsWhatIsFresh) {
  settings_.cache_age = std::chrono::hours{1};
  images_ = make(settings_);
  run_blocking(images_->start());
  const auto image = made("a", "1");
  EXPECT_EQ(run_blocking(images_->collect({})).count, 0U);
  EXPECT_TRUE(has(image));
}

TEST_F(RealCollection, WaitsForBuildsThatAreUnderWay) {
  const auto unused = made("a", "1");
  run_blocking([](RealCollection& self) -> Task<> {
    co_await with_scope("test", [&](Scope& scope) -> Task<> {
      bool built = false;
      Signal done;
      self.write("top", "other" + new_uid());
      scope.spawn([](RealCollection& test, bool& flag, Signal& signal) -> Task<> {
        co_await test.images_->build(test.request(), [&](std::string_view) { test.began_.notify(); });
        flag = true;
        signal.notify();
      }(self, built, done));
      co_await self.began_.wait();
      co_await self.images_->collect({});
      EXPECT_TRUE(built) << "an image was collected while a build could still find it in the cache";
      if (!built) co_await done.wait();
    });
  }(*this));
  EXPECT_FALSE(has(unused));
}

}  // namespace
}  // namespace tow::image::buildah
