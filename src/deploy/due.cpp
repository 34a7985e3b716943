// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "deploy/schedules.hpp"

namespace tow::deploy {
namespace {

class Runs {
 public:
  Runs(const JobDefinition& job, const std::vector<RunSeen>& all, TimePoint now)
      : job_{job}, all_{all}, now_{now} {
    for (const auto& run : all)
      if (run.scheduled) newest_ = &run;
  }

  // When another attempt of it comes, if one does.
  std::optional<TimePoint> retry(const RunSeen& run) const {
    if (!run.scheduled || run.phase != WorkPhase::Failed || run.attempts > job_.retries || !run.ended)
      return {};
    // The newest has taken the place of all before it.
    if (job_.concurrency_policy == ConcurrencyPolicy::Replace && &run != newest_) return {};
    const auto when = *run.ended + retry_delay(run.attempts);
    if (now_ - when > job_.starting_deadline) return {};
    return when;
  }

  // It runs, or will be tried again.
  bool under_way(const RunSeen& run) const { return !ended(run.phase) || retry(run); }

  // The newest is kept in any case: somebody may be looking at it.
  std::vector<std::string> beyond_history() const {
    std::vector<std::string> names;
    int good = 0, bad = 0;
    for (auto run = all_.rbegin(); run != all_.rend(); ++run) {
      if (under_way(*run)) continue;
      const bool over =
          run->phase == WorkPhase::Succeeded ? ++good > job_.successful_history : ++bad > job_.failed_history;
      if (over && run != all_.rbegin()) names.push_back(run->name);
    }
    return names;
  }

 private:
  const JobDefinition& job_;
  const std::vector<RunSeen>& all_;
  TimePoint now_;
  const RunSeen* newest_ = nullptr;
};

}  // namespace

Duration retry_delay(int attempts) {
  constexpr Duration kFirst = std::chrono::seconds{10}, kLast = std::chrono::minutes{6};
  return attempts > 6 ? kLast : std::min(kLast, kFirst * (1 << std::max(attempts - 1, 0)));
}

Due decide_due(const JobDefinition& job, const cron::Schedule& schedule, bool suspended, TimePoint decided,
               const std::vector<RunSeen>& all, TimePoint now) {
  const Runs runs{job, all, now};
  Due due{.decided = decided};
  std::vector<std::string> under_way;
  for (const auto& run : all)
    if (runs.under_way(run)) under_way.push_back(run.name);

  if (!suspended && decided < now) {
    const auto oldest = now - job.starting_deadline;
    if (const auto first = schedule.next(decided); first < oldest) {
      due.missed = first;
      due.decided = oldest - Duration{1};
    }
    std::optional<TimePoint> last;  // of several that were missed, the last one
    for (auto moment = schedule.next(due.decided); moment <= now; moment = schedule.next(moment))
      last = moment;
    if (last) {
      due.decided = *last;
      const bool waits = job.concurrency_policy == ConcurrencyPolicy::Forbid && !under_way.empty();
      (waits ? due.skipped : due.start) = last;
      if (due.start && job.concurrency_policy == ConcurrencyPolicy::Replace) due.replaced = under_way;
    }
  }
  // A minute at most, so that a clock that is set is noticed.
  due.again = now + std::chrono::minutes{1};
  if (!suspended) {
    due.next = schedule.next(std::max(due.decided, now));
    due.again = std::min(due.again, *due.next);
  }
  for (const auto& run : all) {
    const auto retry = runs.retry(run);
    if (!retry || std::ranges::find(due.replaced, run.name) != due.replaced.end()) continue;
    if (*retry <= now)
      due.retried.push_back(run.name);
    else
      due.again = std::min(due.again, *retry);
  }
  due.forgotten = runs.beyond_history();
  return due;
}

}  // namespace tow::deploy
