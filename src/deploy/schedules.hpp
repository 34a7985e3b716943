// SPDX-License-Identifier: Apache-2.0
#pragma once
// Jobs on a schedule. What towpath.yaml says of them becomes ScheduledJobs when its release serves
// (schedules.cpp); of each, what is due is decided here, purely, and done there.
//
// A moment is decided once: that it is, and the Job that it makes, are one transaction, before anything
// starts; and the engine starts a job once. So a moment runs at most once, whatever is killed when; to have
// one that was cut off run again is what retries are for. For src/deploy alone.

#include <optional>
#include <string>
#include <vector>

#include "deploy/core.hpp"
#include "model/cron.hpp"
#include "model/deployment.hpp"

namespace tow::deploy {

/// One run: a moment, or a person's wish, and its attempts.
struct RunSeen {
  std::string name;  // of its first job
  std::optional<TimePoint> scheduled;
  int attempts = 0;
  WorkPhase phase = WorkPhase::Queued;  // of the last attempt
  std::optional<TimePoint> ended;       // … which ended then
};

struct Due {
  TimePoint decided{};                 // every moment up to this one is decided
  std::optional<TimePoint> start;      // this one runs now
  std::vector<std::string> replaced;   // runs that end for it
  std::optional<TimePoint> skipped;    // it was due while another ran
  std::optional<TimePoint> missed;     // the first of those that are too old to be made up for
  std::vector<std::string> retried;    // runs that get another attempt
  std::vector<std::string> forgotten;  // beyond the history
  std::optional<TimePoint> next;       // the next moment
  TimePoint again{};                   // when to look again
};

/// `runs` oldest first. While it is suspended, no moment is decided, and none is made up for later.
Due decide_due(const JobDefinition& job, const cron::Schedule& schedule, bool suspended, TimePoint decided,
               const std::vector<RunSeen>& runs, TimePoint now);

/// The controllers of scheduled jobs, and scheduledjobs.run, suspend and resume.
std::vector<control::Controller> schedule_controllers(std::shared_ptr<Core> core);
void add_schedule_operations(api::Api& api, std::shared_ptr<Core> core);

/// Between the end of an attempt and the next one: 10s, 20s, 40s, … 6 minutes at most, as in Kubernetes.
Duration retry_delay(int attempts);

}  // namespace tow::deploy
