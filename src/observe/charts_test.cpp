// SPDX-License-Identifier: Apache-2.0
#include "observe/charts.hpp"

#include "observe/harness_test.hpp"

namespace tow::observe {
namespace {

using std::chrono::seconds;

Row row(int second, std::uint64_t counter) {
  return {.time = TimePoint{seconds{second}}, .values = {counter, 100 - counter % 100}};
}

TEST(Charts, CountsGrowthIntoTheStepInWhichItIsSeen) {
  const auto buckets =
      in_steps({row(50, 0), row(60, 10), row(70, 40), row(80, 40), row(120, 50)}, seconds{60}, seconds{60});
  ASSERT_EQ(buckets.size(), 2u);
  const auto& first = buckets.at(TimePoint{seconds{60}});
  EXPECT_EQ(first.growth[0], 10u);
  EXPECT_EQ(first.covered, seconds{10});
  EXPECT_EQ(first.most[1], 100u);
  const auto& second = buckets.at(TimePoint{seconds{120}});
  EXPECT_EQ(second.growth[0], 40u);
  EXPECT_EQ(second.covered, seconds{60});
  EXPECT_EQ(second.rows, 3);
}

TEST(Charts, DoesNotGuessWhatHappenedInAGap) {
  const auto buckets = in_steps({row(10, 5), row(500, 1000), row(510, 1010)}, seconds{60}, seconds{60});
  const auto& last = buckets.at(TimePoint{seconds{540}});
  EXPECT_EQ(last.growth[0], 10u);
  EXPECT_EQ(last.covered, seconds{10});
  EXPECT_EQ(buckets.at(TimePoint{seconds{60}}).covered, seconds{0}) << "one row alone is no growth";
}

TEST(Charts, TakesACounterThatFellAsBegunAnew) {
  const auto buckets = in_steps({row(10, 1000), row(20, 30)}, seconds{60}, seconds{60});
  EXPECT_EQ(buckets.at(TimePoint{seconds{60}}).growth[0], 30u);
}

TEST(Charts, ChoosesStepsForAboutAHundredPoints) {
  struct Case {
    std::string reason;
    Duration since, step;
  };
  const Case cases[] = {
      {"no finer than the samples", seconds{60}, seconds{10}},
      {"20 minutes are 120 samples", std::chrono::minutes{20}, seconds{10}},
      {"an hour", std::chrono::hours{1}, seconds{30}},
      {"a day", std::chrono::hours{24}, seconds{720}},
  };
  for (const auto& c : cases) EXPECT_EQ(step_for(c.since, seconds{10}), c.step) << c.reason;
}

class MetricsOperation : public testing::Test {
 protected:
  const MetricSeries& series(const Metrics& metrics, std::string_view name) {
    for (const auto& each : metrics.series)
      if (each.name == name) return each;
    throw std::runtime_error{"no series " + std::string{name}};
  }
  Metrics metrics(MetricsInput input) {
    return h.call<Metrics>("deployments.metrics", "web.development", input);
  }
  Harness h;
};

TEST_F(MetricsOperation, GivesWhatWasSampled) {
  const auto web = h.deployment("web.development", 1);
  const auto revision = h.revision(*web, 1);
  const auto other = h.revision(*h.deployment("api.development", 1), 1);
  h.ensure(*revision, 1);
  h.ensure(*other, 1);
  for (std::uint64_t i = 0; i < 12; ++i) {
    h.world().set_usage(revision->uid + "-0",
                        {.cpu_seconds = 2.5 * static_cast<double>(i), .memory = Bytes{1000 + i}});
    h.proxy().set_signals(web->uid, {.requests = 50 * i, .responses = {0, 0, 40 * i, 0, 0, 10 * i}});
    h.pass_to_sample();
  }
  const auto made = metrics({.since = seconds{60}});
  EXPECT_EQ(made.step, seconds{10});
  const auto& cpu = series(made, "cpu");
  EXPECT_EQ(cpu.instance, revision->uid.substr(21) + "-0");
  EXPECT_EQ(cpu.unit, "cores");
  ASSERT_EQ(cpu.points.size(), 6u);
  EXPECT_EQ(cpu.points.back().time, h.clock.now());
  for (const auto& point : cpu.points) EXPECT_NEAR(point.value, 0.25, 1e-9);
  EXPECT_EQ(series(made, "memory").points.back().value, 1011);
  EXPECT_NEAR(series(made, "requests").points[3].value, 5, 1e-9);
  EXPECT_NEAR(series(made, "errors").points[3].value, 1, 1e-9);
  EXPECT_EQ(std::ranges::count(made.series, "cpu", &MetricSeries::name), 1) << "of this deployment alone";

  const auto coarse = metrics({.since = seconds{120}, .step = seconds{60}});
  EXPECT_NEAR(series(coarse, "requests").points.back().value, 5, 1e-9);
}

TEST_F(MetricsOperation, KeepsADayThroughARestartAndDropsWhatIsDestroyed) {
  const auto web = h.deployment("web.development", 1);
  const auto revision = h.revision(*web, 1);
  h.ensure(*revision, 1);
  h.proxy().set_signals(web->uid, {.requests = 1});
  h.pass_to_sample();
  h.advance(std::chrono::minutes{11});
  h.reopen();
  EXPECT_GT(series(metrics({}), "cpu").points.size(), 20u);
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator{h.directory() / "samples"}, {});
  };
  EXPECT_EQ(files(), 2);
  h.retire(*revision);
  h.proxy().set_signals(web->uid, {});
  store::Transaction transaction;
  transaction.erase(revision->key);
  h.commit(std::move(transaction));
  h.advance(std::chrono::minutes{11});
  EXPECT_EQ(files(), 1) << "the deployment's traffic stays";
}

TEST_F(MetricsOperation, RefusesStepsFinerThanTheSamples) {
  h.deployment("web.development", 1);
  EXPECT_THROW(metrics({.step = seconds{1}}), Error);
  EXPECT_THROW(metrics({.since = seconds{-5}}), Error);
  EXPECT_TRUE(metrics({}).series.empty());
}

}  // namespace
}  // namespace tow::observe
