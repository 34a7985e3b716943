// SPDX-License-Identifier: Apache-2.0
// Jobs: commands that run to their end beside a deployment, with the image and the configuration of a
// revision.
#include <algorithm>

#include "base/fault.hpp"
#include "base/ids.hpp"
#include "deploy/core.hpp"
#include "deploy/jobs.hpp"
#include "deploy/names.hpp"
#include "deploy/target.hpp"
#include "deploy/workload.hpp"

namespace tow::deploy {
namespace {

constexpr std::string_view kTerminal = "terminal";  // annotation: it was asked for with a terminal

Task<> write_status(Core& core, const Key& id, Job::Status status) {
  store::Transaction transaction;
  transaction.put_status(id, encode_status<Job>(status));
  co_await core.settings.store.commit(std::move(transaction));
}

// Starts it; what cannot be started has failed.
Task<> begin(Core& core, Entity<Job> job) {
  auto status = job.status;
  status.started = core.now();
  try {
    const auto snapshot = core.snapshot();
    const auto deployment = need_deployment(*snapshot, key<Deployment>(job.project(), job.spec.deployment));
    const auto revision = snapshot->get(key<Revision>(job.project(), job.spec.revision));
    if (!revision) throw fail(Code::NotFound, "the revision {} is gone", job.spec.revision);
    engine::JobSpec spec{.id = job.uid(),
                         .workload = {},
                         .command = job.spec.command,
                         .deadline = job.spec.deadline,
                         .terminal = job.record->annotations.contains(std::string{kTerminal})};
    spec.workload = co_await workload_of(core, deployment, decode<Revision>(revision), nullptr);
    as_job(spec.workload);
    co_await core.settings.engine.run_job(std::move(spec));
    fault_point("deploy.job-started");
    status.phase = WorkPhase::Running;
  } catch (const Error& error) {
    if (error.code() == Code::Cancelled || error.code() == Code::Unavailable) throw;
    status.phase = WorkPhase::Failed;
    status.message = error.message();
    status.ended = core.now();
  }
  co_await write_status(core, job.key(), status);
}

Task<> note_end(Core& core, Entity<Job> job) {
  const auto view = core.settings.engine.job(job.uid());
  auto status = job.status;
  if (view && view->phase == engine::JobView::Phase::Running) co_return;
  status.ended = core.now();
  if (!view) {
    status.phase = WorkPhase::Failed;
    status.message = "it ended with the machine, or with the program that ran it; how is not known";
  } else {
    status.phase =
        view->phase == engine::JobView::Phase::Succeeded ? WorkPhase::Succeeded : WorkPhase::Failed;
    status.exit_code = view->exit_code;
    status.message = view->reason;
  }
  co_await write_status(core, job.key(), status);
}

// Somebody wants it to end.
Task<> end_early(Core& core, Entity<Job> job) {
  co_await core.settings.engine.remove_job(job.uid());
  auto status = job.status;
  status.phase = WorkPhase::Cancelled;
  status.message = job.spec.cancelled;
  status.ended = core.now();
  co_await write_status(core, job.key(), status);
}

// The oldest ended jobs beyond those that are kept.
Task<> prune(Core& core, const Entity<Job>& job) {
  const auto snapshot = core.snapshot();
  std::vector<RecordPtr> over;
  for (const auto& record : snapshot->list({.kind = std::string{Job::kind},
                                            .project = job.project(),
                                            .owner = job.record->owner,
                                            .labels = {}}))
    if (!record->deleted && !record->labels.contains(std::string{kScheduleLabel}) &&  // which keeps its own
        ended(decode<Job>(record).status.phase))
      over.push_back(record);
  const auto keep = static_cast<std::size_t>(core.settings.limits.jobs);
  if (over.size() <= keep) co_return;
  std::ranges::sort(over, {}, &Record::created_revision);
  over.resize(over.size() - keep);
  store::Transaction transaction;
  for (const auto& record : over) transaction.erase(record->key);
  co_await core.settings.store.commit(std::move(transaction));
}

}  // namespace

Task<Entity<Job>> create_job(Core& core, const api::Call& call, const Entity<Deployment>& deployment,
                             const ExecInput& input) {
  const auto number = deployment.status.serving ? deployment.status.serving : deployment.status.latest;
  if (number == 0)
    throw fail(Code::FailedPrecondition, "{} has no revision whose image and configuration could be used",
               deployment.name());
  if (input.command.empty()) throw fail(Code::Invalid, "a job needs a command");
  auto record = draft<Job>(deployment.project(), fmt::format("{}.{}", deployment.name(), new_uid()),
                           {.deployment = deployment.name(),
                            .revision = revision_name(deployment.name(), number),
                            .command = input.command,
                            .by = call.subject.name});
  record.owner = deployment.uid();
  record.labels = deployment_labels(deployment.spec.component, deployment.spec.environment);
  record.finalizers = {std::string{kFinalizer}};
  if (input.terminal) record.annotations[std::string{kTerminal}] = "true";
  const auto id = record.key;
  store::Transaction transaction;
  transaction.create(std::move(record));
  co_await core.settings.store.commit(std::move(transaction));
  const auto made = core.snapshot()->get(id);
  if (!made) throw fail(Code::FailedPrecondition, "{} is being destroyed", deployment.name());
  co_return decode<Job>(made);
}

void cancel_job(const Entity<Job>& job, std::string why, store::Transaction& transaction) {
  if (ended(job.status.phase) || job.deleting() || !job.spec.cancelled.empty()) return;
  auto spec = job.spec;
  spec.cancelled = std::move(why);
  transaction.put_spec(job.key(), encode_spec<Job>(spec));
}

Task<control::Outcome> Core::reconcile_job(Key id) {
  const auto record = snapshot()->get(id);
  if (!record) co_return control::Outcome{};
  const auto job = decode<Job>(record);
  if (job.deleting()) {
    co_await settings.engine.remove_job(job.uid());
    co_await settings.engine.remove_logs(job.uid());
    store::Transaction transaction;
    transaction.remove_finalizer(id, std::string{kFinalizer});
    co_await settings.store.commit(std::move(transaction));
  } else if (!ended(job.status.phase) && !job.spec.cancelled.empty()) {
    co_await end_early(*this, job);
  } else if (job.status.phase == WorkPhase::Queued) {
    co_await begin(*this, job);
  } else if (job.status.phase == WorkPhase::Running) {
    co_await note_end(*this, job);
  } else {
    co_await prune(*this, job);
  }
  co_return control::Outcome{};
}

}  // namespace tow::deploy
