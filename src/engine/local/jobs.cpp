// SPDX-License-Identifier: Apache-2.0
// Jobs: each runs once, and what became of it is on disk before it is told.
#include "base/error.hpp"
#include "base/log.hpp"
#include "engine/local/disk.hpp"
#include "engine/local/engine.hpp"
#include "engine/validate.hpp"

namespace tow::engine::local {

std::shared_ptr<Instance> Local::add_instance(const JobPtr& job) {
  const auto& spec = job->record.spec;
  Instance::Identity identity{.id = spec.id,
                              .source = spec.id,
                              .ordinal = 0,
                              .address = job->record.address,
                              .hostname = hostname(spec.workload, "-job"),
                              .command = spec.command,
                              .terminal = spec.terminal,
                              .about_to_start = [this, weak = std::weak_ptr{job}] {
                                const auto strong = weak.lock();
                                if (!strong) return;
                                strong->record.begun = true;
                                job_records_.save(strong->record.spec.id, to_node(strong->record));
                              }};
  return std::make_shared<Instance>(
      around_, std::move(identity), std::make_shared<const Workload>(spec.workload),
      Wish{.run = true, .restart = false, .grace = settings_.stop_grace, .deadline = job->record.deadline},
      [] {});
}

Task<> Local::run_job(JobSpec spec) { return on_strand(run_job_here(std::move(spec))); }

Task<> Local::run_job_here(JobSpec spec) {
  check(spec);
  if (jobs_.contains(spec.id)) co_return;
  const auto job = std::make_shared<Job>();
  jobs_[spec.id] = job;
  job->record.deadline = settings_.clock->now() + spec.deadline;
  job->record.spec = std::move(spec);
  const auto& workload = job->record.spec.workload;
  std::exception_ptr failure;
  try {
    co_await pool_.run([&] {
      networks_.ensure(workload.environment, workload.outbound);
      job->record.address = networks_.allocate(workload.environment);
      try {
        job_records_.save(job->record.spec.id, to_node(job->record));
      } catch (...) {
        networks_.release(workload.environment, job->record.address);
        throw;
      }
    });
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    jobs_.erase(job->record.spec.id);
    if (is_cancellation(failure)) std::rethrow_exception(failure);
    throw explained(failure);
  }
  if (watched_dns_.insert(workload.environment).second) scope_->spawn(watch_dns(workload.environment));
  job->instance = add_instance(job);
  publish(*job);
  scope_->spawn(supervise(job));
}

Task<> Local::supervise(JobPtr job) {
  co_await job->instance->live();
  auto& record = job->record;
  const InstanceView view = job->instance->view();
  networks_.release(record.spec.workload.environment, record.address);
  job->instance.reset();
  record.finished = true;
  record.exit_code = view.exit_code;
  record.succeeded = view.exit_code == 0 && view.reason.starts_with("exited with 0");
  record.reason = record.succeeded ? "" : view.reason;
  for (bool warned = false;; warned = true) {
    std::exception_ptr failure;
    try {
      co_await pool_.run([&] {
        if (job->removing)
          job_records_.remove(record.spec.id);
        else
          job_records_.save(record.spec.id, to_node(record));
      });
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) break;
    if (is_cancellation(failure)) std::rethrow_exception(failure);
    if (!warned)
      log::warning("engine", "how job {} ended cannot be recorded yet: {}", record.spec.id,
                   explained(failure).message());
    co_await settings_.clock->sleep(kOnceMore);
  }
  if (job->removing)
    jobs_.erase(record.spec.id);
  else
    publish(*job);
}

Task<> Local::remove_job(JobId id) { return on_strand(remove_job_here(std::move(id))); }

Task<> Local::remove_job_here(JobId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) co_return;
  const JobPtr job = found->second;
  job->removing = true;
  views_.forget(id);
  if (job->instance) {
    Wish wish = job->instance->wish();
    wish.run = false;
    job->instance->wish(wish);
    co_return;
  }
  co_await pool_.run([&] { job_records_.remove(id); });
  jobs_.erase(id);
}

void Local::publish(const Job& job) {
  if (job.removing) return;
  const auto& record = job.record;
  views_.show(record.spec.id,
              {.phase = !record.finished   ? JobView::Phase::Running
                        : record.succeeded ? JobView::Phase::Succeeded
                                           : JobView::Phase::Failed,
               .exit_code = record.exit_code,
               .reason = record.reason},
              images_of(record.spec.workload));
}

}  // namespace tow::engine::local
