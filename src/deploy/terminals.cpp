// SPDX-License-Identifier: Apache-2.0
// exec: a terminal in an instance. run: a job beside a deployment, its output streamed to who asked for it.
#include <algorithm>

#include "deploy/core.hpp"
#include "deploy/jobs.hpp"
#include "deploy/names.hpp"

namespace tow::deploy {
namespace {

// A ready instance, or the one that was named: by its id, or by what its id ends with.
std::string choose_instance(Core& core, const Entity<Deployment>& deployment, const std::string& wanted) {
  const auto snapshot = core.snapshot();
  std::vector<std::string> known;
  std::optional<std::string> ready;
  for (const auto& revision : revisions_of(*snapshot, *deployment.record)) {
    const auto group = core.settings.engine.group(revision.uid());
    if (!group) continue;
    for (const auto& instance : group->instances) {
      if (instance.phase == engine::Phase::Ended) continue;
      known.push_back(instance.id);
      const bool serves = revision.status.phase == Revision::Phase::Serving;
      if (instance.phase == engine::Phase::Ready && (!ready || serves)) ready = instance.id;
      if (!wanted.empty() && (instance.id == wanted || instance.id.ends_with(wanted))) return instance.id;
    }
  }
  if (!wanted.empty())
    throw fail(Code::NotFound, "{} has no instance {}{}", deployment.name(), wanted,
               known.empty() ? "" : fmt::format("; there is {}", fmt::join(known, ", ")));
  if (!ready) throw fail(Code::FailedPrecondition, "no instance of {} is ready", deployment.name());
  return *ready;
}

// What the caller types goes in, until the caller is gone.
Task<> pass_input(api::Terminal& caller, engine::Terminal& inside) {
  while (true) {
    auto input = co_await caller.read();
    if (!input) break;
    if (input->size) inside.resize(input->size->first, input->size->second);
    if (!input->bytes.empty()) co_await inside.write(input->bytes);
    if (input->closed) inside.close_input();
  }
  inside.close_input();
}

// Waits until the caller is gone, then ends the job: nobody would see its output.
Task<> end_with_caller(Core& core, api::Terminal& caller, Key job) {
  while (co_await caller.read()) {
  }
  store::Transaction transaction;
  transaction.erase(job);
  co_await core.settings.store.commit(std::move(transaction));
}

// The record of the job when it has begun, and when it has ended; nothing when it was taken away.
Task<std::optional<Job::Status>> wait_until(Core& core, const Entity<Job>& job, bool end) {
  const auto watch = core.settings.store.watch(
      job.record->revision,
      {.kind = std::string{Job::kind}, .project = job.project(), .owner = job.record->owner, .labels = {}});
  auto record = core.snapshot()->get(job.key());
  while (true) {
    if (!record || record->deleted) co_return std::nullopt;
    const auto status = decode<Job>(record).status;
    if (ended(status.phase) || (!end && status.phase == WorkPhase::Running)) co_return status;
    const auto changes = co_await watch->next();
    for (const auto& change : changes)
      if (change.record->key == job.key())
        record = change.type == store::Change::Type::Put ? change.record : nullptr;
  }
}

// Until the job has ended.
Task<> show_output(Core& core, std::string job, api::Terminal& terminal, std::string line_end) {
  engine::LogSink sink = [&](const engine::LogLine& line) -> Task<> {
    co_await terminal.write(line.text + line_end);
  };
  try {
    co_await core.settings.engine.logs({.source = job, .since = {}, .tail = 0, .follow = true}, sink);
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;  // it never wrote anything
  }
}

}  // namespace

Task<int> Core::exec(api::Call call, ExecInput input, api::Terminal& terminal) {
  const auto deployment = need_deployment(*snapshot(), call.target);
  const auto instance = choose_instance(*this, deployment, input.instance);
  if (input.command.empty()) input.command = {"/bin/sh", "-c", "exec $(command -v bash || echo sh)"};
  const auto inside = co_await settings.engine.exec(instance, input.command, input.terminal, input.container);
  if (input.terminal) inside->resize(input.columns, input.rows);
  int code = 0;
  co_await with_scope("exec", [&](Scope& scope) -> Task<> {
    scope.spawn(pass_input(terminal, *inside));
    while (true) {
      const auto bytes = co_await inside->read();
      if (bytes.empty()) break;
      co_await terminal.write(bytes);
    }
    code = co_await inside->wait();
  });
  co_return code;
}

Task<int> Core::run(api::Call call, ExecInput input, api::Terminal& terminal) {
  const auto deployment = need_deployment(*snapshot(), call.target);
  const auto job = co_await create_job(*this, call, deployment, input);
  const std::string line_end = input.terminal ? "\r\n" : "\n";
  int code = 1;
  co_await with_scope("run", [&](Scope& scope) -> Task<> {
    scope.spawn(end_with_caller(*this, terminal, job.key()));
    const auto begun = co_await wait_until(*this, job, false);
    const bool ran = begun && settings.engine.job(job.uid());
    if (ran) co_await show_output(*this, job.uid(), terminal, line_end);
    const auto status = co_await wait_until(*this, job, true);
    if (!status) co_return;
    code = status->exit_code.value_or(status->phase == WorkPhase::Succeeded ? 0 : 1);
    if (!status->exit_code && !status->message.empty()) co_await terminal.write(status->message + line_end);
  });
  co_return code;
}

}  // namespace tow::deploy
