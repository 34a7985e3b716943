// SPDX-License-Identifier: Apache-2.0
#include "deploy/schedules.hpp"

#include <algorithm>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "deploy/change.hpp"
#include "deploy/jobs.hpp"
#include "deploy/names.hpp"

namespace tow::deploy {
namespace {

// The jobs of one scheduled job by their runs, oldest first.
struct Run {
  RunSeen seen;
  std::vector<Entity<Job>> jobs;  // its attempts, in order
};

std::vector<Run> runs_of(const store::Snapshot& snapshot, const Entity<ScheduledJob>& scheduled) {
  auto records = snapshot.list({.kind = std::string{Job::kind},
                                .project = scheduled.project(),
                                .owner = scheduled.record->owner,
                                .labels = {{std::string{kScheduleLabel}, scheduled.name()}}});
  std::erase_if(records, [](const auto& record) { return record->deleted.has_value(); });
  std::ranges::sort(records, {}, &Record::created_revision);
  std::vector<Run> runs;
  for (const auto& record : records) {
    auto job = decode<Job>(record);
    auto run = std::ranges::find(runs, job.spec.run, [](const auto& one) { return one.seen.name; });
    if (run == runs.end())
      run = runs.insert(runs.end(),
                        {.seen = {.name = job.spec.run, .scheduled = job.spec.scheduled_for}, .jobs = {}});
    run->seen.attempts = std::max(run->seen.attempts, job.spec.attempt);
    run->seen.phase = job.status.phase;
    run->seen.ended = job.status.ended;
    run->jobs.push_back(std::move(job));
  }
  return runs;
}

std::vector<RunSeen> seen(const std::vector<Run>& runs) {
  std::vector<RunSeen> all;
  for (const auto& run : runs) all.push_back(run.seen);
  return all;
}

std::string name_of_moment(TimePoint moment) {
  const auto day = std::chrono::floor<std::chrono::days>(moment);
  const std::chrono::year_month_day date{day};
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(moment - day).count();
  return fmt::format("{:04}{:02}{:02}t{:02}{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), minutes / 60,
                     minutes % 60);
}

// One attempt of a run, with what serves now.
Record draft_attempt(const Entity<Deployment>& deployment, const Entity<ScheduledJob>& scheduled,
                     std::string run, int attempt, std::optional<TimePoint> moment, std::string by) {
  const auto& definition = scheduled.spec.definition;
  auto name = attempt == 1 ? run : fmt::format("{}-{}", run, attempt);
  auto record = draft<Job>(deployment.project(), std::move(name),
                           {.deployment = deployment.name(),
                            .revision = revision_name(deployment.name(), deployment.status.serving),
                            .command = definition.command,
                            .deadline = definition.deadline,
                            .by = std::move(by),
                            .scheduled_job = scheduled.name(),
                            .scheduled_for = moment,
                            .run = std::move(run),
                            .attempt = attempt});
  record.owner = deployment.uid();
  record.labels = deployment_labels(deployment.spec.component, deployment.spec.environment);
  record.labels[std::string{kScheduleLabel}] = scheduled.name();
  record.finalizers = {std::string{kFinalizer}};
  return record;
}

const Run* find(const std::vector<Run>& runs, const std::string& name) {
  const auto found = std::ranges::find(runs, name, [](const auto& one) { return one.seen.name; });
  return found == runs.end() ? nullptr : &*found;
}

// What became of the last run, for people.
void mirror(const std::vector<Run>& runs, ScheduledJob::Status& status) {
  if (runs.empty()) return;
  const auto& last = runs.back();
  status.last_run = last.jobs.back().name();
  status.last_phase = last.seen.phase;
  status.last_started = last.jobs.front().status.started;
}

void carry_out(const Due& due, const store::Snapshot& snapshot, const Entity<Deployment>& deployment,
               const Entity<ScheduledJob>& scheduled, const std::vector<Run>& runs,
               ScheduledJob::Status& status, store::Transaction& transaction) {
  const bool serves = deployment.status.serving != 0;
  if (due.missed) status.missed = due.missed;
  if (due.skipped) status.skipped = due.skipped;
  if (due.start && !serves) status.missed = due.start;
  if (due.start && serves) {
    for (const auto& name : due.replaced)
      for (const auto& job : find(runs, name)->jobs)
        if (!ended(job.status.phase)) cancel_job(job, "another took its place", transaction);
    auto name = fmt::format("{}.{}", scheduled.name(), name_of_moment(*due.start));
    // A clock that was set back comes to the same moment again: it had its run.
    if (!snapshot.get(key<Job>(deployment.project(), name)))
      transaction.create(draft_attempt(deployment, scheduled, std::move(name), 1, due.start, "schedule"));
    status.last_scheduled = due.start;
  }
  if (serves)
    for (const auto& name : due.retried) {
      const auto& run = find(runs, name)->seen;
      transaction.create(
          draft_attempt(deployment, scheduled, run.name, run.attempts + 1, run.scheduled, "schedule"));
    }
  for (const auto& name : due.forgotten)
    for (const auto& job : find(runs, name)->jobs) transaction.erase(job.key());
}

Task<control::Outcome> tick(std::shared_ptr<Core> core, Key id) {
  const auto snapshot = core->snapshot();
  const auto record = snapshot->get(id);
  if (!record || record->deleted) co_return control::Outcome{};
  const auto scheduled = decode<ScheduledJob>(record);
  const auto owner = snapshot->get(key<Deployment>(id.project, scheduled.spec.deployment));
  if (!owner || owner->deleted) co_return control::Outcome{};
  const auto deployment = decode<Deployment>(owner);
  const auto runs = runs_of(*snapshot, scheduled);
  const auto& definition = scheduled.spec.definition;
  const auto now = core->now();
  auto status = scheduled.status;
  std::optional<Duration> again;
  store::Transaction transaction;
  try {
    const auto schedule = cron::Schedule::parse(*definition.schedule, *definition.time_zone);
    const auto due = decide_due(definition, schedule, scheduled.spec.suspended,
                                status.decided.value_or(record->created), seen(runs), now);
    carry_out(due, *snapshot, deployment, scheduled, runs, status, transaction);
    status.decided = due.decided;
    status.next = due.next;
    status.message.clear();
    again = due.again - now;
  } catch (const Error& error) {
    if (error.code() != Code::Invalid) throw;
    // It was good when it was taken: the machine's time zones are other ones now.
    status.message = error.message();
    status.next.reset();
    again = std::chrono::minutes{1};
  }
  mirror(runs, status);
  auto text = encode_status<ScheduledJob>(status);
  if (text != record->status) transaction.put_status(id, std::move(text), record->revision);
  if (!transaction.empty()) {
    co_await core->settings.store.commit(std::move(transaction));
  }
  co_return control::Outcome{.again = again};
}

// What towpath.yaml says counts from when its release serves.
Task<control::Outcome> define(std::shared_ptr<Core> core, Key id) {
  const auto snapshot = core->snapshot();
  const auto record = snapshot->get(id);
  if (!record || record->deleted) co_return control::Outcome{};
  const auto deployment = decode<Deployment>(record);
  const auto serving =
      snapshot->get(key<Revision>(id.project, revision_name(id.name, deployment.status.serving)));
  if (!serving || decode<Revision>(serving).spec.release != deployment.spec.release)
    co_return control::Outcome{};
  auto wanted = deployment.spec.jobs;
  store::Transaction transaction;
  for (const auto& each : snapshot->list({.kind = std::string{ScheduledJob::kind},
                                          .project = id.project,
                                          .owner = record->uid,
                                          .labels = {}})) {
    if (each->deleted) continue;
    const auto known = decode<ScheduledJob>(each);
    auto found = wanted.extract(known.spec.job);
    if (found.empty()) {  // with what it ran, and runs
      for (const auto& run : runs_of(*snapshot, known))
        for (const auto& job : run.jobs) transaction.erase(job.key());
      transaction.erase(each->key);
      continue;
    }
    auto spec = known.spec;
    spec.definition = std::move(found.mapped());
    auto text = encode_spec<ScheduledJob>(spec);
    if (text == each->spec) continue;
    // Another schedule begins now: what it would have been due at before is none of its business.
    if (*spec.definition.schedule != *known.spec.definition.schedule ||
        *spec.definition.time_zone != *known.spec.definition.time_zone) {
      auto status = known.status;
      status.decided = std::max(core->now(), status.decided.value_or(TimePoint{}));
      transaction.put_status(each->key, encode_status<ScheduledJob>(status), each->revision);
      transaction.put_spec(each->key, std::move(text));
    } else {
      transaction.put_spec(each->key, std::move(text), each->revision);
    }
  }
  for (auto& [name, definition] : wanted) {
    auto made =
        draft<ScheduledJob>(id.project, fmt::format("{}.{}", id.name, name),
                            {.deployment = id.name, .job = name, .definition = std::move(definition)});
    made.owner = record->uid;
    made.labels = deployment_labels(deployment.spec.component, deployment.spec.environment);
    const auto created = made.key;
    transaction.create(std::move(made));
    transaction.put_status(created, encode_status<ScheduledJob>({.decided = core->now()}));
  }
  if (!transaction.empty()) co_await core->settings.store.commit(std::move(transaction));
  co_return control::Outcome{};
}

Entity<ScheduledJob> need(const store::Snapshot& snapshot, const Key& key) {
  const auto record = snapshot.get(key);
  if (record && !record->deleted) return decode<ScheduledJob>(record);
  std::vector<std::string> known;
  for (const auto& each : snapshot.list(
           {.kind = std::string{ScheduledJob::kind}, .project = key.project, .owner = {}, .labels = {}}))
    known.push_back(each->key.name);
  throw fail(Code::NotFound, "there is no scheduled job {} in {}{}", key.name, key.project,
             known.empty() ? "" : fmt::format("; there is {}", fmt::join(known, ", ")));
}

Task<RunJobOutput> run_now(std::shared_ptr<Core> core, api::Call call) {
  const auto snapshot = core->snapshot();
  const auto scheduled = need(*snapshot, call.target);
  const auto deployment =
      need_deployment(*snapshot, key<Deployment>(call.target.project, scheduled.spec.deployment));
  if (deployment.status.serving == 0)
    throw fail(Code::FailedPrecondition, "nothing of {} serves whose image and configuration could be used",
               deployment.name());
  const auto runs = runs_of(*snapshot, scheduled);
  for (const auto& run : runs)
    if (!ended(run.seen.phase) && scheduled.spec.definition.concurrency_policy != ConcurrencyPolicy::Allow)
      throw fail(Code::FailedPrecondition, "{} runs already, as {}", scheduled.name(),
                 run.jobs.back().name());
  auto record = draft_attempt(deployment, scheduled, fmt::format("{}.{}", scheduled.name(), new_uid()), 1, {},
                              call.subject.name);
  RunJobOutput output{.job = record.key.name};
  store::Transaction transaction;
  transaction.create(std::move(record));
  // Nobody else began one meanwhile: whoever does changes this.
  auto status = scheduled.status;
  status.last_run = output.job;
  status.last_phase = WorkPhase::Queued;
  transaction.put_status(scheduled.key(), encode_status<ScheduledJob>(status), scheduled.record->revision);
  co_await core->settings.store.commit(std::move(transaction));
  co_return output;
}

Task<Accepted> set_suspended(std::shared_ptr<Core> core, api::Call call, bool suspended) {
  for (int attempt = 1;; ++attempt) {
    const auto scheduled = need(*core->snapshot(), call.target);
    Accepted output{.generation = scheduled.record->generation, .message = {}};
    if (scheduled.spec.suspended == suspended) {
      output.message =
          fmt::format("{} {}", scheduled.name(),
                      suspended ? fmt::format("is suspended by {} already", scheduled.spec.suspended_by)
                                : "was not suspended");
      co_return output;
    }
    auto spec = scheduled.spec;
    spec.suspended = suspended;
    spec.suspended_by = suspended ? call.subject.name : "";
    auto status = scheduled.status;
    // What was due meanwhile is not made up for.
    if (!suspended) status.decided = std::max(core->now(), status.decided.value_or(TimePoint{}));
    store::Transaction transaction;
    transaction.put_spec(scheduled.key(), encode_spec<ScheduledJob>(spec), scheduled.record->revision);
    transaction.put_status(scheduled.key(), encode_status<ScheduledJob>(status));
    output.generation += 1;
    output.message = suspended ? fmt::format("{} is not begun any more; what runs goes on", scheduled.name())
                               : fmt::format("{} is begun again when it is due", scheduled.name());
    try {
      co_await core->settings.store.commit(std::move(transaction));
      co_return output;
    } catch (const Error& error) {
      if (error.code() != Code::Conflict || attempt == kAttempts) throw;
    }
  }
}

}  // namespace

std::vector<control::Controller> schedule_controllers(std::shared_ptr<Core> core) {
  const auto of_job = [](const Record& record) -> std::vector<Key> {
    const auto label = record.labels.find(std::string{kScheduleLabel});
    if (label == record.labels.end()) return {};
    return {key<ScheduledJob>(record.key.project, label->second)};
  };
  std::vector<control::Controller> all;
  all.push_back({.name = "schedules",
                 .watches = {{std::string{Deployment::kind}, {}}},
                 .reconcile = [core](Key id) { return define(core, std::move(id)); }});
  all.push_back({.name = "scheduledjobs",
                 .watches = {{std::string{ScheduledJob::kind}, {}}, {std::string{Job::kind}, of_job}},
                 .reconcile = [core](Key id) { return tick(core, std::move(id)); }});
  return all;
}

void add_schedule_operations(api::Api& api, std::shared_ptr<Core> core) {
  api.add(api::Operation<Nothing, RunJobOutput>{
      .name = "scheduledjobs.run",
      .help = "Run it now, whatever its schedule says.",
      .permission = api::Permission::Deploy,
      .repeat = api::Repeat::Unsafe,
      .run = [core](api::Call call, Nothing) { return run_now(core, std::move(call)); }});
  api.add(api::Operation<Nothing, Accepted>{
      .name = "scheduledjobs.suspend",
      .help = "Begin it no more, until it is resumed.",
      .permission = api::Permission::Deploy,
      .repeat = api::Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return set_suspended(core, std::move(call), true); }});
  api.add(api::Operation<Nothing, Accepted>{
      .name = "scheduledjobs.resume",
      .help = "Begin it again when it is due; what it missed meanwhile is not made up for.",
      .permission = api::Permission::Deploy,
      .repeat = api::Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return set_suspended(core, std::move(call), false); }});
}

}  // namespace tow::deploy
