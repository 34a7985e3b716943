// SPDX-License-Identifier: Apache-2.0
// The schedule and the sweep, over a store in memory, images that are none, and a clock that is moved.
#include "retention/retention.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/loop_test.hpp"
#include "image/fake/fake.hpp"
#include "model/deployment.hpp"
#include "model/identity.hpp"
#include "model/project.hpp"
#include "model/source.hpp"
#include "store/memory/memory.hpp"

namespace tow::retention {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

class RetentionTest : public testing::Test, public LoopTest {
 protected:
  RetentionTest() {
    log::set_level(log::Level::Error);
    Platform::Spec spec;
    spec.keep_runs = spec.keep_builds = spec.keep_releases = 2;
    create(draft<Platform>({}, "platform", spec));
    create(draft<Project>({}, "shop", {}));
    for (int i = 1; i <= 5; ++i) push(i);
  }
  ~RetentionTest() override { run(retention.stop()); }

  void commit(store::Transaction transaction) {
    run([](store::Store& all, store::Transaction what) -> Task<> { co_await all.commit(std::move(what)); }(
                                                           *store, std::move(transaction)));
  }
  void create(Record record) {
    store::Transaction transaction;
    transaction.create(std::move(record));
    commit(std::move(transaction));
  }
  // The i-th push of a component, all of it done.
  void push(int i) {
    const auto name = fmt::format("shop-{}", i);
    const auto image = images.add(fmt::format("registry/{}", i), true);
    create(draft<PipelineRun>("shop", name, {.repository = "shop", .branch = "main", .commit = {}}));
    PipelineRun::Status ran{.phase = WorkPhase::Succeeded};
    Build::Spec build{.repository = "shop", .commit = name, .component = "web"};
    create(draft<Build>("shop", name + ".web", build));
    Build::Status built{.phase = WorkPhase::Succeeded, .image = image.id};
    Release::Spec release;
    release.component = "web";
    release.build = name + ".web";
    release.image = image.id;
    create(draft<Release>("shop", fmt::format("web-{}", i), release));
    create(draft<Event>("shop", fmt::format("event-{}", i), {.subject = "ann", .time = clock.now()}));
    store::Transaction ends;
    ends.put_status(key<PipelineRun>("shop", name), encode_status<PipelineRun>(ran));
    ends.put_status(key<Build>("shop", name + ".web"), encode_status<Build>(built));
    commit(std::move(ends));
    image_ids.push_back(image.id);
  }
  void serve(int revision, int release) {
    Revision::Spec spec;
    spec.deployment = "web.development";
    spec.release = fmt::format("web-{}", release);
    create(draft<Revision>("shop", fmt::format("web.development.r{}", revision), spec));
  }
  CleanOutput clean(bool dry_run = false) { return run(retention.clean({.dry_run = dry_run})); }
  std::vector<std::string> names(const std::string& kind) {
    std::vector<std::string> found;
    for (const auto& record : run(store->query({.filter = {.kind = kind}, .limit = 1000})))
      found.push_back(record->key.name);
    std::ranges::sort(found);
    return found;
  }
  using Names = std::vector<std::string>;

  std::unique_ptr<store::Store> store = store::memory::open({.is_cold = &is_cold, .clock = &clock});
  image::fake::FakeImages images{clock};
  std::vector<std::string> image_ids;
  int packed = 0;
  Retention retention{{.store = *store,
                       .images = images,
                       .clock = clock,
                       .executor = io.get_executor(),
                       .pack_repositories = [this]() -> Task<> {
                         ++packed;
                         co_return;
                       }}};
};

TEST_F(RetentionTest, ADayAfterTheirTimeWhatIsOldGoesByItself) {
  retention.start();
  advance(hours{24 * 6});
  EXPECT_EQ(names("PipelineRun").size(), 5U) << "they are young";
  EXPECT_EQ(images.present().size(), 5U);
  advance(hours{24 * 2});
  EXPECT_EQ(names("PipelineRun"), (Names{"shop-4", "shop-5"}));
  EXPECT_EQ(names("Build"), (Names{"shop-4.web", "shop-5.web"}));
  EXPECT_EQ(names("Release"), (Names{"web-4", "web-5"}));
  EXPECT_EQ(images.present(), (std::set<std::string>{image_ids[3], image_ids[4]}));
  EXPECT_EQ(names("Event").size(), 5U) << "the trail is kept for a year";
  EXPECT_EQ(packed, 8) << "once a day";
  advance(hours{24 * 360});
  EXPECT_TRUE(names("Event").empty());
}

TEST_F(RetentionTest, WhatARevisionHasStaysWithItsBuildAndImage) {
  serve(1, 1);
  advance(hours{24 * 30});
  const auto output = clean();
  EXPECT_TRUE(output.notes.empty());
  EXPECT_EQ(names("Release"), (Names{"web-1", "web-4", "web-5"}));
  EXPECT_EQ(names("Build"), (Names{"shop-1.web", "shop-4.web", "shop-5.web"}));
  EXPECT_TRUE(images.present().contains(image_ids[0]));
  EXPECT_FALSE(images.present().contains(image_ids[1]));
  EXPECT_EQ(output.images.count, 2'000'000U);
}

TEST_F(RetentionTest, ADryRunSaysTheSameAndChangesNothing) {
  advance(hours{24 * 30});
  const auto would = clean(true);
  EXPECT_EQ(names("Build").size(), 5U);
  EXPECT_EQ(images.present().size(), 5U);
  const auto did = clean();
  EXPECT_EQ(would.names, did.names);
  EXPECT_EQ(would.names.size(), 9U);
  EXPECT_EQ(std::tuple(would.runs, would.builds, would.releases, would.events),
            std::tuple(did.runs, did.builds, did.releases, did.events));
  EXPECT_TRUE(clean().names.empty()) << "a second time there is nothing more";
}

TEST_F(RetentionTest, HistoryIsForgottenAsTheSettingSays) {
  const auto early = store->snapshot()->revision();
  advance(hours{24 * 40});
  create(draft<Project>({}, "later", {}));
  clean();
  const auto read = [&](StoreRevision revision) {
    run([](store::Store& all, StoreRevision at) -> Task<> {
      co_await all.find_at({"Project", {}, "shop"}, at);
    }(*store, revision));
  };
  EXPECT_THROW(read(early - 3), store::WatchLost);
  EXPECT_NO_THROW(read(store->snapshot()->revision()));
  EXPECT_TRUE(store->snapshot()->get({"Project", {}, "shop"})) << "what exists stays";
}

TEST_F(RetentionTest, AnEndBetweenIsNoFault) {
  advance(hours{24 * 30});
  retention.start();
  store::Transaction transaction;
  transaction.erase(key<Release>("shop", "web-1"));
  commit(std::move(transaction));
  EXPECT_EQ(clean().releases, 2);
  EXPECT_EQ(names("Release"), (Names{"web-4", "web-5"}));
}

}  // namespace
}  // namespace tow::retention
