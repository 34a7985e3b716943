// SPDX-License-Identifier: Apache-2.0
// What is there in one pass: revisions, their instances, what they answer, their commands.
#include <algorithm>

#include "base/log.hpp"
#include "deploy/jobs.hpp"
#include "deploy/names.hpp"
#include "deploy/pass.hpp"

namespace tow::deploy {
namespace {

using Phase = Revision::Phase;

// Between two looks at what is answered; each is written down.
constexpr Duration kSampled = std::chrono::milliseconds{900};

// Whether the router can count what is open on a revision.
bool countable(const Revision::Spec& revision) {
  return std::ranges::all_of(revision.ports, &RevisionPort::http);
}

const std::vector<std::string>& command_of(const Revision::Spec& revision, std::string_view when,
                                           int number) {
  const auto& all = when == "before" ? revision.hooks.before : revision.hooks.after;
  return all[static_cast<std::size_t>(number)];
}

}  // namespace

void Pass::add(Entity<Revision> entity) {
  Tracked tracked{.entity = std::move(entity), .group = {}};
  const auto& status = tracked.entity.status;
  const bool over = status.phase == Phase::Retired || (status.phase == Phase::Failed && status.ended);
  if (!over) tracked.group = core_.settings.engine.group(tracked.entity.uid());
  all_.push_back(std::move(tracked));
}

Task<std::optional<int>> Pass::sessions(const Entity<Revision>& revision, std::string instance) {
  if (revision.spec.ports.empty()) co_return 0;
  if (!countable(revision.spec)) co_return std::nullopt;
  int sum = 0;
  for (const auto& [site, told] : memory_.sites)
    sum += static_cast<int>(co_await core_.settings.router.sessions(site, instance));
  co_return sum;
}

Task<> Pass::observe() {
  observed_.watched_since = core_.watched_since;
  for (auto& each : all_) {
    const auto& status = each.entity.status;
    RevisionSeen seen{.number = each.number(),
                      .phase = status.phase,
                      .message = status.message,
                      .served = status.serving_since.has_value(),
                      .exclusive = each.entity.spec.exclusive,
                      .started = status.started,
                      .draining_since = status.draining_since,
                      .shrinking_since = {},
                      .weight = status.weight,
                      .progressed = status.progressed,
                      .hooks = {},
                      .group = each.group.has_value(),
                      .retiring = each.group && each.group->retiring,
                      .count = each.group ? each.group->wanted : 0,
                      .instances = {}};
    if (const auto found = memory_.shrinking.find(each.number()); found != memory_.shrinking.end()) {
      seen.shrinking_since = found->second.since;
      seen.shrinking_to = found->second.to;
    }
    const bool counts = status.phase == Phase::Draining || seen.shrinking_since ||
                        (status.phase == Phase::Failed && status.draining_since);
    if (each.group)
      for (const auto& instance : each.group->instances) {
        InstanceSeen one{.id = instance.id,
                         .ordinal = instance.ordinal,
                         .phase = instance.phase,
                         .restarts = instance.restarts,
                         .reason = instance.reason,
                         .sessions = 0};
        if (counts) one.sessions = co_await sessions(each.entity, instance.id);
        seen.instances.push_back(std::move(one));
      }
    std::ranges::sort(seen.instances, {}, &InstanceSeen::ordinal);
    if (&each == coming()) seen.hooks = co_await hooks(each);
    observed_.revisions.push_back(std::move(seen));
  }
  if (const auto& rollout = deployment_.status.rollout; rollout && rollout->step > 0 && rollout->since) {
    observed_.standing = {.revision = rollout->revision, .stage = rollout->step, .since = *rollout->since};
    observed_.coming = {.all = rollout->answers, .errors = rollout->errors};
    observed_.serving = {.all = rollout->serving_answers, .errors = rollout->serving_errors};
    co_await sample();
  }
}

Task<> Pass::sample() {
  auto* next = find(observed_.standing->revision);
  auto* now = serving();
  if (!next || !now || next->entity.status.weight == 0) co_return;
  if (memory_.sampled && core_.now() - *memory_.sampled < kSampled) co_return;
  std::map<std::string, Answers> counted;
  try {
    for (const auto& id : site_ids(deployment_.uid(), now->entity.spec)) {
      if (!memory_.sites.contains(id)) continue;
      const auto servers = co_await core_.settings.router.server_signals(id);
      for (const auto& [server, signals] : servers) {
        counted[server].all += signals.requests;
        counted[server].errors += signals.responses[5];
      }
    }
  } catch (const Error& error) {
    if (error.code() == Code::Cancelled) throw;
    log::warning("deploy", "{} {}: what is answered cannot be read: {}", deployment_.project(),
                 deployment_.name(), error.message());
    co_return;
  }
  for (auto [side, sum] : {std::pair{next, &observed_.coming}, std::pair{now, &observed_.serving}}) {
    if (!side->group) continue;
    for (const auto& instance : side->group->instances) {
      const auto found = counted.find(instance.id);
      const auto last = memory_.counted.find(instance.id);
      if (found == counted.end() || last == memory_.counted.end()) continue;
      // What has fallen began anew.
      const bool fell = found->second.all < last->second.all || found->second.errors < last->second.errors;
      sum->all += found->second.all - (fell ? 0 : last->second.all);
      sum->errors += found->second.errors - (fell ? 0 : last->second.errors);
    }
  }
  memory_.counted = std::move(counted);
  memory_.sampled = core_.now();
}

std::optional<Job::Status> Pass::hook_job(const Tracked& revision, std::string_view when, int number) const {
  const auto record =
      core_.snapshot()->get(key<Job>(deployment_.project(), hook_name(revision.entity.name(), when, number)));
  if (!record) return {};
  return decode<Job>(record).status;
}

std::optional<Entity<Job>> Pass::unfinished_hook(const Tracked& revision) const {
  const auto& [spec, status] = std::tie(revision.entity.spec, revision.entity.status);
  if (status.hooks_before >= static_cast<int>(spec.hooks.before.size())) return {};
  const auto record = core_.snapshot()->get(
      key<Job>(deployment_.project(), hook_name(revision.entity.name(), "before", status.hooks_before)));
  if (!record || record->deleted) return {};
  auto job = decode<Job>(record);
  if (ended(job.status.phase)) return {};
  return job;
}

// Nobody waits any more for what its revision was to have before it starts.
void Pass::cancel_hook(const Tracked& revision, std::string why) {
  if (const auto job = unfinished_hook(revision)) cancel_job(*job, std::move(why), claims_);
}

// What has ended is noted, so that it runs once, whatever becomes of its job.
Task<HooksSeen> Pass::hooks(Tracked& revision) {
  const auto& spec = revision.entity.spec;
  HooksSeen seen{.total = static_cast<int>(spec.hooks.before.size()),
                 .done = revision.entity.status.hooks_before,
                 .name = {},
                 .failure = {}};
  // Two migrations at once are what nobody expects: one that was superseded has to be over.
  for (const auto& other : all_) {
    if (other.number() >= revision.number()) break;
    const auto job = unfinished_hook(other);
    if (!job) continue;
    seen.name =
        fmt::format("{} (of revision {}, which is ended)", fmt::join(job->spec.command, " "), other.number());
    seen.running = true;
    co_return seen;
  }
  while (seen.done < seen.total) {
    seen.name = fmt::format("{}", fmt::join(command_of(spec, "before", seen.done), " "));
    const auto job = hook_job(revision, "before", seen.done);
    if (!job) break;
    if (job->phase == WorkPhase::Succeeded) {
      revision.status().hooks_before = ++seen.done;
      continue;
    }
    if (ended(job->phase))
      seen.failure = co_await hook_failure(revision, "before", seen.done, *job);
    else
      seen.running = true;
    break;
  }
  co_return seen;
}

Task<std::string> Pass::hook_failure(const Tracked& revision, std::string_view when, int number,
                                     const Job::Status& job) {
  auto text = fmt::format("the hook \"{}\" failed: {}",
                          fmt::join(command_of(revision.entity.spec, when, number), " "), job.message);
  const auto id = key<Job>(deployment_.project(), hook_name(revision.entity.name(), when, number));
  const auto record = core_.snapshot()->get(id);
  if (!record) co_return text;
  std::vector<std::string> lines;
  engine::LogSink sink = [&](const engine::LogLine& line) -> Task<> {
    lines.push_back(line.text);
    co_return;
  };
  try {
    co_await core_.settings.engine.logs({.source = record->uid, .since = {}, .tail = 5, .follow = false},
                                        sink);
  } catch (const Error& error) {
    if (error.code() == Code::Cancelled) throw;  // otherwise it never wrote anything
  }
  for (const auto& line : lines) text += "\n  " + line;
  co_return text;
}

void Pass::claim_hook(const Tracked& revision, std::string_view when, int number) {
  const auto& spec = revision.entity.spec;
  auto record = draft<Job>(deployment_.project(), hook_name(revision.entity.name(), when, number),
                           {.deployment = deployment_.name(),
                            .revision = revision.entity.name(),
                            .command = command_of(spec, when, number),
                            .by = spec.by});
  record.owner = deployment_.uid();
  record.labels = deployment_labels(deployment_.spec.component, deployment_.spec.environment);
  record.labels[std::string{kHookLabel}] = std::to_string(revision.number());
  record.finalizers = {std::string{kFinalizer}};
  claims_.create(std::move(record));
}

Task<> Pass::run_after_hooks() {
  auto* now = serving();
  if (!now || now->number() != target_.revision) co_return;
  const auto total = static_cast<int>(now->entity.spec.hooks.after.size());
  while (now->entity.status.hooks_after < total) {
    const int number = now->entity.status.hooks_after;
    const auto job = hook_job(*now, "after", number);
    if (job && job->phase == WorkPhase::Succeeded) {
      now->status().hooks_after = number + 1;
    } else if (job && ended(job->phase)) {
      auto failure = co_await hook_failure(*now, "after", number, *job);
      now->status().hook_failure = std::move(failure);
      now->status().hooks_after = total;
    } else {
      if (!job) claim_hook(*now, "after", number);
      after_hook_ =
          fmt::format("revision {} serves; hook {} of {} after it runs: {}", now->number(), number + 1, total,
                      fmt::join(command_of(now->entity.spec, "after", number), " "));
      co_return;
    }
  }
}

}  // namespace tow::deploy
