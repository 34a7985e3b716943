// SPDX-License-Identifier: Apache-2.0
#include "observe/harness_test.hpp"

namespace tow::observe {
namespace {

using std::chrono::hours;

TEST(LogRetention, KeepsTheLogsOfWhatEndedForAWeek) {
  Harness h{std::chrono::minutes{10}};
  const auto web = h.deployment("web.development", 2);
  const auto old = h.revision(*web, 1);
  const auto serving = h.revision(*web, 2);
  const auto job = h.create<Job>(
      "web.development.j1",
      {.deployment = "web.development", .revision = "web.development.2", .command = {"migrate"}},
      {.phase = WorkPhase::Succeeded, .ended = h.clock.now()}, web->uid);
  engine::Workload workload{
      .component = "job", .environment = "e1", .user_base = 100000, .containers = {{.image = "i1"}}};
  h.world().behave("job", {.ends_after = Duration{5}, .says = {"migrated"}});
  h.run(h.engine().run_job({.id = job->uid, .workload = workload, .command = {"migrate"}}));
  h.ensure(*old, 1);
  h.ensure(*serving, 1);
  h.world().say(old->uid + "-0", "old words");
  h.world().say(serving->uid + "-0", "of what serves");
  h.retire(*old);
  h.put_status<Revision>("web.development.1", {.phase = Revision::Phase::Retired, .ended = h.clock.now()});
  const auto job_logs = [&] {
    const auto reading = h.read_logs("jobs.logs", job->key.name, {});
    h.until("they end", [&] { return reading->ended; });
    return reading->texts();
  };
  const auto both = std::vector<std::string>{"old words", "of what serves"};

  h.advance(hours{24 * 7} - std::chrono::minutes{15});
  EXPECT_EQ(h.logs("web.development"), both);
  EXPECT_EQ(job_logs(), std::vector<std::string>{"migrated"});
  h.advance(std::chrono::minutes{30});
  EXPECT_EQ(h.logs("web.development"), std::vector<std::string>{"of what serves"});
  EXPECT_EQ(job_logs(), std::vector<std::string>{});
}

}  // namespace
}  // namespace tow::observe
