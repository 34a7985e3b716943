// SPDX-License-Identifier: Apache-2.0
// Operations that change what a deployment wants: roll back, scale, restart, let go of a hold.
#include "deploy/change.hpp"

#include <algorithm>

#include "deploy/names.hpp"

namespace tow::deploy {

Task<std::int64_t> change_deployment(
    Core& core, Key id, std::string by,
    std::function<void(const Entity<Deployment>& now, Deployment::Spec& spec)> change) {
  for (int attempt = 1;; ++attempt) {
    const auto deployment = need_deployment(*core.snapshot(), id);
    auto spec = deployment.spec;
    change(deployment, spec);
    spec.by = by;
    auto text = encode_spec<Deployment>(spec);
    if (text == deployment.record->spec) co_return deployment.record->generation;
    store::Transaction transaction;
    transaction.put_spec(id, std::move(text), deployment.record->revision);
    try {
      co_await core.settings.store.commit(std::move(transaction));
      co_return deployment.record->generation + 1;
    } catch (const Error& error) {
      // The status counts as a change, too, and a rollout writes it often.
      if (error.code() != Code::Conflict || attempt == kAttempts) throw;
    }
  }
}

Error refusal(const Entity<Deployment>& deployment) {
  const auto& lock = *deployment.spec.lock;
  return fail(Code::FailedPrecondition,
              "{} is locked by {} since {}: {}; `tow unlock {}` lifts that, nothing is deployed before",
              deployment.name(), lock.by, tow::to_string(lock.since), lock.why, deployment.name());
}

bool is_exclusive(const store::Snapshot& snapshot, const Entity<Deployment>& deployment) {
  const auto record = snapshot.get(
      key<Revision>(deployment.project(), revision_name(deployment.name(), deployment.status.latest)));
  return record && decode<Revision>(record).spec.exclusive;
}

namespace {

// The one that served before the one that serves now.
const Entity<Revision>* served_before(const std::vector<Entity<Revision>>& revisions, int serving) {
  const Entity<Revision>* found = nullptr;
  for (const auto& each : revisions)
    if (each.spec.number < (serving ? serving : INT32_MAX) && each.status.serving_since) found = &each;
  return found;
}

std::string numbers(const std::vector<Entity<Revision>>& revisions) {
  std::vector<int> all;
  for (const auto& each : revisions) all.push_back(each.spec.number);
  return fmt::format("{}", fmt::join(all, ", "));
}

// After every change of what the component reads, so that what was set before is restored, too.
TimePoint restored_since(const store::Snapshot& snapshot, const Entity<Deployment>& deployment,
                         const Revision::Spec& revision, TimePoint now) {
  std::vector<std::string> names;
  for (const auto& [name, value] : revision.configuration) names.push_back(name);
  const auto scopes =
      read_scopes(snapshot, deployment.project(), deployment.spec.environment, deployment.spec.component);
  const auto last = last_change(scopes, names);
  return last ? std::max(now, last->time) : now;
}

}  // namespace

Task<RollbackOutput> Core::roll_back(api::Call call, RollbackInput input) {
  RollbackOutput output;
  const auto pick = [&](const Entity<Deployment>& deployment, Deployment::Spec& spec) {
    if (spec.lock) throw refusal(deployment);
    const auto view = snapshot();
    const auto revisions = revisions_of(*view, *deployment.record);
    const Entity<Revision>* chosen = nullptr;
    if (input.revision == 0) {
      chosen = served_before(revisions, deployment.status.serving);
      if (!chosen)
        throw fail(Code::FailedPrecondition, "no revision of {} served before; there is {}",
                   deployment.name(), numbers(revisions));
    } else {
      for (const auto& each : revisions)
        if (each.spec.number == input.revision) chosen = &each;
      if (!chosen)
        throw fail(Code::NotFound, "{} has no revision {}; there is {}", deployment.name(), input.revision,
                   numbers(revisions));
    }
    output.revision = chosen->spec.number;
    output.release = chosen->spec.release;
    output.message.clear();
    if (chosen->spec.number == deployment.status.serving &&
        deployment.status.latest == deployment.status.serving)
      output.message = fmt::format("revision {} serves already", chosen->spec.number);
    else if (!chosen->status.serving_since)
      output.message =
          fmt::format("revision {} has never served: {}", chosen->spec.number,
                      chosen->status.message.empty() ? "it was replaced before" : chosen->status.message);
    spec.release = chosen->spec.release;
    spec.overrides = chosen->spec.overrides;
    spec.restarted = chosen->spec.restarted;
    spec.restored = Restored{.revision = chosen->spec.number,
                             .since = restored_since(*view, deployment, chosen->spec, now())};
    spec.next.reset();
    spec.hold = spec.hold || input.hold;
    spec.cause = "rollback";
  };
  const auto before = need_deployment(*snapshot(), call.target);
  auto tried = before.spec;
  pick(before, tried);
  const auto release = co_await settings.store.find(key<Release>(call.target.project, tried.release));
  if (!release)
    throw fail(Code::FailedPrecondition, "the release {} of revision {} is gone", tried.release,
               output.revision);
  // Its jobs are part of what a release brings along.
  const auto settings_then = decode<Release>(release).spec.settings;
  const auto pick_all = [&](const Entity<Deployment>& deployment, Deployment::Spec& spec) {
    pick(deployment, spec);
    if (!settings_then) return;
    const auto found = settings_then->find(spec.environment);
    spec.jobs = found == settings_then->end() ? decltype(spec.jobs){} : found->second.jobs;
  };
  output.generation = co_await change_deployment(*this, call.target, call.subject.name, pick_all);
  co_return output;
}

Task<Accepted> Core::scale(api::Call call, ScaleInput input) {
  Accepted output;
  output.generation = co_await change_deployment(
      *this, call.target, call.subject.name, [&](const Entity<Deployment>& now, Deployment::Spec& spec) {
        if (input.count > 1 && is_exclusive(*snapshot(), now))
          throw fail(
              Code::FailedPrecondition,
              "{} writes to a volume, so one instance is the most that may run; mount it readOnly, or keep "
              "the data elsewhere, to run {}",
              now.name(), input.count);
        output.message = fmt::format("{} runs {} instance{} (before: {})", now.name(), input.count,
                                     input.count == 1 ? "" : "s", spec.scale);
        spec.scale = input.count;
        spec.scale_by = SetBy::Person;
        spec.cause = "scale";
      });
  co_return output;
}

Task<Accepted> Core::restart(api::Call call) {
  Accepted output;
  output.generation = co_await change_deployment(
      *this, call.target, call.subject.name, [&](const Entity<Deployment>& before, Deployment::Spec& spec) {
        if (spec.lock) throw refusal(before);
        // Two restarts within one tick of the clock are two restarts.
        spec.restarted = std::max(now(), spec.restarted.value_or(TimePoint{}) + Duration{1});
        spec.cause = "restart";
        output.message = fmt::format("{} is replaced by a new revision of the same content", before.name());
      });
  co_return output;
}

Task<Accepted> Core::unhold(api::Call call) {
  Accepted output;
  output.generation = co_await change_deployment(
      *this, call.target, call.subject.name, [&](const Entity<Deployment>& now, Deployment::Spec& spec) {
        output.message = spec.hold ? fmt::format("{} takes pushes again", now.name())
                                   : fmt::format("{} was not held", now.name());
        spec.hold = false;
      });
  co_return output;
}

Task<Accepted> Core::lock(api::Call call, LockInput input) {
  Accepted output;
  output.generation = co_await change_deployment(
      *this, call.target, call.subject.name, [&](const Entity<Deployment>& before, Deployment::Spec& spec) {
        if (spec.lock && spec.lock->by != call.subject.name) throw refusal(before);
        spec.lock = Lock{.by = call.subject.name, .why = input.why, .since = now()};
        output.message = fmt::format("nothing is deployed to {} until it is unlocked", before.name());
      });
  co_return output;
}

Task<Accepted> Core::unlock(api::Call call) {
  Accepted output;
  output.generation = co_await change_deployment(
      *this, call.target, call.subject.name, [&](const Entity<Deployment>& before, Deployment::Spec& spec) {
        output.message =
            spec.lock ? fmt::format("{} was locked by {}: {}", before.name(), spec.lock->by, spec.lock->why)
                      : fmt::format("{} was not locked", before.name());
        spec.lock.reset();
      });
  co_return output;
}

namespace {

// Changes what is said of the rollout that is under way.
using Say = std::function<std::string(const RolloutStatus& now, RolloutOrder& order)>;
Task<Accepted> say(Core& core, api::Call call, Say change) {
  Accepted output;
  output.generation = co_await change_deployment(
      core, call.target, call.subject.name, [&](const Entity<Deployment>& before, Deployment::Spec& spec) {
        const auto& now = before.status.rollout;
        if (!now)
          throw fail(Code::FailedPrecondition, "no rollout of {} is under way: revision {} serves",
                     before.name(), before.status.serving);
        auto order = spec.rollout && spec.rollout->revision == now->revision
                         ? *spec.rollout
                         : RolloutOrder{.revision = now->revision};
        output.message = change(*now, order);
        order.by = call.subject.name;
        spec.rollout = order;
      });
  co_return output;
}

}  // namespace

Task<Accepted> Core::pause(api::Call call) {
  co_return co_await say(*this, std::move(call), [](const RolloutStatus& now, RolloutOrder& order) {
    order.paused = true;
    return fmt::format("revision {} stays at {}% of the traffic until it is continued", now.revision,
                       now.weight);
  });
}

Task<Accepted> Core::go_on(api::Call call) {
  co_return co_await say(*this, std::move(call), [](const RolloutStatus& now, RolloutOrder& order) {
    if (order.paused) {
      order.paused = false;
      return fmt::format("the rollout of revision {} goes on", now.revision);
    }
    if (now.step == 0)
      throw fail(Code::FailedPrecondition, "revision {} is not ready yet; nothing waits to be continued",
                 now.revision);
    order.continued = std::max(order.continued, now.step);
    return now.step == now.steps ? fmt::format("revision {} gets all of the traffic", now.revision)
                                 : fmt::format("revision {} goes from step {} to step {}", now.revision,
                                               now.step, now.step + 1);
  });
}

Task<Accepted> Core::abort(api::Call call) {
  co_return co_await say(*this, std::move(call), [](const RolloutStatus& now, RolloutOrder& order) {
    order.aborted = true;
    return fmt::format("revision {} is taken back", now.revision);
  });
}

}  // namespace tow::deploy
