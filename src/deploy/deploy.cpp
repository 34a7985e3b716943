// SPDX-License-Identifier: Apache-2.0
// What deploy offers: its controllers and its operations, each on a line.
#include "deploy/deploy.hpp"

#include <algorithm>

#include "base/ids.hpp"
#include "deploy/core.hpp"
#include "deploy/names.hpp"
#include "deploy/schedules.hpp"

namespace tow::deploy {
namespace {

using api::Operation;
using api::Permission;
using api::Repeat;
using api::StreamOperation;
using api::Target;
using api::TerminalOperation;
using control::Controller;

using Keys = std::function<std::vector<Key>(const Record&)>;

std::vector<Key> deployments_in(const store::Snapshot& snapshot, const std::string& project, Labels labels) {
  std::vector<Key> keys;
  for (const auto& record : snapshot.list({.kind = std::string{Deployment::kind},
                                           .project = project,
                                           .owner = {},
                                           .labels = std::move(labels)}))
    keys.push_back(record->key);
  return keys;
}

// The deployments that see what a scope sets.
std::vector<Key> deployments_of_scope(const Core& core, const std::string& project,
                                      const std::string& scope) {
  if (scope == kProjectScope) return deployments_in(*core.snapshot(), project, {});
  if (scope.find('.') != std::string::npos) return {key<Deployment>(project, scope)};
  return deployments_in(*core.snapshot(), project, {{"environment", scope}});
}

Keys environment_of() {
  return [](const Record& record) -> std::vector<Key> {
    const auto found = record.labels.find("environment");
    if (found == record.labels.end()) return {};
    return {key<Environment>(record.key.project, found->second)};
  };
}

Controller deployments_controller(std::shared_ptr<Core> core) {
  const auto with_waiting = [core](const Record& record) {
    auto keys = core->waiting_in(record.key.project);
    if (record.key.kind == Deployment::kind) keys.push_back(record.key);
    return keys;
  };
  return {
      .name = "deployments",
      .watches = {{std::string{Deployment::kind}, with_waiting},
                  {std::string{Component::kind}, with_waiting},
                  {std::string{Job::kind},
                   [](const Record& record) -> std::vector<Key> {
                     if (!record.labels.contains(std::string{kHookLabel})) return {};
                     return {key<Deployment>(record.key.project,
                                             decode<Job>(std::make_shared<Record>(record)).spec.deployment)};
                   }},
                  {std::string{Project::kind},
                   [core](const Record& record) {
                     return deployments_in(*core->snapshot(), record.key.name, {});
                   }},
                  {std::string{Configuration::kind},
                   [core](const Record& record) {
                     return deployments_of_scope(*core, record.key.project, record.key.name);
                   }},
                  {std::string{Secret::kind},
                   [core](const Record& record) -> std::vector<Key> {
                     const auto scope = record.labels.find("scope");
                     if (scope == record.labels.end()) return {};
                     return deployments_of_scope(*core, record.key.project, scope->second);
                   }},
                  {std::string{Platform::kind},
                   [core](const Record&) { return deployments_in(*core->snapshot(), {}, {}); }}},
      .reconcile = [core](Key id) { return core->reconcile_deployment(std::move(id)); },
      .concurrency = 16};
}

template <class Reconcile>
Controller plain(std::string name, std::shared_ptr<Core> core, std::vector<Controller::Watched> watches,
                 Reconcile reconcile, std::size_t concurrency = 4) {
  return {.name = std::move(name),
          .watches = std::move(watches),
          .reconcile = [core, reconcile](Key id) { return (core.get()->*reconcile)(std::move(id)); },
          .concurrency = concurrency};
}

void check_name(const Record* after) {
  if (after && !is_name(after->key.name))
    throw fail(Code::Invalid, "\"{}\" is not a name: {}", after->key.name, kNameRule);
}

}  // namespace

Deployments::Deployments(Settings settings) : core_{std::make_shared<Core>(std::move(settings))} {}

Deployments::~Deployments() {
  const std::lock_guard lock{core_->mutex};
  core_->poker = nullptr;
}

Task<> Deployments::start() {
  const auto snapshot = core_->snapshot();
  store::Transaction transaction;
  const auto type = [&](const std::string& name, const std::string& description) {
    if (snapshot->get(key<EnvironmentType>({}, name))) return;
    EnvironmentType::Spec spec;
    spec.description = description;
    transaction.create(draft<EnvironmentType>({}, name, spec));
  };
  type("development", "Where work is tried out: every push to its branch is deployed.");
  type("production", "Where users are.");
  if (!transaction.empty()) co_await core_->settings.store.commit(std::move(transaction));

  const std::lock_guard lock{core_->mutex};
  for (auto& id : deployments_in(*snapshot, {}, {})) core_->unfed.insert(std::move(id));
}

std::vector<Controller> Deployments::controllers() {
  const auto watched = [](auto... kinds) {
    return std::vector<Controller::Watched>{{std::string{kinds}, {}}...};
  };
  std::vector<Controller> all;
  // One at a time: each takes a range of users that no other has.
  all.push_back(plain("projects", core_, watched(Project::kind), &Core::reconcile_project, 1));
  all.push_back(plain("environments", core_,
                      {{std::string{Environment::kind}, {}},
                       {std::string{Deployment::kind}, environment_of()},
                       {std::string{Volume::kind}, environment_of()}},
                      &Core::reconcile_environment));
  all.push_back(plain("components", core_, watched(Component::kind), &Core::reconcile_component));
  all.push_back(deployments_controller(core_));
  all.push_back(plain("instances", core_, watched(Deployment::kind), &Core::reconcile_instances));
  all.push_back(plain("volumes", core_, watched(Volume::kind), &Core::reconcile_volume));
  all.push_back(plain("jobs", core_, watched(Job::kind), &Core::reconcile_job));
  all.push_back(plain("orphans", core_, {}, &Core::reconcile_orphan));
  all.push_back(plain("settle", core_, {}, &Core::settle_router));
  std::ranges::move(schedule_controllers(core_), std::back_inserter(all));
  return all;
}

void Deployments::connect(control::Runtime& runtime) {
  {
    const std::lock_guard lock{core_->mutex};
    core_->poker = [&runtime](std::string_view controller, Key key) {
      runtime.poke(controller, std::move(key));
    };
  }
  core_->settings.engine.observe([weak = std::weak_ptr<Core>{core_}](const std::string& id) {
    if (const auto core = weak.lock()) core->engine_saw(id);
  });
  for (const auto& group : core_->settings.engine.groups()) core_->engine_saw(group.id);
  bool nothing_to_feed = false;
  {
    const std::lock_guard lock{core_->mutex};
    nothing_to_feed = core_->unfed.empty();
  }
  if (nothing_to_feed) core_->poke("settle", {"Router", {}, "router"});
}

Task<DeployOutput> Deployments::deploy(api::Call call, DeployInput input) {
  return core_->deploy(std::move(call), std::move(input));
}

std::vector<std::string> Deployments::missing_configuration(
    const std::string& project, const std::string& environment, const std::string& component,
    const std::vector<score::RequiredName>& names) const {
  std::vector<std::string> wanted, missing;
  for (const auto& each : names) wanted.push_back(each.name);
  const auto scopes = read_scopes(*core_->snapshot(), project, environment, component);
  for (const auto& [name, resolved] : resolve(wanted, scopes, {}))
    if (!resolved.value) missing.push_back(name);
  return missing;
}

void Deployments::add_operations(api::Api& api) {
  const auto core = core_;
  api.add(Operation<DeployInput, DeployOutput>{
      .name = "deployments.deploy",
      .target = Target::Collection,
      .help = "Deploy a release, an image, or what another environment runs.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, DeployInput input) {
        return core->deploy(std::move(call), std::move(input));
      }});
  api.add(Operation<RollbackInput, RollbackOutput>{
      .name = "deployments.rollback",
      .help = "Return to an earlier revision: release and configuration together.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Unsafe,
      .run = [core](api::Call call, RollbackInput input) {
        return core->roll_back(std::move(call), input);
      }});
  api.add(Operation<ScaleInput, Accepted>{
      .name = "deployments.scale",
      .help = "Set the number of instances; pushes do not change it any more.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, ScaleInput input) { return core->scale(std::move(call), input); }});
  api.add(Operation<Nothing, Accepted>{
      .name = "deployments.restart",
      .help = "Replace the instances by new ones of the same content, without a gap.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Unsafe,
      .run = [core](api::Call call, Nothing) { return core->restart(std::move(call)); }});
  api.add(Operation<Nothing, Accepted>{
      .name = "deployments.unhold",
      .help = "Take pushes again after a rollback that holds.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return core->unhold(std::move(call)); }});
  api.add(Operation<LockInput, Accepted>{
      .name = "deployments.lock",
      .help = "Refuse everything that would deploy, until it is unlocked; whoever is refused is told why.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, LockInput input) {
        return core->lock(std::move(call), std::move(input));
      }});
  api.add(Operation<Nothing, Accepted>{
      .name = "deployments.unlock",
      .help = "Take deployments again.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return core->unlock(std::move(call)); }});
  api.add(Operation<Nothing, Accepted>{
      .name = "deployments.pause",
      .help = "The rollout stays where it is.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return core->pause(std::move(call)); }});
  api.add(Operation<Nothing, Accepted>{
      .name = "deployments.continue",
      .help = "The rollout goes on: after a pause, or to its next step at once.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Unsafe,
      .run = [core](api::Call call, Nothing) { return core->go_on(std::move(call)); }});
  api.add(Operation<Nothing, Accepted>{
      .name = "deployments.abort",
      .help = "The new revision is taken back; what served before goes on.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return core->abort(std::move(call)); }});
  api.add(Operation<Nothing, History>{
      .name = "deployments.history",
      .help = "The revisions, newest first, each with what it changed.",
      .permission = Permission::Read,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return core->history(std::move(call)); }});
  api.add(Operation<Nothing, ConfigurationView>{
      .name = "deployments.configuration",
      .help = "Every value that the component sees, where it comes from and what it overrides.",
      .permission = Permission::Read,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return core->configuration(std::move(call)); }});
  api.add(StreamOperation<FollowInput, Progress>{
      .name = "deployments.follow",
      .help = "How the rollout goes, until it has ended.",
      .permission = Permission::Read,
      .run = [core](api::Call call, FollowInput input, std::function<Task<>(const Progress&)> sink) {
        return core->follow(std::move(call), input, std::move(sink));
      }});
  api.add(
      TerminalOperation<ExecInput>{.name = "deployments.exec",
                                   .help = "Run a command in an instance.",
                                   .permission = Permission::Deploy,
                                   .run = [core](api::Call call, ExecInput input, api::Terminal& terminal) {
                                     return core->exec(std::move(call), std::move(input), terminal);
                                   }});
  api.add(TerminalOperation<ExecInput>{
      .name = "deployments.run",
      .help = "Run a command to its end beside the instances, with their image and configuration.",
      .permission = Permission::Deploy,
      .run = [core](api::Call call, ExecInput input, api::Terminal& terminal) {
        return core->run(std::move(call), std::move(input), terminal);
      }});
  api.add(Operation<ConfigureInput, Accepted>{
      .name = "configurations.set",
      .target = Target::Collection,
      .help = "Set and unset configuration of a project, an environment, or a component in one.",
      .permission = Permission::Configure,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, ConfigureInput input) {
        return core->configure(std::move(call), std::move(input));
      }});
  api.add(Operation<SecretInput, Accepted>{.name = "secrets.set",
                                           .target = Target::Collection,
                                           .help = "Seal a value, as a new version of a secret.",
                                           .permission = Permission::Configure,
                                           .repeat = Repeat::Unsafe,
                                           .run = [core](api::Call call, SecretInput input) {
                                             return core->set_secret(std::move(call), std::move(input));
                                           }});
  api.add(Operation<SecretName, Accepted>{.name = "secrets.remove",
                                          .target = Target::Collection,
                                          .help = "Take a secret away.",
                                          .permission = Permission::Configure,
                                          .repeat = Repeat::Safe,
                                          .run = [core](api::Call call, SecretName input) {
                                            return core->remove_secret(std::move(call), std::move(input));
                                          }});
  api.add(Operation<Nothing, SecretList>{
      .name = "secrets.list",
      .target = Target::Collection,
      .help = "The secrets of a project, without their values.",
      .permission = Permission::Read,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return core->list_secrets(std::move(call)); }});

  add_schedule_operations(api, core);

  api.admit("Project", [](const api::Call&, const Record*, const Record* after) { check_name(after); });
  api.admit("Environment", [core](const api::Call&, const Record*, const Record* after) {
    if (!after) return;
    check_name(after);
    if (after->key.name == kProjectScope)
      throw fail(Code::Invalid, "no environment may be called \"{}\": that is the scope of the whole project",
                 kProjectScope);
    const auto spec = read_stored<Environment::Spec>(after->spec);
    if (!core->snapshot()->get(key<EnvironmentType>({}, spec.type)))
      throw fail(Code::NotFound, "there is no environment type {}", spec.type);
  });
  api.admit("EnvironmentType", [core](const api::Call&, const Record* before, const Record* after) {
    check_name(after);
    if (after || !before) return;
    for (const auto& record : core->snapshot()->list(
             {.kind = std::string{Environment::kind}, .project = {}, .owner = {}, .labels = {}}))
      if (decode<Environment>(record).spec.type == before->key.name)
        throw fail(Code::FailedPrecondition, "{} of {} is of this type", record->key.name,
                   record->key.project);
  });
}

}  // namespace tow::deploy
