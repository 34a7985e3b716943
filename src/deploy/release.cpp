// SPDX-License-Identifier: Apache-2.0
// deployments.deploy: a release, an image or another environment's release into an environment.
#include <algorithm>

#include "base/ids.hpp"
#include "deploy/change.hpp"
#include "deploy/names.hpp"
#include "deploy/order.hpp"
#include "deploy/planning.hpp"
#include "deploy/target.hpp"
#include "deploy/workload.hpp"
#include "model/score_infer.hpp"

namespace tow::deploy {
namespace {

struct Chosen {
  std::string name;
  Release::Spec release;
  std::string message;  // what was inferred
};

Task<Chosen> take_release(Core& core, const std::string& project, const std::string& component,
                          std::string name) {
  const auto record = co_await core.settings.store.find(key<Release>(project, name));
  if (!record) throw fail(Code::NotFound, "there is no release {} in {}", name, project);
  Chosen chosen{.name = std::move(name), .release = decode<Release>(record).spec, .message = {}};
  if (chosen.release.component != component)
    throw fail(Code::Invalid, "the release {} is of {}, not of {}", chosen.name, chosen.release.component,
               component);
  co_return chosen;
}

Task<Chosen> take_from(Core& core, const std::string& project, const DeployInput& input) {
  const auto name = deployment_name(input.component, input.from);
  const auto snapshot = core.snapshot();
  const auto deployment = need_deployment(*snapshot, key<Deployment>(project, name));
  // What runs there, rather than what may have failed there.
  auto release = deployment.spec.release;
  if (const auto record =
          snapshot->get(key<Revision>(project, revision_name(name, deployment.status.serving))))
    release = decode<Revision>(record).spec.release;
  co_return co_await take_release(core, project, input.component, release);
}

// The document that was given, else that of the component's last release, else an inferred one.
Task<Node> score_for_image(Core& core, const std::string& project, const DeployInput& input,
                           const image::Image& image, std::string& message) {
  if (!input.score.is_null()) co_return score::write(score::read(input.score));
  const auto component = core.snapshot()->get(key<Component>(project, input.component));
  if (component) {
    const auto last = decode<Component>(component).status.release;
    const auto record =
        last.empty() ? RecordPtr{} : co_await core.settings.store.find(key<Release>(project, last));
    if (record) {
      message = fmt::format("the Score document is that of the release {}", last);
      co_return decode<Release>(record).spec.score;
    }
  }
  score::Facts facts{.name = input.component, .port = {}};
  if (!image.exposed_ports.empty()) facts.port = std::ranges::min(image.exposed_ports);
  message = facts.port ? fmt::format("no Score document: it is taken to serve HTTP on port {}, with a route",
                                     *facts.port)
                       : "no Score document, and the image exposes no port: it is taken to serve nothing";
  co_return score::write(score::infer(facts));
}

Task<Chosen> make_release(Core& core, const api::Call& call, const DeployInput& input) {
  const auto& project = call.target.project;
  const auto image = co_await core.settings.images.ensure(input.image, [](std::string_view) {});
  Chosen chosen;
  chosen.release = {.component = input.component,
                    .repository = {},
                    .commit = {},
                    .build = {},
                    .image = image.id,
                    .digest = image.digest,
                    .reference = input.image,
                    .images = {},
                    .score = {},
                    .root = {},
                    .files = {},
                    .by = call.subject.name};
  chosen.release.score = co_await score_for_image(core, project, input, image, chosen.message);
  for (const auto& reference : score::further_images(score::read_stored(chosen.release.score))) {
    const auto further = co_await core.settings.images.ensure(reference, [](std::string_view) {});
    chosen.release.images.push_back({.reference = reference, .image = further.id, .digest = further.digest});
  }
  // The same images with the same document are the same release.
  auto content = fmt::format("{}\n{}", image.id, to_json(chosen.release.score));
  for (const auto& further : chosen.release.images) content += '\n' + further.image;
  chosen.name = fmt::format("{}.i{}", input.component, sha256_hex(content).substr(0, 12));
  co_return chosen;
}

Task<Chosen> choose(Core& core, const api::Call& call, const DeployInput& input) {
  const int ways = !input.release.empty() + !input.image.empty() + !input.from.empty();
  if (ways != 1)
    throw fail(Code::Invalid,
               "{}: say what to deploy, by one of a release, an image and an environment to take it from",
               ways == 0 ? "nothing is named" : "more than one is named");
  if (!input.release.empty())
    co_return co_await take_release(core, call.target.project, input.component, input.release);
  if (!input.from.empty()) co_return co_await take_from(core, call.target.project, input);
  co_return co_await make_release(core, call, input);
}

Entity<Environment> need_environment(const store::Snapshot& snapshot, const std::string& project,
                                     const std::string& name) {
  const auto owner = snapshot.get(key<Project>({}, project));
  if (!owner) throw fail(Code::NotFound, "there is no project {}", project);
  if (owner->deleted) throw fail(Code::FailedPrecondition, "the project {} is being destroyed", project);
  const auto record = snapshot.get(key<Environment>(project, name));
  if (!record) {
    std::vector<std::string> known;
    for (const auto& each : snapshot.list(
             {.kind = std::string{Environment::kind}, .project = project, .owner = {}, .labels = {}}))
      known.push_back(each->key.name);
    throw fail(Code::NotFound, "there is no environment {} in {}{}", name, project,
               known.empty() ? "" : fmt::format("; there is {}", fmt::join(known, ", ")));
  }
  if (record->deleted) throw fail(Code::FailedPrecondition, "{} is being destroyed", name);
  return decode<Environment>(record);
}

// What a deployment becomes.
Deployment::Spec wanted_spec(const DeployInput& input, const Chosen& chosen,
                             const std::optional<Entity<Deployment>>& before, const api::Call& call) {
  Deployment::Spec spec;
  if (before) spec = before->spec;
  const bool push = input.cause == "push";
  if (before && spec.lock) throw refusal(*before);
  if (before && spec.hold && push)
    throw fail(Code::FailedPrecondition,
               "{} is held since a rollback: pushes do not change it; `tow deploy`, or the operation "
               "deployments.unhold, lifts that",
               before->name());
  spec.component = input.component;
  spec.environment = input.environment;
  spec.release = chosen.name;
  // What towpath.yaml says: told by the push, or kept with the release.
  EnvironmentSetting said;
  const bool speaks = push || chosen.release.settings;
  if (chosen.release.settings)
    if (const auto found = chosen.release.settings->find(input.environment);
        found != chosen.release.settings->end())
      said = found->second;
  if (input.scale) said.scale = input.scale;
  if (input.strategy) said.strategy = input.strategy;
  if (input.hooks) said.hooks = *input.hooks;
  if (input.jobs) said.jobs = *input.jobs;
  if (spec.scale_by != SetBy::Person && (said.scale || speaks)) {
    spec.scale = said.scale.value_or(1);
    spec.scale_by = said.scale ? SetBy::Manifest : SetBy::Default;
  }
  if (said.strategy || speaks) spec.strategy = said.strategy.value_or(Strategy{});
  if (input.hooks || speaks) spec.hooks = said.hooks;
  if (input.jobs || speaks) spec.jobs = said.jobs;
  if (!input.overrides.is_null())
    spec.overrides = input.overrides;
  else if (chosen.release.settings)
    spec.overrides = said.overrides;
  if (spec.overrides.map() && spec.overrides.map()->empty()) spec.overrides = {};
  spec.restored.reset();
  spec.next.reset();
  if (!push) spec.hold = false;
  spec.cause = input.cause;
  spec.by = call.subject.name;
  return spec;
}

// Everything that would keep it from running is said before anything is changed.
Task<> check(Core& core, const std::string& project, const Entity<Environment>& environment,
             const Chosen& chosen, Deployment::Spec spec, const std::optional<Entity<Deployment>>& before) {
  const auto snapshot = core.snapshot();
  const auto document = document_of(chosen.release, spec.overrides);
  const PlanInput input{.project = project,
                        .environment = spec.environment,
                        .component = spec.component,
                        .domain = core.settings.domain(),
                        .release = &chosen.release,
                        .document = &document};
  const auto required =
      score::required_configuration(document, chosen.release.root, reader_of(chosen.release));
  std::vector<std::string> names;
  for (const auto& each : required) names.push_back(each.name);
  const auto scopes = read_scopes(*snapshot, project, spec.environment, spec.component);
  const auto values = values_of(resolve(names, scopes, {}));
  Reading reading;
  check_jobs(spec.jobs, {}, reading);
  for (const auto& each : required) {
    if (values.contains(each.name)) continue;
    auto step = reading.into(each.path);
    reading.fault_at(
        each.at, fmt::format("\"{}\" is not set for {} in {}; set it with tow config set or tow secret set",
                             each.name, spec.component, spec.environment));
  }
  reading.finish(deployment_name(spec.component, spec.environment));

  const auto neighbours = co_await find_neighbours(core.settings.store, input);
  if (!neighbours.missing.empty()) co_return;  // they may be on their way; the rollout waits for them
  const auto plan = make_plan(input, values, neighbours);
  Revision::Spec revision;
  record_plan(plan, input.domain, spec.environment, revision);
  WorkloadPlace place{.project = project,
                      .environment = spec.environment,
                      .environment_uid = environment.uid(),
                      .user_base = 0,
                      .policy = policy_of(*snapshot, environment.spec),
                      .volumes = {}};
  for (const auto& mount : mounts_of(plan)) place.volumes[mount.volume] = "claimed";
  workload(plan, chosen.release, place);  // for what it refuses
  if (revision.exclusive && spec.scale > 1)
    throw fail(Code::Invalid, "{} writes to a volume, so it can have one instance, not {}", spec.component,
               spec.scale);
  for (const auto& route : revision.routes)
    if (const auto other = taken_by(*snapshot, route, before ? before->uid() : std::string{}))
      throw fail(Code::FailedPrecondition, "{}{} leads to {} already", route.host, route.path, *other);
}

std::string say(const Chosen& chosen, const std::optional<Entity<Deployment>>& before) {
  auto message = chosen.message;
  if (before && before->spec.restored) {
    if (!message.empty()) message += "; ";
    message += fmt::format(
        "it had been rolled back to revision {}; this deploys again, with the configuration that is "
        "set now",
        before->spec.restored->revision);
  }
  return message;
}

}  // namespace

Task<DeployOutput> Core::deploy(api::Call call, DeployInput input) {
  const auto& project = call.target.project;
  if (!is_name(input.component))
    throw fail(Code::Invalid, "\"{}\" is no component's name: {}", input.component, kNameRule);
  need_environment(*snapshot(), project, input.environment);
  const auto chosen = co_await choose(*this, call, input);
  const auto id = key<Deployment>(project, deployment_name(input.component, input.environment));
  for (int attempt = 1;; ++attempt) {
    const auto view = snapshot();
    const auto environment = need_environment(*view, project, input.environment);
    std::optional<Entity<Deployment>> before;
    if (view->get(id)) before = need_deployment(*view, id);
    auto spec = wanted_spec(input, chosen, before, call);
    co_await check(*this, project, environment, chosen, spec, before);
    if (auto next = in_order(*view, call, input, chosen.name, chosen.release.depends_on))
      spec = waiting_spec(input, before, std::move(*next));

    store::Transaction transaction;
    const auto release = key<Release>(project, chosen.name);
    const auto component = view->get(key<Component>(project, input.component));
    std::string component_uid = component ? component->uid : new_uid();
    if (component && component->deleted)
      throw fail(Code::FailedPrecondition, "{} is being destroyed", input.component);
    if (!component) {
      auto record = draft<Component>(project, input.component, {});
      record.uid = component_uid;
      record.finalizers = {std::string{kFinalizer}};
      transaction.create(std::move(record));
    }
    const auto made = co_await settings.store.find(release);
    if (!made) {
      auto record = draft<Release>(project, chosen.name, chosen.release);
      record.owner = component_uid;
      transaction.create(std::move(record));
    }
    const Component::Status newest{.release = chosen.name};
    if (input.release.empty() && input.from.empty())
      transaction.put_status(key<Component>(project, input.component), encode_status<Component>(newest));
    DeployOutput output{
        .deployment = id.name, .generation = 1, .release = chosen.name, .message = say(chosen, before)};
    if (before) {
      // What failed is tried again when it is asked for again.
      const bool failed = before->status.failed == before->status.latest && before->status.latest != 0;
      auto same = before->spec;
      same.cause = spec.cause;
      same.by = spec.by;
      if (failed && encode_spec<Deployment>(same) == encode_spec<Deployment>(spec))
        spec.restarted = std::max(now(), spec.restarted.value_or(TimePoint{}) + Duration{1});
      auto text = encode_spec<Deployment>(spec);
      output.generation = before->record->generation + (text == before->record->spec ? 0 : 1);
      transaction.put_spec(id, std::move(text), before->record->revision);
    } else {
      transaction.add_finalizer(environment.key(), std::string{kFinalizer});
      auto record = draft<Deployment>(project, id.name, spec);
      record.owner = environment.uid();
      record.labels = deployment_labels(input.component, input.environment);
      record.finalizers = {std::string{kFinalizer}};
      transaction.create(std::move(record));
    }
    try {
      co_await settings.store.commit(std::move(transaction));
      co_return output;
    } catch (const Error& error) {
      const bool race = error.code() == Code::Conflict || error.code() == Code::AlreadyExists;
      if (!race || attempt == kAttempts) throw;
    }
  }
}

}  // namespace tow::deploy
