// SPDX-License-Identifier: Apache-2.0
#pragma once
// Jobs on a schedule, as towpath.yaml says them and a Deployment records them. The words are those of
// Kubernetes' CronJob. Values; when one is due says model/cron.hpp.

#include <map>
#include <string>
#include <vector>

#include "model/located.hpp"

namespace tow {

/// What happens when one is due while the one before still runs.
enum class ConcurrencyPolicy { Forbid, Allow, Replace };
constexpr auto names(Of<ConcurrencyPolicy>) {
  using P = ConcurrencyPolicy;
  return std::array{Name<P>{P::Forbid, "Forbid"}, Name<P>{P::Allow, "Allow"}, Name<P>{P::Replace, "Replace"}};
}

struct JobDefinition {
  Text schedule;
  Text time_zone;
  std::vector<std::string> command;
  ConcurrencyPolicy concurrency_policy = ConcurrencyPolicy::Forbid;
  Duration deadline = std::chrono::hours{1};
  int retries = 0;
  Duration starting_deadline = std::chrono::minutes{10};
  int successful_history = 3;
  int failed_history = 3;
};
constexpr auto fields(Of<JobDefinition>) {
  using S = JobDefinition;
  return std::tuple{
      field("schedule", &S::schedule, "Five fields of cron, or @hourly, @daily, @weekly, @monthly, @yearly.",
            required),
      field("timeZone", &S::time_zone, "In which zone the schedule is meant (IANA's name); UTC when absent."),
      field("command", &S::command, "What runs, without a shell.", required, at_least(1)),
      field(
          "concurrencyPolicy", &S::concurrency_policy,
          "When it is due and still runs: Forbid passes over it, Allow runs both, Replace ends the earlier."),
      field("deadline", &S::deadline, "It is ended after this."),
      field("retries", &S::retries, "How often one that failed is tried again.", between(0, 20)),
      field("startingDeadline", &S::starting_deadline,
            "How late the last one that was missed is made up for, a week at most."),
      field("successfulJobsHistoryLimit", &S::successful_history,
            "How many that succeeded are kept, with their logs.", between(0, 1000)),
      field("failedJobsHistoryLimit", &S::failed_history,
            "How many that did not succeed are kept, with their logs.", between(0, 1000)),
  };
}

/// Names, schedules, zones and times that cannot be are faults below "jobs"; `at` is for what has no place of
/// its own.
void check_jobs(const std::map<std::string, JobDefinition>& jobs, Position at, Reading& reading);

}  // namespace tow
