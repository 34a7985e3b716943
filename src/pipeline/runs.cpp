// SPDX-License-Identifier: Apache-2.0
// PipelineRuns: plan, build, release, deploy, watch; one step at a time, each recorded.
#include <algorithm>

#include "base/fault.hpp"
#include "base/ids.hpp"
#include "model/score_infer.hpp"
#include "pipeline/state.hpp"

namespace tow::pipeline {
namespace {

// What towpath.yaml says of a component in an environment.
const manifest::Setting* setting_of(const CommitPlan& plan, const std::string& component) {
  if (!plan.environment) return nullptr;
  const auto environment = plan.manifest.environments.find(*plan.environment);
  if (environment == plan.manifest.environments.end()) return nullptr;
  const auto found = environment->second->components.find(component);
  return found == environment->second->components.end() ? nullptr : &found->second.value;
}

// What towpath.yaml says of a component, by environment.
std::map<std::string, EnvironmentSetting> settings_of(const manifest::Document& manifest,
                                                      const std::string& component) {
  std::map<std::string, EnvironmentSetting> all;
  for (const auto& [name, environment] : manifest.environments) {
    auto& made = all[name];
    const auto found = environment->components.find(component);
    if (found == environment->components.end()) continue;
    const auto& setting = *found->second;
    made.scale = setting.scale;
    if (setting.strategy) made.strategy = **setting.strategy;
    made.hooks = *setting.hooks;
    made.jobs = *setting.jobs;
    made.overrides = *setting.overrides;
  }
  return all;
}

// A commit that changes towpath.yaml alone makes no other release, but says anew how this one is run.
Task<> update_settings(store::Store& store, Key id, std::map<std::string, EnvironmentSetting> settings,
                       std::vector<std::string> depends_on) {
  const auto record = co_await store.find(id);
  if (!record) co_return;
  auto release = decode<Release>(record).spec;
  release.settings = std::move(settings);
  release.depends_on = std::move(depends_on);
  auto text = encode_spec<Release>(release);
  if (text == record->spec) co_return;
  store::Transaction transaction;
  transaction.put_spec(id, std::move(text));
  co_await store.commit(std::move(transaction));
}

std::string release_name(const std::string& inputs, const Release::Spec& release) {
  std::string all = inputs + '\n' + release.image + '\n' + to_json(release.score);
  for (const auto& [path, content] : release.files) all += '\n' + path + '\n' + sha256_hex(content);
  for (const auto& further : release.images) all += '\n' + further.image;
  return fmt::format("{}-{}", release.component.substr(0, 50), sha256_hex(all).substr(0, 10));
}

std::vector<std::string> dependencies_of(const PlannedComponent& planned) {
  std::vector<std::string> names;
  for (const auto& each : planned.settings.depends_on) names.push_back(each.value);
  return names;
}

// Whether those that it depends on have been asked for; what has failed before that ends it, too.
bool is_its_turn(const std::vector<ComponentRun>& all, const PlannedComponent& planned,
                 ComponentRun& component) {
  bool turn = true;
  for (const auto& name : dependencies_of(planned)) {
    const auto found = std::ranges::find(all, name, &ComponentRun::component);
    if (found == all.end() || !found->deployment.empty()) continue;
    turn = false;
    if (!ended(found->phase)) continue;
    component.phase = found->phase;
    component.message = fmt::format("not deployed: {}, which it depends on, {}", name,
                                    found->phase == WorkPhase::Cancelled ? "was cancelled" : "failed");
    return false;
  }
  return turn;
}

std::string superseded_by(const Entity<PipelineRun>& newer) {
  return fmt::format("superseded by {}", newer.spec.commit.id.substr(0, 8));
}

// An entity that another step, or another run, has made already is as good.
Task<> create_once(store::Store& store, Record draft) {
  store::Transaction transaction;
  transaction.create(std::move(draft));
  try {
    co_await store.commit(std::move(transaction));
  } catch (const Error& error) {
    if (error.code() != Code::AlreadyExists) throw;
  }
}

}  // namespace

Task<control::Outcome> Pipeline::State::reconcile_run(Key key) {
  const auto run = co_await find<PipelineRun>(settings.store, key.project, key.name);
  if (!run || run->deleting() || ended(run->status.phase)) {
    const std::lock_guard lock{mutex};
    if (run) plans.erase(run->uid()), open_runs.erase(run->uid());
    co_return control::Outcome{};
  }
  {
    const std::lock_guard lock{mutex};
    open_runs[run->uid()] = key;
  }
  if (run->status.phase == WorkPhase::Queued) co_return co_await begin_run(*run);
  co_return co_await advance_run(*run);
}

Task<> Pipeline::State::end_run(const Entity<PipelineRun>& run, PipelineRun::Status status, WorkPhase phase,
                                std::string message) {
  status.phase = phase;
  status.message = std::move(message);
  status.ended = settings.clock.now();
  store::Transaction transaction;
  transaction.put_status(run.key(), encode_status<PipelineRun>(status), run.record->revision);
  co_await settings.store.commit(std::move(transaction));
}

// A later push to the same branch, if there is one.
Task<std::optional<Entity<PipelineRun>>> Pipeline::State::newer_run(const Entity<PipelineRun>& run) {
  const auto records = co_await settings.store.query(
      {.filter = {.kind = "PipelineRun", .project = run.project()}, .limit = 500});
  for (const auto& record : records) {
    if (record->created_revision <= run.record->created_revision) break;
    auto other = decode<PipelineRun>(record);
    if (other.spec.repository == run.spec.repository && other.spec.branch == run.spec.branch) co_return other;
  }
  co_return std::nullopt;
}

Task<CommitPlan> Pipeline::State::plan_of(const Entity<PipelineRun>& run) {
  {
    const std::lock_guard lock{mutex};
    if (const auto known = plans.find(run.uid()); known != plans.end()) co_return known->second;
  }
  const auto repository = settings.store.snapshot()->get(key<Repository>(run.project(), run.spec.repository));
  const auto default_branch = repository ? decode<Repository>(repository).spec.default_branch : "main";
  CommitReader reader{settings.sources, run.project(), run.spec.repository, run.spec.commit.id};
  auto plan = co_await plan_commit(std::move(reader), run.spec.branch, default_branch);
  const std::lock_guard lock{mutex};
  plans[run.uid()] = plan;
  co_return plan;
}

// A build with the same inputs whose image is still there.
Task<std::optional<Entity<Build>>> Pipeline::State::built_before(const std::string& project,
                                                                 const PlannedComponent& planned) {
  const auto records =
      co_await settings.store.query({.filter = {.kind = "Build",
                                                .project = project,
                                                .owner = {},
                                                .labels = {{std::string{kInputsLabel}, planned.inputs}}},
                                     .limit = 10});
  for (const auto& record : records) {
    auto build = decode<Build>(record);
    if (build.spec.component != planned.name || build.status.phase != WorkPhase::Succeeded) continue;
    if (co_await settings.images.find(build.status.image)) co_return build;
  }
  co_return std::nullopt;
}

Task<control::Outcome> Pipeline::State::begin_run(Entity<PipelineRun> run) {
  auto status = run.status;
  if (const auto newer = co_await newer_run(run)) {
    co_await end_run(run, status, WorkPhase::Cancelled, superseded_by(*newer));
    co_return control::Outcome{};
  }
  CommitPlan plan;
  std::string problem;
  bool unset = false;
  try {
    plan = co_await plan_of(run);
    status.notes = plan.notes;
    if (plan.environment) {
      status.environment = *plan.environment;
      for (const auto& component : plan.components) {
        const auto required =
            score::required_configuration(component.document, component.directory,
                                          [&](const std::string& path) -> std::optional<std::string> {
                                            const auto found = component.files.find(path);
                                            if (found == component.files.end()) return {};
                                            return found->second;
                                          });
        for (const auto& name :
             settings.missing_configuration(run.project(), *plan.environment, component.name, required)) {
          status.notes.push_back(fmt::format("{} reads {}, which is not set: tow config set {}=… -e {}",
                                             component.name, name, name, *plan.environment));
          unset = true;
        }
      }
    } else {
      status.notes.push_back(fmt::format(
          "no environment is deployed from the branch {}: it is built, and can be deployed by `tow deploy`",
          run.spec.branch));
    }
  } catch (const Error& error) {
    if (error.code() != Code::Invalid && error.code() != Code::Unsupported && error.code() != Code::Exhausted)
      throw;
    for (auto& line : describe_faults(error)) status.notes.push_back(std::move(line));
    problem = error.message();
  }
  if (!problem.empty()) {
    status.started = settings.clock.now();
    co_await end_run(run, status, WorkPhase::Failed, problem);
    co_return control::Outcome{};
  }
  store::Transaction transaction;
  status.message.clear();
  if (unset) {
    status.message = "configuration is missing. Nothing was built or deployed; this goes on when it is set";
    transaction.put_status(run.key(), encode_status<PipelineRun>(status), run.record->revision);
    co_await settings.store.commit(std::move(transaction));
    co_return control::Outcome{};
  }
  status.started = settings.clock.now();

  const auto snapshot = settings.store.snapshot();
  const auto project = snapshot->get(key<Project>({}, run.project()));
  if (!project || project->deleted) {
    co_await end_run(run, status, WorkPhase::Cancelled, "the project is being destroyed");
    co_return control::Outcome{};
  }
  // Environments that towpath.yaml speaks of exist from now on, with its branch.
  for (const auto& [name, located] : plan.manifest.environments) {
    const auto branch = located->branch ? located->branch->value : "";
    const auto known = snapshot->get(key<Environment>(run.project(), name));
    if (!known) {
      auto record = draft<Environment>(
          run.project(), name,
          {.type = located->type ? located->type->value : "development", .branch = branch});
      record.owner = project->uid;
      transaction.create(std::move(record));
    } else if (auto spec = decode<Environment>(known).spec; spec.branch != branch) {
      spec.branch = branch;
      transaction.put_spec(known->key, encode_spec<Environment>(spec), known->revision);
    }
  }
  for (const auto& planned : plan.components) {
    Component::Spec spec{.repository = run.spec.repository,
                         .path = planned.settings.path.value,
                         .watch = {},
                         .inferred = planned.inferred};
    for (const auto& each : planned.settings.watch) spec.watch.push_back(each.value);
    spec.depends_on = dependencies_of(planned);
    const auto component_key = key<Component>(run.project(), planned.name);
    std::string component_uid;  // of whom the builds are, so that they go with it
    if (const auto known = snapshot->get(component_key)) {
      component_uid = known->uid;
      transaction.put_spec(component_key, encode_spec<Component>(spec));
    } else {
      auto record = draft<Component>(run.project(), planned.name, spec);
      component_uid = record.uid = new_uid();
      record.owner = project->uid;
      transaction.create(std::move(record));
    }
    ComponentRun component{.component = planned.name, .phase = WorkPhase::Running};
    if (planned.built) {
      const bool anew = run.spec.rebuild == planned.name;
      if (const auto before = anew ? std::nullopt : co_await built_before(run.project(), planned)) {
        component.build = before->name();
        component.message = "unchanged";
      } else {
        component.build = run.name() + "." + planned.name;
        Build::Spec build{
            .repository = run.spec.repository,
            .commit = run.spec.commit.id,
            .component = planned.name,
            .path = planned.settings.path.value,
            .containerfile = planned.settings.containerfile ? planned.settings.containerfile->value : "",
            .arguments = planned.settings.build_args,
            .inputs = planned.inputs};
        auto record = draft<Build>(run.project(), component.build, build);
        record.owner = component_uid;
        record.labels[std::string{kInputsLabel}] = planned.inputs;
        record.finalizers.emplace_back("pipeline");
        transaction.create(std::move(record));
      }
    }
    status.components.push_back(std::move(component));
  }
  status.phase = WorkPhase::Running;
  transaction.put_status(run.key(), encode_status<PipelineRun>(status), run.record->revision);
  co_await settings.store.commit(std::move(transaction));
  fault_point("pipeline.run-begun");
  co_return control::Outcome{};
}

Task<control::Outcome> Pipeline::State::advance_run(Entity<PipelineRun> run) {
  const auto plan = co_await plan_of(run);
  auto status = run.status;
  const auto newer = co_await newer_run(run);
  for (auto& component : status.components) {
    if (ended(component.phase)) continue;
    // What nobody has begun to build, nobody needs any more; what is begun fills the cache for the newer one.
    if (newer && component.build.starts_with(run.name() + ".")) co_await withdraw_build(run, component.build);
    const auto planned = std::find_if(plan.components.begin(), plan.components.end(),
                                      [&](const auto& each) { return each.name == component.component; });
    if (planned == plan.components.end())
      throw fail(Code::Internal, "the run's plan lost {}", component.component);
    try {
      co_await advance_component(run, *planned, status.components, component);
    } catch (const Error& error) {
      if (!is_permanent(error.code())) throw;  // it comes again with backoff
      component.phase = WorkPhase::Failed;
      component.message = error.message();
      for (const auto& fault : error.faults()) component.message += "\n" + describe(fault);
    }
  }
  const bool all = std::all_of(status.components.begin(), status.components.end(),
                               [](const auto& c) { return ended(c.phase); });
  if (!all) {
    store::Transaction transaction;
    transaction.put_status(run.key(), encode_status<PipelineRun>(status), run.record->revision);
    co_await settings.store.commit(std::move(transaction));
    co_return control::Outcome{};
  }
  WorkPhase phase = WorkPhase::Succeeded;
  for (const auto& component : status.components) phase = std::max(phase, component.phase);
  co_await end_run(run, status, phase, phase == WorkPhase::Failed ? "not every component is live" : "");
  co_return control::Outcome{};
}

Task<> Pipeline::State::withdraw_build(const Entity<PipelineRun>& run, std::string name) {
  const auto build = co_await find<Build>(settings.store, run.project(), std::move(name));
  if (!build || build->spec.cancelled || build->status.phase != WorkPhase::Queued) co_return;
  auto spec = build->spec;
  spec.cancelled = true;
  store::Transaction transaction;
  transaction.put_spec(build->key(), encode_spec<Build>(spec), build->record->revision);
  co_await settings.store.commit(std::move(transaction));
}

Task<void> Pipeline::State::advance_component(const Entity<PipelineRun>& run, const PlannedComponent& planned,
                                              const std::vector<ComponentRun>& all, ComponentRun& component) {
  if (component.release.empty() && !co_await make_release(run, planned, component)) co_return;
  if (run.status.environment.empty()) {
    component.phase = WorkPhase::Succeeded;
    co_return;
  }
  if (component.deployment.empty()) {
    if (!is_its_turn(all, planned, component)) co_return;
    co_await ask_deployment(run, planned, component);
  }
  if (!ended(component.phase)) co_await look_at_deployment(run, component);
}

// True when there is a release.
Task<bool> Pipeline::State::make_release(const Entity<PipelineRun>& run, const PlannedComponent& planned,
                                         ComponentRun& component) {
  Release::Spec release{
      .component = planned.name, .repository = run.spec.repository, .commit = run.spec.commit};
  std::optional<image::Image> image;
  if (planned.built) {
    const auto build = co_await find<Build>(settings.store, run.project(), component.build);
    if (!build || build->status.phase == WorkPhase::Failed || build->status.phase == WorkPhase::Cancelled) {
      component.phase = build ? build->status.phase : WorkPhase::Cancelled;
      component.message = build ? "the build failed: " + build->status.message : "the build is gone";
      if (build && component.phase == WorkPhase::Cancelled) {
        const auto newer = co_await newer_run(run);
        component.message = newer ? superseded_by(*newer) : "the build was cancelled";
      }
      co_return false;
    }
    if (build->status.phase != WorkPhase::Succeeded) co_return false;
    release.build = build->name();
    image = co_await settings.images.find(build->status.image);
    if (!image) throw fail(Code::NotFound, "the image of the build {} is gone from the store", build->name());
  } else {
    release.reference = score::own_image(planned.document);
    image = co_await settings.images.ensure(release.reference, [](std::string_view) {});
  }
  auto document = planned.document;
  if (planned.inferred) {
    const auto& ports = image->exposed_ports;
    document = score::infer(
        {.name = planned.name, .port = ports.size() == 1 ? std::optional{ports[0]} : std::nullopt});
  }
  release.image = image->id;
  release.digest = image->digest;
  for (const auto& reference : score::further_images(document)) {
    const auto further = co_await settings.images.ensure(reference, [](std::string_view) {});
    release.images.push_back({.reference = reference, .image = further.id, .digest = further.digest});
  }
  release.score = score::write(document);
  release.root = planned.directory;
  release.by = run.spec.by;
  for (const auto& [path, content] : planned.files) release.files[path] = base64(content);
  const auto plan = co_await plan_of(run);
  release.settings = settings_of(plan.manifest, planned.name);
  release.depends_on = dependencies_of(planned);

  component.release = release_name(planned.inputs, release);
  auto record = draft<Release>(run.project(), component.release, release);
  const auto owner = settings.store.snapshot()->get(key<Component>(run.project(), planned.name));
  if (!owner || owner->deleted) {
    component.phase = WorkPhase::Cancelled;
    component.message = "the component is being destroyed";
    co_return false;
  }
  record.owner = owner->uid;
  record.labels[std::string{kInputsLabel}] = planned.inputs;
  const Key id = record.key;
  co_await create_once(settings.store, std::move(record));
  fault_point("pipeline.release-made");
  co_await update_settings(settings.store, id, *release.settings, release.depends_on);
  store::Transaction transaction;
  transaction.put_status(owner->key, encode_status<Component>({.release = component.release}));
  co_await settings.store.commit(std::move(transaction));
  co_return true;
}

Task<void> Pipeline::State::ask_deployment(const Entity<PipelineRun>& run, const PlannedComponent& planned,
                                           ComponentRun& component) {
  // Runs of one branch look and ask one after the other: else an older one could look before a newer one
  // exists, and ask after it.
  const auto branch = fmt::format("{}/{} {}", run.project(), run.spec.repository, run.spec.branch);
  {
    const std::lock_guard lock{mutex};
    if (!asking.insert(branch).second) throw fail(Code::Conflict, "another run of {} is deploying", branch);
  }
  struct Leave {
    State& state;
    const std::string& branch;
    ~Leave() {
      const std::lock_guard lock{state.mutex};
      state.asking.erase(branch);
    }
  };
  const Leave leave{*this, branch};
  if (const auto newer = co_await newer_run(run)) {
    component.phase = WorkPhase::Cancelled;
    component.message = superseded_by(*newer);
    co_return;
  }
  const auto plan = co_await plan_of(run);
  DeployInput input{
      .component = planned.name, .environment = run.status.environment, .release = component.release};
  input.cause = "push";
  for (const auto& each : plan.components)
    if (each.name != planned.name) input.with.push_back(each.name);
  input.overrides = Node::Map{};
  if (const auto* setting = setting_of(plan, planned.name)) {
    input.scale = setting->scale;
    if (setting->strategy) input.strategy = setting->strategy->value;
    input.hooks = *setting->hooks;
    input.jobs = *setting->jobs;
    if (!setting->overrides.value.is_null()) input.overrides = setting->overrides.value;
  }
  api::Call call{.subject = {.name = run.spec.by.empty() ? "platform" : run.spec.by, .administrator = true},
                 .target = key<Deployment>(run.project(), {}),
                 .time = settings.clock.now()};
  const auto output = co_await settings.deploy(std::move(call), std::move(input));
  fault_point("pipeline.deployment-asked");
  component.deployment = output.deployment;
  component.generation = output.generation;
}

Task<void> Pipeline::State::look_at_deployment(const Entity<PipelineRun>& run, ComponentRun& component) {
  const auto record = settings.store.snapshot()->get(key<Deployment>(run.project(), component.deployment));
  if (!record || record->deleted) {
    component.phase = WorkPhase::Cancelled;
    component.message = "the deployment is being destroyed";
    co_return;
  }
  const auto deployment = decode<Deployment>(record);
  if (deployment.status.observed_generation < component.generation) co_return;
  component.revision = deployment.status.latest;
  using Phase = Deployment::Phase;
  const auto& rollout = deployment.status.rollout;
  if (rollout && rollout->waiting && deployment.status.phase == Phase::Progressing) {
    component.phase = WorkPhase::Succeeded;  // the rest is up to a person
    component.message = deployment.status.message;
  } else if (deployment.status.waits_for_person) {
    component.phase = WorkPhase::Succeeded;
    component.message = deployment.status.message;
  } else if (deployment.status.phase == Phase::Healthy) {
    component.phase = WorkPhase::Succeeded;
  } else if (deployment.status.phase == Phase::Failed || deployment.status.phase == Phase::Degraded) {
    component.phase = WorkPhase::Failed;
    component.message = deployment.status.message;
  }
}

}  // namespace tow::pipeline
