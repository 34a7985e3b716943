// SPDX-License-Identifier: Apache-2.0
// The clean-up over real images: what nothing names leaves the disk, and what a release names stays whole.
#include "image/buildah/real_fixture.hpp"
#include "model/deployment.hpp"
#include "model/project.hpp"
#include "retention/retention.hpp"
#include "store/memory/memory.hpp"

namespace tow::apps {
namespace {

std::uintmax_t bytes_below(const std::filesystem::path& directory) {
  std::uintmax_t sum = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at{directory, error}, end; !error && at != end;
       at.increment(error))
    if (!at->is_symlink(error) && at->is_regular_file(error)) sum += at->file_size(error);
  return sum;
}

class CleanUp : public image::buildah::RealImages {
 public:
  CleanUp() {
    settings_.directory = std::filesystem::temp_directory_path() / ("towpath-cleanup-" + new_uid());
    settings_.run_directory = image::buildah::default_run_directory(settings_.directory);
    settings_.cache_age = Duration{0};
  }
  ~CleanUp() override {
    std::filesystem::remove_all(settings_.directory);
    std::filesystem::remove_all(settings_.run_directory);
  }
  // A release of a new image of about a megabyte, a day after the one before.
  std::string release(const std::string& name) {
    write("film", name + random_bytes(1'000'000));
    write("Containerfile", "FROM scratch\nCOPY film /film\n");
    const auto image = build(request()).image.id;
    Release::Spec spec;
    spec.component = "web";
    spec.image = image;
    store::Transaction transaction;
    transaction.create(draft<Release>("shop", name, spec));
    run_blocking(store_->commit(std::move(transaction)));
    clock_.advance(std::chrono::hours{24});
    return image;
  }

  FakeClock clock_;
  std::unique_ptr<store::Store> store_ = store::memory::open({.is_cold = &is_cold, .clock = &clock_});
};

TEST_F(CleanUp, ImagesThatNothingNamesLeaveTheDisk) {
  Platform::Spec spec;
  spec.keep_releases = 1;
  store::Transaction transaction;
  transaction.create(draft<Platform>({}, "platform", spec));
  transaction.create(draft<Project>({}, "shop", {}));
  run_blocking(store_->commit(std::move(transaction)));
  std::vector<std::string> made;
  for (const auto* name : {"web-1", "web-2", "web-3"}) made.push_back(release(name));
  Revision::Spec revision;
  revision.deployment = "web.development";
  revision.release = "web-1";
  store::Transaction serves;
  serves.create(draft<Revision>("shop", "web.development.r1", revision));
  run_blocking(store_->commit(std::move(serves)));
  clock_.advance(std::chrono::hours{24 * 30});

  const auto before = bytes_below(settings_.directory);
  const auto cleaned = run_blocking([](CleanUp& self) -> Task<CleanOutput> {
    retention::Retention retention{{.store = *self.store_,
                                    .images = *self.images_,
                                    .clock = self.clock_,
                                    .executor = co_await boost::asio::this_coro::executor,
                                    .pack_repositories = []() -> Task<> { co_return; }}};
    const CleanInput input{};
    co_return co_await retention.clean(input);
  }(*this));
  EXPECT_TRUE(cleaned.notes.empty()) << cleaned.notes[0];
  EXPECT_EQ(cleaned.releases, 1);
  EXPECT_LT(bytes_below(settings_.directory) + 900'000, before) << "the film of web-2 is gone";
  EXPECT_GT(cleaned.images.count, 900'000U);
  EXPECT_TRUE(run_blocking(images_->find(made[0]))) << "a rollback can return to it";
  EXPECT_FALSE(run_blocking(images_->find(made[1])));
  EXPECT_TRUE(run_blocking(images_->find(made[2]))) << "the newest";
  EXPECT_TRUE(std::filesystem::exists(top_layer(made[0]) / "film"));
}

}  // namespace
}  // namespace tow::apps
