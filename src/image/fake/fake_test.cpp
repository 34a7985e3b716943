// SPDX-License-Identifier: Apache-2.0
#include "image/fake/fake.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/ids.hpp"

namespace tow::image::fake {
namespace {

class FakeImagesTest : public testing::Test {
 public:
  FakeImagesTest() {
    std::filesystem::create_directories(context_);
    write("index.html", "one");
  }
  ~FakeImagesTest() override { std::filesystem::remove_all(context_); }
  void write(const std::string& path, const std::string& text) { std::ofstream{context_ / path} << text; }
  BuildResult build() {
    return run_blocking(images_.build({.id = new_uid(), .project = "shop", .context = context_}, {}));
  }

  std::filesystem::path context_ = std::filesystem::temp_directory_path() / ("towpath-fake-" + new_uid());
  FakeClock clock_;
  FakeImages images_{clock_};
};

TEST_F(FakeImagesTest, TheSameSourceGivesTheSameImage) {
  const auto first = build();
  EXPECT_EQ(first.pack, "static");
  EXPECT_FALSE(first.cached);
  const auto second = build();
  EXPECT_EQ(second.image.id, first.image.id);
  EXPECT_TRUE(second.cached);
  write("index.html", "two");
  EXPECT_NE(build().image.id, first.image.id);
  EXPECT_EQ(images_.builds().size(), 3U);
  EXPECT_TRUE(run_blocking(images_.find(first.image.digest)));
}

TEST_F(FakeImagesTest, FailsAsItIsTold) {
  images_.fail_builds(Error{Code::Invalid, "step 3/7 failed"});
  EXPECT_THROW(build(), Error);
  EXPECT_TRUE(images_.present().empty());
  images_.fail_builds({});
  EXPECT_NO_THROW(build());
  images_.add("docker.io/library/nginx:1");
  images_.fail_fetch("docker.io/library/nginx:1", Error{Code::Unavailable, "no network"});
  EXPECT_THROW(run_blocking(images_.ensure("docker.io/library/nginx:1", {})), Error);
  EXPECT_NO_THROW(run_blocking(images_.ensure("docker.io/library/nginx:1", {})));
  EXPECT_THROW(run_blocking(images_.ensure("docker.io/library/nope:1", {})), Error);
}

TEST_F(FakeImagesTest, TakesItsTimeUntilItsDeadline) {
  images_.take(std::chrono::minutes{1});
  BuildRequest request{
      .id = "a", .project = "shop", .context = context_, .deadline = std::chrono::seconds{30}};
  run_blocking([](FakeImagesTest& self, BuildRequest request) -> Task<> {
    co_await with_scope("test", [&](Scope& scope) -> Task<> {
      std::optional<Code> code;
      scope.spawn([](FakeImagesTest& test, BuildRequest wanted, std::optional<Code>& out) -> Task<> {
        try {
          co_await test.images_.build(std::move(wanted), {});
        } catch (const Error& error) {
          out = error.code();
        }
      }(self, std::move(request), code));
      while (!self.clock_.next()) co_await yield_now();
      EXPECT_EQ(self.images_.running(), 1U);
      self.clock_.advance(std::chrono::seconds{30});
      while (!code) co_await yield_now();
      EXPECT_EQ(code, Code::Timeout);
      EXPECT_EQ(self.images_.running(), 0U);
    });
  }(*this, std::move(request)));
}

TEST_F(FakeImagesTest, CollectsWhatNobodyUses) {
  const auto kept = build().image.id;
  write("index.html", "two");
  build();
  run_blocking(images_.ensure_base("node", {}));
  EXPECT_GT(run_blocking(images_.collect({kept})).count, 0U);
  EXPECT_EQ(images_.present().size(), 2U);
  EXPECT_TRUE(images_.present().contains(kept));
  EXPECT_TRUE(run_blocking(images_.find("towpath/node:12")));
}

}  // namespace
}  // namespace tow::image::fake
