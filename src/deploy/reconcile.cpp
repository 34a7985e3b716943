// SPDX-License-Identifier: Apache-2.0
// One deployment, level-triggered: what is wanted is found, what is there is looked at, decide() says what to
// do, and it is done. Effects come before their record, so that after a crash between the two they are
// repeated.
#include <algorithm>

#include "base/fault.hpp"
#include "base/log.hpp"
#include "deploy/names.hpp"
#include "deploy/order.hpp"
#include "deploy/pass.hpp"
#include "deploy/teardown.hpp"

namespace tow::deploy {
namespace {

using Phase = Revision::Phase;

constexpr Duration kProblemRetry = std::chrono::seconds{15};

// What a person brings back, or starts again, was proved before: it takes no steps.
bool takes_stages(const Revision::Spec& revision) {
  return revision.cause != "rollback" && revision.cause != "restart";
}

std::optional<Batches> batches_of(const Strategy& strategy, int scale) {
  if (strategy.type != StrategyType::Rolling || (!strategy.max_surge && !strategy.max_unavailable)) return {};
  Batches made{
      .surge = of(strategy.max_surge.value_or(Share{.value = 100, .percent = true}), scale, Round::Up),
      .unavailable = of(strategy.max_unavailable.value_or(Share{}), scale, Round::Down)};
  if (made.surge == 0 && made.unavailable == 0) made.surge = 1;
  if (made.surge >= scale && made.unavailable == 0) return {};  // it comes up whole
  return made;
}

// What went wrong, if something did.
Task<std::optional<Error>> attempt(Task<> work) {
  try {
    co_await std::move(work);
  } catch (const Error& error) {
    if (error.code() == Code::Cancelled) throw;
    co_return error;
  }
  co_return std::nullopt;
}

}  // namespace

Task<control::Outcome> Pass::run() {
  memory_ = core_.recall(deployment_.uid());
  {
    const auto snapshot = core_.snapshot();
    for (auto& each : revisions_of(*snapshot, *deployment_.record)) add(std::move(each));
  }
  std::vector<Entity<Revision>> revisions;
  for (const auto& each : all_) revisions.push_back(each.entity);
  target_ = co_await find_target(core_, deployment_, std::move(revisions), memory_);
  core_.remember(deployment_.uid(), memory_);
  if (target_.made) add(*target_.made);
  note_waiting();

  co_await observe();
  wanted_ = wanted();
  const auto now = core_.now();
  decision_ = decide(wanted_, observed_, now);
  if (decision_.again) look_again(*decision_.again - now);

  // Whatever the engine refuses, traffic leaves what is no longer ready: of what was recorded then, not of
  // what is planned. And what the router or the engine was told is known; all else is decided again.
  auto problem = co_await attempt(ensure_instances());
  if (!problem) {
    for (const auto& action : decision_.actions) plan_ahead(action);
    settle_weight();
    problem = co_await attempt(run_after_hooks());
  }
  if (auto traffic = co_await attempt(direct_traffic()); !problem) problem = std::move(traffic);
  if (problem) {
    auto known = core_.recall(deployment_.uid());
    known.sites = memory_.sites;
    known.service = memory_.service;
    known.address = memory_.address;
    core_.remember(deployment_.uid(), std::move(known));
  } else {
    for (const auto& action : decision_.actions)
      if (const auto* retire = std::get_if<Retire>(&action))
        co_await core_.settings.engine.retire(find(retire->revision)->entity.uid(),
                                              core_.settings.limits.grace);
    core_.remember(deployment_.uid(), memory_);
    core_.fed(deployment_.key());
  }
  fault_point("deploy.acted");
  co_await record(problem);
  if (problem) throw *problem;
  co_return outcome_;
}

Task<> Pass::ensure_instances() {
  for (const auto& action : decision_.actions)
    if (const auto* ensure = std::get_if<Ensure>(&action)) co_await carry_out(*ensure);
}

Tracked* Pass::find(int number) {
  for (auto& each : all_)
    if (each.number() == number) return &each;
  return nullptr;
}

Tracked* Pass::serving() {
  Tracked* found = nullptr;
  for (auto& each : all_)
    if (each.entity.status.phase == Phase::Serving) found = &each;
  return found;
}

Tracked* Pass::coming() {
  auto* found = find(target_.revision);
  if (!found) return nullptr;
  const auto phase = found->entity.status.phase;
  return phase == Phase::Pending || phase == Phase::Starting ? found : nullptr;
}

void Pass::look_again(Duration after) {
  after = std::max(after, Duration{0});
  outcome_.again = outcome_.again ? std::min(*outcome_.again, after) : after;
}

void Pass::note_waiting() {
  const std::lock_guard lock{core_.mutex};
  const auto& next = deployment_.spec.next;
  if (target_.waits || (next && next->refused.empty()))
    core_.waiting.insert(deployment_.key());
  else
    core_.waiting.erase(deployment_.key());
}

Wanted Pass::wanted() {
  const auto& strategy = deployment_.spec.strategy;
  const auto& limits = core_.settings.limits;
  const auto* target = find(target_.revision);
  Wanted made{.revision = target_.revision,
              .scale = deployment_.spec.scale,
              .recreate = strategy.type == StrategyType::Recreate,
              .batches = batches_of(strategy, deployment_.spec.scale),
              .stages = {},
              .error_limit = strategy.max_error_percent / 100,
              .said = {},
              .ready_limit = limits.ready,
              .drain_limit = limits.drain,
              .recreate_drain_limit = limits.recreate_drain};
  if (target && takes_stages(target->entity.spec)) made.stages = stages(strategy);
  if (const auto& order = deployment_.spec.rollout)
    made.said = {.revision = order->revision,
                 .paused = order->paused,
                 .continued = order->continued,
                 .aborted = order->aborted,
                 .by = order->by};
  return made;
}

Task<> Pass::carry_out(Ensure ensure) {
  Tracked& revision = *find(ensure.revision);
  const auto& entity = revision.entity;
  const bool own = target_.made && target_.revision == ensure.revision;
  std::string problem;
  try {
    engine::GroupSpec group{.id = entity.uid(), .workload = {}, .count = ensure.count};
    group.workload = co_await workload_of(core_, deployment_, entity, own ? target_.prepared.get() : nullptr);
    co_await core_.settings.engine.ensure(std::move(group));
    fault_point("deploy.group-ensured");
  } catch (const Error& error) {
    if (!is_permanent(error.code())) throw;
    problem = error.message();
  }
  const bool serves = entity.status.phase == Phase::Serving;
  if (!problem.empty()) {
    look_again(kProblemRetry);
    if (!serves && ensure.revision == target_.revision) {
      fail(revision, problem);
    } else {
      override_ = {Deployment::Phase::Degraded,
                   fmt::format("revision {} cannot be started: {}", ensure.revision, problem)};
    }
    co_return;
  }
  memory_.shrinking.erase(ensure.revision);
  const bool grows = !revision.group || revision.group->wanted < ensure.count;
  if (revision.group) revision.group->wanted = ensure.count;
  if (serves || entity.status.phase == Phase::Failed) co_return;  // which still has a share of the traffic
  auto& status = revision.status();
  if (grows) status.progressed = core_.now();
  if (status.phase != Phase::Starting || !revision.group) status.started = core_.now();
  status.phase = Phase::Starting;
  status.ended.reset();
}

void Pass::fail(Tracked& revision, std::string reason) {
  cancel_hook(revision, reason);
  auto& status = revision.status();
  status.phase = Phase::Failed;
  status.message = std::move(reason);
  log::info("deploy", "{} {}: revision {} failed: {}", deployment_.project(), deployment_.name(),
            revision.number(), status.message);
  look_again(Duration{0});
}

// What the revisions will be when all is done; the traffic follows from it.
void Pass::plan_ahead(const Action& action) {
  const auto now = core_.now();
  if (const auto* serve = std::get_if<Serve>(&action)) {
    for (auto& each : all_)
      if (each.number() != serve->revision &&
          (each.entity.status.phase == Phase::Serving ||
           (each.entity.status.weight > 0 && each.entity.status.phase != Phase::Draining)))
        drain(each);
    auto& status = find(serve->revision)->status();
    status.phase = Phase::Serving;
    status.serving_since = now;
    status.draining_since.reset();
    status.weight = 100;
    status.message.clear();
    look_again(Duration{0});
  } else if (const auto* shift = std::get_if<Shift>(&action)) {
    auto& status = find(shift->revision)->status();
    status.weight = shift->weight;
    status.progressed = now;
    look_again(Duration{0});
  } else if (const auto* hook = std::get_if<RunHook>(&action)) {
    claim_hook(*find(hook->revision), "before", hook->number);
  } else if (const auto* withdraw = std::get_if<Withdraw>(&action)) {
    drain(*find(withdraw->revision));
    look_again(Duration{0});
  } else if (const auto* shrink = std::get_if<Shrink>(&action)) {
    memory_.shrinking[shrink->revision] = {.since = now, .to = shrink->to};
    look_again(Duration{0});
  } else if (const auto* failed = std::get_if<Fail>(&action)) {
    fail(*find(failed->revision), failed->reason);
  } else if (const auto* end = std::get_if<End>(&action)) {
    cancel_hook(*find(end->revision), "another revision took the place of its own");
    auto& status = find(end->revision)->status();
    status.phase = Phase::Retired;
    status.ended = now;
    look_again(Duration{0});
  } else if (const auto* retire = std::get_if<Retire>(&action)) {
    leaving_.insert(retire->revision);
  }
}

// What serves has the rest.
void Pass::settle_weight() {
  auto* now = serving();
  if (!now) return;
  int rest = 100;
  for (const auto& each : all_)
    if (&each != now) rest -= each.entity.status.weight;
  rest = std::max(rest, 0);
  if (now->entity.status.weight != rest) now->status().weight = rest;
}

void Pass::drain(Tracked& revision) {
  auto& status = revision.status();
  if (status.phase != Phase::Failed) status.phase = Phase::Draining;
  status.draining_since = core_.now();
  status.weight = 0;
}

std::optional<RolloutStatus> Pass::rollout_status() {
  const auto* next = coming();
  if (!next || !serving()) return {};
  RolloutStatus made{.revision = next->number(),
                     .steps = static_cast<int>(wanted_.stages.size()),
                     .weight = next->entity.status.weight};
  made.waiting = decision_.waits;
  made.until = decision_.until;
  made.previews = previews_;
  if (!decision_.standing) return made;
  made.step = decision_.standing->stage;
  made.since = decision_.standing->since;
  const auto& before = deployment_.status.rollout;
  if (before && before->revision == made.revision && before->step == made.step) {
    made.answers = observed_.coming.all;
    made.errors = observed_.coming.errors;
    made.serving_answers = observed_.serving.all;
    made.serving_errors = observed_.serving.errors;
  }
  return made;
}

Deployment::Status Pass::status() {
  Deployment::Status made;
  made.observed_generation = deployment_.record->generation;
  made.phase = decision_.phase;
  made.message = decision_.message;
  if (override_) std::tie(made.phase, made.message) = *override_;
  const auto* now = serving();
  if (!target_.problem.empty()) {
    made.phase = target_.waits ? Deployment::Phase::Progressing : Deployment::Phase::Failed;
    made.message = target_.problem;
    if (now) made.message += fmt::format("; revision {} goes on serving", now->number());
    look_again(target_.waits ? std::chrono::seconds{5} : kProblemRetry);
  }
  if (!all_.empty()) made.latest = all_.back().number();
  if (now) {
    made.serving = now->number();
    if (now->group)
      made.ready = static_cast<int>(
          std::ranges::count(now->group->instances, engine::Phase::Ready, &engine::InstanceView::phase));
    if (made.phase == Deployment::Phase::Healthy && !after_hook_.empty()) {
      made.phase = Deployment::Phase::Progressing;
      made.message = after_hook_;
    } else if (made.phase == Deployment::Phase::Healthy && !now->entity.status.hook_failure.empty()) {
      made.phase = Deployment::Phase::Degraded;
      made.message =
          fmt::format("revision {} serves, but {}", now->number(), now->entity.status.hook_failure);
    }
  }
  for (const auto& each : all_)
    if (each.entity.status.phase == Phase::Failed && each.number() > made.serving)
      made.failed = each.number();
  made.urls = urls_;
  made.address = memory_.address;
  made.rollout = rollout_status();
  tell_of_next(*core_.snapshot(), deployment_, made);
  return made;
}

Task<> Pass::record(const std::optional<Error>& problem) {
  store::Transaction transaction;
  if (!problem) {
    transaction = std::move(claims_);
    for (auto& each : all_) {
      auto& status = each.entity.status;
      if (status.phase == Phase::Failed && !status.ended && !each.group && !each.changed)
        each.status().ended = core_.now();
      if (each.changed) transaction.put_status(each.entity.key(), encode_status<Revision>(status));
    }
    const auto snapshot = core_.snapshot();
    record_routes(*snapshot, transaction);
  }
  auto made = status();
  if (problem) {
    made = deployment_.status;
    made.message = problem->message();
  }
  auto text = encode_status<Deployment>(made);
  if (text != deployment_.record->status) transaction.put_status(deployment_.key(), std::move(text));
  if (!transaction.empty()) {
    co_await core_.settings.store.commit(std::move(transaction));
    fault_point("deploy.recorded");
  }
  if (!problem) co_await forget_old();
}

// Retired revisions beyond the history that the environment's type keeps.
Task<> Pass::forget_old() {
  const auto snapshot = core_.snapshot();
  const auto keep = static_cast<std::size_t>(policy_of(*snapshot, environment_.spec).history);
  std::vector<const Tracked*> over;
  for (const auto& each : all_) {
    const auto& status = each.entity.status;
    const bool restored = deployment_.spec.restored && deployment_.spec.restored->revision == each.number();
    if ((status.phase == Phase::Retired || status.phase == Phase::Failed) && status.ended && !restored &&
        each.number() != target_.revision && &each != &all_.back())
      over.push_back(&each);
  }
  if (over.size() <= keep) co_return;
  over.resize(over.size() - keep);
  store::Transaction transaction;
  for (const auto* each : over) {
    co_await core_.settings.engine.remove_logs(each->entity.uid());
    transaction.erase(each->entity.key());
  }
  co_await core_.settings.store.commit(std::move(transaction));
}

Task<control::Outcome> Core::reconcile_deployment(Key id) {
  const auto view = snapshot();
  const auto record = view->get(id);
  if (!record) {
    fed(id);
    co_return control::Outcome{};
  }
  auto deployment = decode<Deployment>(record);
  if (deployment.deleting()) {
    const auto outcome = co_await tear_down(*this, std::move(deployment));
    fed(id);
    co_return outcome;
  }

  const auto environment = view->get(key<Environment>(id.project, deployment.spec.environment));
  const auto project = view->get(key<Project>({}, id.project));
  if (!environment || environment->deleted || !project || project->deleted) {
    fed(id);
    co_return control::Outcome{};  // it goes, too
  }
  if (decode<Project>(project).status.user_base == 0)
    co_return control::Outcome{};                                             // its controller sees to it
  if (co_await deploy_next(*this, deployment)) co_return control::Outcome{};  // told of by the store
  Pass pass{*this, std::move(deployment), decode<Environment>(environment)};
  co_return co_await pass.run();
}

}  // namespace tow::deploy
