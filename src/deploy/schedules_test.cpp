// SPDX-License-Identifier: Apache-2.0
// Jobs on a schedule: what is due as a table, and the whole over fakes.
#include "deploy/schedules.hpp"

#include <gtest/gtest.h>

#include "deploy/bench_test.hpp"

namespace tow::deploy {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TimePoint at(const std::string& text) { return parse_time("2026-01-01T" + text + "Z").value(); }

struct Row {
  const char* reason;
  const char* yaml;  // beside schedule "*/10 * * * *"
  const char* decided;
  const char* now;
  std::vector<RunSeen> runs;
  std::string did;
  bool suspended = false;
};

RunSeen ran(const char* name, const char* moment, WorkPhase phase, const char* ended = "00:05:00",
            int attempts = 1) {
  return {.name = name, .scheduled = at(moment), .attempts = attempts, .phase = phase, .ended = at(ended)};
}

std::string text_of(const Due& due) {
  std::string text;
  const auto add = [&](std::string_view what, const std::optional<TimePoint>& time) {
    if (time) text += fmt::format("{} {} ", what, to_string(*time).substr(11, 8));
  };
  add("missed", due.missed);
  add("skipped", due.skipped);
  add("start", due.start);
  for (const auto& name : due.replaced) text += "replaced " + name + " ";
  for (const auto& name : due.retried) text += "retried " + name + " ";
  for (const auto& name : due.forgotten) text += "forgotten " + name + " ";
  return text + "again " + to_string(due.again).substr(11, 8);
}

TEST(Due, FollowsFromTheMomentsAndWhatRan) {
  constexpr auto kRunning = WorkPhase::Running, kGood = WorkPhase::Succeeded, kBad = WorkPhase::Failed,
                 kCancelled = WorkPhase::Cancelled;
  const std::vector<Row> rows = {
      {"nothing before its time", "", "00:00:00", "00:09:59", {}, "again 00:10:00"},
      {"far from its time it looks now and then", "", "00:00:00", "00:01:00", {}, "again 00:02:00"},
      {"at its time", "", "00:00:00", "00:10:00", {}, "start 00:10:00 again 00:11:00"},
      {"once", "", "00:10:00", "00:10:00", {}, "again 00:11:00"},
      {"a little late", "", "00:00:00", "00:10:07", {}, "start 00:10:00 again 00:11:07"},
      {"of several that were missed, the last",
       "startingDeadline: 1h",
       "00:00:00",
       "00:47:00",
       {},
       "start 00:40:00 again 00:48:00"},
      {"none that is too old",
       "startingDeadline: 5m",
       "00:00:00",
       "00:17:00",
       {},
       "missed 00:10:00 again 00:18:00"},
      {"the last, if that is young enough",
       "startingDeadline: 5m",
       "00:00:00",
       "00:42:00",
       {},
       "missed 00:10:00 start 00:40:00 again 00:43:00"},
      {"just young enough",
       "startingDeadline: 5m",
       "00:00:00",
       "00:15:00",
       {},
       "start 00:10:00 again 00:16:00"},
      {"a clock that was set back decides nothing twice", "", "00:30:00", "00:11:00", {}, "again 00:12:00"},
      {"suspended", "", "00:00:00", "00:10:00", {}, "again 00:11:00", true},
      {"while one runs, none",
       "",
       "00:10:00",
       "00:20:00",
       {ran("a", "00:10:00", kRunning)},
       "skipped 00:20:00 again 00:21:00"},
      {"Allow: both",
       "concurrencyPolicy: Allow",
       "00:10:00",
       "00:20:00",
       {ran("a", "00:10:00", kRunning)},
       "start 00:20:00 again 00:21:00"},
      {"Replace: the new one",
       "concurrencyPolicy: Replace",
       "00:10:00",
       "00:20:00",
       {ran("a", "00:10:00", kRunning)},
       "start 00:20:00 replaced a again 00:21:00"},
      {"a failure is tried again after ten seconds",
       "retries: 1",
       "00:10:00",
       "00:10:05",
       {ran("a", "00:10:00", kBad, "00:10:02")},
       "again 00:10:12"},
      {"and then",
       "retries: 1",
       "00:10:00",
       "00:10:12",
       {ran("a", "00:10:00", kBad, "00:10:02")},
       "retried a again 00:11:12"},
      {"no more often than asked for",
       "retries: 1",
       "00:10:00",
       "00:10:30",
       {ran("a", "00:10:00", kBad, "00:10:02", 2)},
       "again 00:11:30"},
      {"the second time later",
       "retries: 2",
       "00:10:00",
       "00:10:05",
       {ran("a", "00:10:00", kBad, "00:10:02", 2)},
       "again 00:10:22"},
      {"not what was ended on purpose",
       "retries: 1",
       "00:10:00",
       "00:10:30",
       {ran("a", "00:10:00", kCancelled, "00:10:02")},
       "again 00:11:30"},
      {"not what a person ran",
       "retries: 1",
       "00:10:00",
       "00:10:30",
       {{.name = "a", .scheduled = {}, .attempts = 1, .phase = kBad, .ended = at("00:10:02")}},
       "again 00:11:30"},
      {"not what is old",
       "retries: 1, startingDeadline: 5m",
       "00:30:00",
       "00:39:00",
       {ran("a", "00:30:00", kBad, "00:30:02")},
       "again 00:40:00"},
      {"one that will be tried again is under way",
       "retries: 5",
       "00:10:00",
       "00:20:00",
       {ran("a", "00:10:00", kBad, "00:19:59")},
       "skipped 00:20:00 again 00:20:09"},
      {"unless it is replaced",
       "retries: 5, concurrencyPolicy: Replace",
       "00:10:00",
       "00:20:00",
       {ran("a", "00:10:00", kBad, "00:19:59")},
       "start 00:20:00 replaced a again 00:21:00"},
      {"for good",
       "retries: 5, concurrencyPolicy: Replace",
       "00:20:00",
       "00:20:30",
       {ran("a", "00:10:00", kBad, "00:19:59"), ran("b", "00:20:00", kRunning)},
       "again 00:21:30"},
      {"those that succeeded are kept up to a number",
       "successfulJobsHistoryLimit: 1",
       "00:30:00",
       "00:30:10",
       {ran("a", "00:10:00", kGood), ran("b", "00:20:00", kBad), ran("c", "00:30:00", kGood)},
       "forgotten a again 00:31:10"},
      {"so are those that did not",
       "failedJobsHistoryLimit: 1",
       "00:30:00",
       "00:30:10",
       {ran("a", "00:10:00", kCancelled), ran("b", "00:20:00", kGood), ran("c", "00:30:00", kBad)},
       "forgotten a again 00:31:10"},
      {"the newest is kept in any case",
       "failedJobsHistoryLimit: 0",
       "00:30:00",
       "00:30:10",
       {ran("a", "00:10:00", kBad), ran("b", "00:20:00", kBad)},
       "forgotten a again 00:31:10"},
      {"what is under way is not history",
       "failedJobsHistoryLimit: 0, retries: 1",
       "00:30:00",
       "00:30:05",
       {ran("a", "00:30:00", kBad, "00:30:02")},
       "again 00:30:12"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto job =
        read_document<JobDefinition>(parse_yaml(fmt::format("{{schedule: '*/10 * * * *', command: [x]{}{}}}",
                                                            *row.yaml ? ", " : "", row.yaml)),
                                     "job");
    const auto schedule = cron::Schedule::parse(*job.schedule, *job.time_zone);
    EXPECT_EQ(text_of(decide_due(job, schedule, row.suspended, at(row.decided), row.runs, at(row.now))),
              row.did);
  }
}

TEST(Due, RetriesComeEverMoreSeldom) {
  std::vector<std::string> delays;
  for (int i = 1; i <= 8; ++i) delays.push_back(to_string(retry_delay(i)));
  EXPECT_EQ(delays, (std::vector<std::string>{"10s", "20s", "40s", "1m20s", "2m40s", "5m20s", "6m", "6m"}));
}

// Over years with leap days and changes of the clock, and a platform that is down now and then: every moment
// has one run at most, and every one that was not too old has one.
TEST(Due, YearsGoByWithoutALostOrASecondRun) {
  JobDefinition job{.schedule = {.value = "30 2 * * *"}, .time_zone = {.value = "America/New_York"}};
  job.successful_history = 2;
  const auto schedule = cron::Schedule::parse(*job.schedule, *job.time_zone);
  auto now = at("00:00:00");
  const auto end = now + hours{24 * 365 * 12};
  auto decided = now;
  Random random{7};
  std::vector<RunSeen> kept;
  std::map<TimePoint, int> began;
  std::set<TimePoint> missed;
  std::size_t most = 0;
  while (now < end) {
    const auto due = decide_due(job, schedule, false, decided, kept, now);
    EXPECT_GE(due.decided, decided);
    decided = due.decided;
    std::erase_if(kept, [&](const auto& run) { return std::ranges::count(due.forgotten, run.name) > 0; });
    if (due.missed) missed.insert(*due.missed);
    if (due.start) {
      ++began[*due.start];
      EXPECT_LE(now - *due.start, job.starting_deadline);
      kept.push_back({.name = to_string(*due.start),
                      .scheduled = due.start,
                      .attempts = 1,
                      .phase = WorkPhase::Succeeded,
                      .ended = now + seconds{1}});
    }
    most = std::max(most, kept.size());
    // At times it is down: for minutes around the moment, or for two days.
    now = *due.next + (random.real() < 0.1    ? minutes{random.between(0, 20)}
                       : random.real() < 0.02 ? minutes{random.between(0, 2880)}
                                              : minutes{0});
  }
  int all = 0;
  for (auto moment = schedule.next(at("00:00:00")); moment <= decided; moment = schedule.next(moment)) ++all;
  EXPECT_NEAR(all, 365 * 12, 3);
  for (const auto& [moment, count] : began) EXPECT_EQ(count, 1) << to_string(moment);
  EXPECT_GT(began.size(), 4000u);
  EXPECT_GT(missed.size(), 50u);
  for (const auto moment : missed) EXPECT_FALSE(began.contains(moment)) << to_string(moment);
  EXPECT_LE(most, 3u);
  EXPECT_TRUE(began.contains(parse_time("2028-02-29T07:30:00Z").value()));
  EXPECT_FALSE(began.contains(parse_time("2026-03-08T07:30:00Z").value())) << "02:30 was skipped that day";
}

class Scheduled : public testing::Test {
 protected:
  void SetUp() override { bench.create_project(); }

  using Jobs = std::map<std::string, JobDefinition>;
  static Jobs jobs(const std::string& yaml) { return read_document<Jobs>(parse_yaml(yaml), "jobs"); }
  void release(int number, const std::string& yaml) {
    Release::Spec spec{.component = "web",
                       .image = fmt::format("image-{}", number),
                       .score = parse_yaml(kPlainScore),
                       .by = "ann"};
    spec.settings.emplace();
    (*spec.settings)["development"].jobs = jobs(yaml);
    bench.create(draft<Release>("shop", fmt::format("web.{}", number), spec));
  }
  void deployed(const std::string& yaml, int number = 1) {
    release(number, yaml);
    bench.deploy("web", fmt::format("web.{}", number));
    ASSERT_TRUE(bench.until_healthy()) << bench.status().message;
  }
  /// Runs of all jobs, as "moment phase", oldest first.
  std::vector<std::string> runs() {
    auto all = bench.list<Job>();
    std::ranges::sort(all, {}, [](const auto& job) { return job.record->created_revision; });
    std::vector<std::string> texts;
    for (const auto& job : all)
      texts.push_back(fmt::format(
          "{}{} {}", job.spec.scheduled_for ? to_string(*job.spec.scheduled_for).substr(5, 11) : "by hand",
          job.spec.attempt > 1 ? fmt::format(" ({})", job.spec.attempt) : "",
          names(Of<WorkPhase>{})[static_cast<std::size_t>(job.status.phase)].text));
    return texts;
  }
  ScheduledJob::Status status(const std::string& name = "web.development.nightly") {
    const auto job = bench.get<ScheduledJob>(name);
    return job ? job->status : ScheduledJob::Status{};
  }
  Node invoke(const std::string& verb, const std::string& name = "web.development.nightly") {
    return bench.invoke("scheduledjobs." + verb, name);
  }
  /// How many lines a job has logged.
  int lines_of(const std::string& uid) {
    int lines = 0;
    engine::LogSink count = [&](const engine::LogLine&) -> Task<> {
      ++lines;
      co_return;
    };
    try {
      bench.run(bench.engine_->logs({.source = uid, .since = {}, .tail = 0, .follow = false}, count));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::NotFound);
    }
    return lines;
  }
  using Texts = std::vector<std::string>;
  static std::string text(const std::optional<TimePoint>& time) {
    return time ? to_string(*time).substr(0, 16) : "never";
  }

  Bench bench;  // it is 2026-01-01T00:00Z
};

TEST_F(Scheduled, AJobRunsWhenItIsDueWithWhatServes) {
  deployed("{nightly: {schedule: '15 1 * * *', timeZone: Europe/Berlin, command: [report]}}");
  bench.advance(seconds{1});
  EXPECT_EQ(text(status().next), "2026-01-01T00:15");
  bench.advance(minutes{14});
  EXPECT_TRUE(runs().empty());
  bench.advance(minutes{2});
  EXPECT_EQ(runs(), Texts{"01-01T00:15 Succeeded"});
  const auto job = bench.list<Job>().at(0);
  EXPECT_EQ(job.name(), "web.development.nightly.20260101t0015");
  EXPECT_EQ(job.spec.revision, "web.development.1");
  EXPECT_EQ(job.spec.command, Texts{"report"});
  EXPECT_EQ(status().last_phase, WorkPhase::Succeeded);
  EXPECT_EQ(text(status().next), "2026-01-02T00:15");
}

TEST_F(Scheduled, TheHistoryIsBoundedWithItsLogsAndApartFromOtherJobs) {
  deployed("{nightly: {schedule: '* * * * *', command: [report]}}");
  bench.world_.behave("web", {.says = {"done"}});
  bench.advance(minutes{1} + seconds{1});
  const auto first = bench.list<Job>().at(0).uid();
  EXPECT_EQ(lines_of(first), 1);
  bench.advance(minutes{30});
  EXPECT_EQ(runs(), (Texts{"01-01T00:29 Succeeded", "01-01T00:30 Succeeded", "01-01T00:31 Succeeded"}));
  EXPECT_EQ(lines_of(first), 0);
}

TEST_F(Scheduled, WhatRunsIsNotJoined) {
  deployed("{nightly: {schedule: '* * * * *', command: [slow]}}");
  bench.world_.behave("web", {.ends_after = seconds{150}});
  bench.advance(minutes{2} + seconds{30});
  EXPECT_EQ(runs(), Texts{"01-01T00:01 Running"});
  EXPECT_EQ(text(status().skipped), "2026-01-01T00:02");
  bench.advance(minutes{2});
  EXPECT_EQ(runs(), (Texts{"01-01T00:01 Succeeded", "01-01T00:04 Running"}));
}

TEST_F(Scheduled, OrIsAllowedToBeOrIsReplaced) {
  deployed("{nightly: {schedule: '* * * * *', command: [slow], concurrencyPolicy: Allow}}");
  bench.world_.behave("web", {.ends_after = seconds{150}});
  bench.advance(minutes{2} + seconds{30});
  EXPECT_EQ(runs(), (Texts{"01-01T00:01 Running", "01-01T00:02 Running"}));
  deployed("{nightly: {schedule: '* * * * *', command: [slow], concurrencyPolicy: Replace}}", 2);
  bench.advance(minutes{1});
  const auto all = runs();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0], "01-01T00:01 Cancelled");
  EXPECT_EQ(all[1], "01-01T00:02 Cancelled");
  EXPECT_EQ(all[2], "01-01T00:03 Running");
  for (const auto& job : bench.list<Job>())
    if (job.status.phase == WorkPhase::Cancelled) EXPECT_FALSE(bench.engine_->job(job.uid()));
}

TEST_F(Scheduled, AFailureIsTriedAgainAsOftenAsAsked) {
  deployed("{nightly: {schedule: '*/10 * * * *', command: [x], retries: 2}}");
  bench.world_.behave("web", {.exit_code = 4});
  bench.advance(minutes{15});
  EXPECT_EQ(runs(), (Texts{"01-01T00:10 Failed", "01-01T00:10 (2) Failed", "01-01T00:10 (3) Failed"}));
  EXPECT_EQ(bench.list<Job>().at(1).name(), "web.development.nightly.20260101t0010-2");
  bench.advance(minutes{5} + seconds{5} - (bench.now() - at("00:15:00")));
  bench.world_.behave("web", {});
  bench.advance(minutes{5});
  EXPECT_EQ(runs().back(), "01-01T00:20 (2) Succeeded");
}

TEST_F(Scheduled, OneThatTakesTooLongIsEnded) {
  deployed("{nightly: {schedule: '5 0 * * *', command: [x], deadline: 10m}}");
  bench.world_.behave("web", {.ends_after = hours{5}});
  bench.advance(minutes{10});
  EXPECT_EQ(runs(), Texts{"01-01T00:05 Running"});
  bench.advance(minutes{6});
  EXPECT_EQ(runs(), Texts{"01-01T00:05 Failed"});
}

// Every step around a moment is a place to die at: it has one run, whatever is killed when.
TEST_F(Scheduled, AKillAtAnyStepMakesNoSecondRun) {
  deployed("{nightly: {schedule: '* * * * *', command: [x], successfulJobsHistoryLimit: 1000}}");
  bench.world_.behave("web", {.says = {"begun"}});
  const auto began = bench.now();
  for (int crash_after = 0; crash_after < 60; crash_after += 2) {
    bench.advance(minutes{1} - (bench.now() - began) % minutes{1} - milliseconds{1});
    bench.clock.advance(milliseconds{1});
    bench.go(crash_after);
    bench.restart();
    bench.advance(seconds{30});
  }
  bench.advance(seconds{40});
  const auto all = runs();
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size());
  EXPECT_GE(all.size(), 30u) << "and none without";
  for (const auto& run : all) EXPECT_TRUE(run.ends_with("Succeeded")) << run;
  for (const auto& job : bench.list<Job>()) EXPECT_EQ(lines_of(job.uid()), 1) << job.name();
}

TEST_F(Scheduled, WhatWasMissedIsMadeUpForOnceWithinABound) {
  deployed("{nightly: {schedule: '0 * * * *', command: [x], startingDeadline: 30m}}");
  bench.crash();
  bench.clock.advance(hours{5} + minutes{20});
  bench.start();
  bench.advance(minutes{1});
  EXPECT_EQ(runs(), Texts{"01-01T05:00 Succeeded"});
  EXPECT_EQ(text(status().missed), "2026-01-01T01:00");
  bench.crash();
  bench.clock.advance(hours{2} + minutes{20});  // 07:41
  bench.start();
  bench.advance(minutes{1});
  EXPECT_EQ(runs(), Texts{"01-01T05:00 Succeeded"}) << "07:00 is too long ago";
  bench.advance(minutes{30});
  EXPECT_EQ(runs().back(), "01-01T08:00 Succeeded");
}

TEST_F(Scheduled, AJobThatARebootCutOffIsNotRunAgainByItself) {
  deployed(
      "{nightly: {schedule: '3 0 * * *', command: [x]}, "
      "again: {schedule: '4 0 * * *', command: [x], retries: 1}}");
  bench.world_.behave("web", {.ends_after = hours{5}});
  bench.advance(minutes{5});
  EXPECT_EQ(runs(), (Texts{"01-01T00:03 Running", "01-01T00:04 Running"}));
  bench.world_.reboot();
  bench.restart();
  bench.advance(minutes{5});
  EXPECT_EQ(runs(), (Texts{"01-01T00:03 Failed", "01-01T00:04 Failed", "01-01T00:04 (2) Running"}));
}

TEST_F(Scheduled, ItCanBeSuspendedAndResumed) {
  deployed("{nightly: {schedule: '*/10 * * * *', command: [x]}}");
  EXPECT_NE(invoke("suspend").find("message")->string()->find("not begun any more"), std::string::npos);
  EXPECT_EQ(bench.get<ScheduledJob>("web.development.nightly")->spec.suspended_by, "ann");
  bench.advance(minutes{35});
  EXPECT_TRUE(runs().empty());
  EXPECT_FALSE(status().next);
  deployed("{nightly: {schedule: '*/10 * * * *', command: [y]}}", 2);
  bench.advance(minutes{10});
  EXPECT_TRUE(runs().empty()) << "a push does not resume it";
  invoke("run");
  bench.advance(seconds{1});
  EXPECT_EQ(runs(), Texts{"by hand Succeeded"}) << "a person may run it";
  invoke("resume");
  bench.advance(minutes{1});
  EXPECT_EQ(runs().size(), 1u) << "what it missed is not made up for";
  bench.advance(minutes{5});
  EXPECT_EQ(runs().back(), "01-01T00:50 Succeeded");
}

TEST_F(Scheduled, APersonRunsItNowUnlessItRuns) {
  deployed("{nightly: {schedule: '@yearly', command: [x]}}");
  bench.world_.behave("web", {.ends_after = minutes{5}, .exit_code = 3});
  const auto name = *invoke("run").find("job")->string();
  bench.advance(seconds{1});
  EXPECT_EQ(bench.get<Job>(name)->spec.by, "ann");
  const auto error = refused([&] { invoke("run"); });
  EXPECT_EQ(error.code(), Code::FailedPrecondition);
  EXPECT_EQ(error.message(), "web.development.nightly runs already, as " + name);
  bench.advance(minutes{10});
  EXPECT_EQ(runs(), Texts{"by hand Failed"}) << "and it is not tried again behind their back";
  EXPECT_EQ(refused([&] { invoke("run", "web.development.none"); }).message(),
            "there is no scheduled job web.development.none in shop; there is web.development.nightly");
}

TEST_F(Scheduled, WhatTowpathYamlSaysCountsWhenItsReleaseServes) {
  deployed("{nightly: {schedule: '@hourly', command: [old]}, other: {schedule: '@hourly', command: [x]}}");
  bench.world_.behave("web", {.never_ready = true});
  release(2, "{nightly: {schedule: '@daily', command: [new]}}");
  bench.deploy("web", "web.2");
  bench.advance(seconds{30});
  EXPECT_EQ(bench.get<ScheduledJob>("web.development.nightly")->spec.definition.command, Texts{"old"});
  ASSERT_TRUE(bench.until_phase(Deployment::Phase::Failed));
  EXPECT_EQ(*bench.get<ScheduledJob>("web.development.nightly")->spec.definition.schedule, "@hourly");
  bench.world_.behave("web", {});
  bench.deploy("web", "web.2");
  ASSERT_TRUE(bench.until_healthy());
  bench.advance(seconds{1});
  EXPECT_EQ(*bench.get<ScheduledJob>("web.development.nightly")->spec.definition.schedule, "@daily");
  EXPECT_FALSE(bench.get<ScheduledJob>("web.development.other"));
  bench.invoke("deployments.rollback", "web.development", Node::Map{});
  ASSERT_TRUE(bench.until_healthy());
  bench.advance(seconds{1});
  EXPECT_EQ(bench.get<ScheduledJob>("web.development.nightly")->spec.definition.command, Texts{"old"})
      << "a rollback brings back what belongs to its release";
  EXPECT_TRUE(bench.get<ScheduledJob>("web.development.other"));
}

TEST_F(Scheduled, AnotherScheduleBeginsNow) {
  deployed("{nightly: {schedule: '0 12 * * *', command: [x]}}");
  bench.advance(minutes{5});
  deployed("{nightly: {schedule: '3 0 * * *', command: [x]}}", 2);
  bench.advance(minutes{8});
  EXPECT_TRUE(runs().empty()) << "00:03 was before it was said";
}

TEST_F(Scheduled, ItGoesWithItsDeploymentWhateverRuns) {
  deployed("{nightly: {schedule: '5 * * * *', command: [x]}}");
  bench.world_.behave("web", {.ends_after = hours{5}});
  bench.advance(minutes{6});
  ASSERT_EQ(runs(), Texts{"01-01T00:05 Running"});
  const auto uid = bench.list<Job>().at(0).uid();
  bench.erase(key<Deployment>("shop", "web.development"));
  bench.advance(minutes{1});
  EXPECT_TRUE(bench.list<ScheduledJob>().empty());
  EXPECT_TRUE(bench.list<Job>().empty());
  EXPECT_FALSE(bench.engine_->job(uid));
}

TEST_F(Scheduled, WhatCannotBeIsRefusedBeforeAnythingChanges) {
  DeployInput input{.component = "web", .environment = "development"};
  bench.release("web.9", "web", kPlainScore);
  input.release = "web.9";
  input.jobs = Jobs{{"nightly", {.schedule = {.value = "0 25 * * *"}, .command = {"x"}}}};
  const auto error =
      refused([&] { bench.run(bench.deployments_->deploy(bench.call("Deployment", ""), input)); });
  EXPECT_EQ(error.code(), Code::Invalid);
  ASSERT_EQ(error.faults().size(), 1u);
  EXPECT_EQ(error.faults()[0].path, "jobs.nightly.schedule");
  EXPECT_TRUE(bench.list<Deployment>().empty());
}

}  // namespace
}  // namespace tow::deploy
