// SPDX-License-Identifier: Apache-2.0
#include "deploy/target.hpp"

#include <algorithm>

#include "deploy/names.hpp"
#include "deploy/planning.hpp"
#include "deploy/workload.hpp"

namespace tow::deploy {
namespace {

std::string problem_of(const Error& error) {
  auto text = text_of(error);
  std::ranges::replace(text, '\n', ';');
  return text;
}

// Whether the revision is what the deployment wants now. A revision names every configuration name that its
// document reads, so the document is not needed for it.
bool is_wanted(const Core& core, const store::Snapshot& snapshot, const Entity<Deployment>& deployment,
               const Revision::Spec& revision) {
  const auto& spec = deployment.spec;
  if (revision.release != spec.release || revision.restarted != spec.restarted ||
      !(revision.overrides == spec.overrides))
    return false;
  if (!revision.domain.empty() && revision.domain != core.settings.domain()) return false;
  if (revision.configuration.empty()) return true;
  std::vector<std::string> names;
  for (const auto& [name, value] : revision.configuration) names.push_back(name);
  return same_values(revision.configuration, values_of(resolve_for(snapshot, deployment, names)));
}

// A revision that differs from the one before by its configuration alone was made by whoever set that.
void attribute(const store::Snapshot& snapshot, const Entity<Deployment>& deployment,
               const Revision::Spec& before, Revision::Spec& revision) {
  if (before.release != revision.release || before.restarted != revision.restarted ||
      !(before.overrides == revision.overrides) || revision.restores != 0)
    return;
  revision.cause = "configuration";
  const auto scopes =
      read_scopes(snapshot, deployment.project(), deployment.spec.environment, deployment.spec.component);
  const auto names = differing(before.configuration, revision.configuration);
  if (const auto last = last_change(scopes, names)) revision.by = last->by;
}

std::string owner_of_volume(const store::Snapshot& snapshot, const Entity<Deployment>& deployment,
                            bool shared) {
  if (!shared) return deployment.uid();
  const auto record = snapshot.get(key<Environment>(deployment.project(), deployment.spec.environment));
  return record ? record->uid : deployment.uid();
}

// Volumes are claimed in the store before the engine is to make them.
void claim_volumes(const store::Snapshot& snapshot, const Entity<Deployment>& deployment,
                   const score::Plan& plan, store::Transaction& transaction) {
  const auto& environment = deployment.spec.environment;
  std::set<std::string> claimed;
  for (const auto& mount : mounts_of(plan)) {
    const auto name = volume_name(environment, mount.volume);
    if (!claimed.insert(name).second) continue;
    if (const auto record = snapshot.get(key<Volume>(deployment.project(), name))) {
      if (record->deleted) throw fail(Code::FailedPrecondition, "the volume {} is being deleted", name);
      continue;
    }
    const auto resource = std::ranges::find(plan.resources, mount.volume, &score::PlannedResource::identity);
    const bool shared = resource != plan.resources.end() && resource->shared;
    auto record = draft<Volume>(deployment.project(), name,
                                {.component = shared ? "" : deployment.spec.component,
                                 .environment = environment,
                                 .resource = mount.volume});
    record.owner = owner_of_volume(snapshot, deployment, shared);
    record.labels = {{"environment", environment}};
    record.finalizers = {std::string{kFinalizer}};
    transaction.create(std::move(record));
  }
}

void check_routes(const store::Snapshot& snapshot, const Entity<Deployment>& deployment,
                  const Revision::Spec& revision) {
  for (const auto& route : revision.routes)
    if (const auto other = taken_by(snapshot, route, deployment.uid()))
      throw fail(Code::FailedPrecondition, "{}{} leads to {} already", route.host, route.path, *other);
}

Task<std::unique_ptr<Prepared>> prepare(Core& core, const Entity<Deployment>& deployment, std::string release,
                                        Node overrides) {
  const auto record = co_await core.settings.store.find(key<Release>(deployment.project(), release));
  if (!record) throw fail(Code::NotFound, "the release {} is gone", release);
  auto made = std::make_unique<Prepared>();
  made->release = decode<Release>(record).spec;
  made->document = document_of(made->release, overrides);
  made->input = {.project = deployment.project(),
                 .environment = deployment.spec.environment,
                 .component = deployment.spec.component,
                 .domain = core.settings.domain(),
                 .release = &made->release,
                 .document = &made->document};
  co_return made;
}

}  // namespace

std::map<std::string, Resolved> resolve_for(const store::Snapshot& snapshot,
                                            const Entity<Deployment>& deployment,
                                            const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::optional<RestoredValues> restored;
  if (const auto& from = deployment.spec.restored) {
    const auto name = revision_name(deployment.name(), from->revision);
    if (const auto record = snapshot.get(key<Revision>(deployment.project(), name)))
      restored = RestoredValues{.revision = from->revision,
                                .since = from->since,
                                .values = decode<Revision>(record).spec.configuration};
  }
  const auto scopes =
      read_scopes(snapshot, deployment.project(), deployment.spec.environment, deployment.spec.component);
  return resolve(names, scopes, restored);
}

Task<Target> find_target(Core& core, Entity<Deployment> deployment, std::vector<Entity<Revision>> revisions,
                         Memory& memory) {
  const auto snapshot = core.snapshot();
  Target target;
  const auto& spec = deployment.spec;
  if (spec.release.empty()) {
    target.problem = "no release was deployed yet";
    co_return target;
  }
  const Entity<Revision>* latest = revisions.empty() ? nullptr : &revisions.back();
  if (latest && is_wanted(core, *snapshot, deployment, latest->spec)) {
    target.revision = latest->spec.number;
    co_return target;
  }
  // After a failure, what goes on serving may be just what is wanted now.
  if (latest && latest->status.phase == Revision::Phase::Failed)
    for (const auto& each : revisions)
      if (each.status.phase == Revision::Phase::Serving &&
          is_wanted(core, *snapshot, deployment, each.spec)) {
        target.revision = each.spec.number;
        co_return target;
      }
  try {
    auto prepared = co_await prepare(core, deployment, spec.release, spec.overrides);
    const auto names = required_names(prepared->input);
    const auto values = values_of(resolve_for(*snapshot, deployment, names));
    const auto neighbours = co_await find_neighbours(core.settings.store, prepared->input);
    if (!neighbours.missing.empty()) {
      if (!memory.waiting) memory.waiting = core.now();
      target.waits = core.now() - *memory.waiting < core.settings.limits.neighbour;
      target.problem =
          fmt::format("it refers to {}, which {} not deployed in {}", fmt::join(neighbours.missing, ", "),
                      neighbours.missing.size() == 1 ? "is" : "are", spec.environment);
      co_return target;
    }
    memory.waiting.reset();
    prepared->plan = make_plan(prepared->input, values, neighbours);
    Revision::Spec revision{
        .deployment = deployment.name(),
        .number = latest ? latest->spec.number + 1 : 1,
        .release = spec.release,
        .overrides = spec.overrides,
        .configuration = values,
        .restarted = spec.restarted,
        .restores = spec.restored && spec.cause == "rollback" ? spec.restored->revision : 0,
        .ports = {},
        .routes = {},
        .volumes = {},
        .exclusive = false,
        .domain = {},
        .hooks = spec.hooks,
        .cause = spec.cause,
        .by = spec.by};
    if (latest) attribute(*snapshot, deployment, latest->spec, revision);
    record_plan(*prepared->plan, prepared->input.domain, spec.environment, revision);
    check_routes(*snapshot, deployment, revision);

    store::Transaction transaction;
    claim_volumes(*snapshot, deployment, *prepared->plan, transaction);
    auto record =
        draft<Revision>(deployment.project(), revision_name(deployment.name(), revision.number), revision);
    const Key created = record.key;
    record.owner = deployment.uid();
    record.labels = deployment_labels(spec.component, spec.environment);
    transaction.create(std::move(record));
    co_await core.settings.store.commit(std::move(transaction));
    const auto made = core.snapshot()->get(created);
    if (!made) throw fail(Code::Conflict, "the revision {} is gone", created.name);
    target.revision = revision.number;
    target.made = decode<Revision>(made);
    target.prepared = std::move(prepared);
  } catch (const Error& error) {
    if (!is_permanent(error.code())) throw;
    target.problem = problem_of(error);
  }
  co_return target;
}

Task<engine::Workload> workload_of(Core& core, const Entity<Deployment>& deployment,
                                   const Entity<Revision>& revision, const Prepared* prepared) {
  std::unique_ptr<Prepared> own;
  if (!prepared) {
    own = co_await prepare(core, deployment, revision.spec.release, revision.spec.overrides);
    const auto neighbours = co_await find_neighbours(core.settings.store, own->input);
    own->plan = make_plan(own->input, revision.spec.configuration, neighbours);
    prepared = own.get();
  }
  const auto* plan = &*prepared->plan;
  auto snapshot = core.snapshot();
  store::Transaction transaction;
  claim_volumes(*snapshot, deployment, *plan, transaction);
  if (!transaction.empty()) {
    co_await core.settings.store.commit(std::move(transaction));
    snapshot = core.snapshot();
  }
  const auto project = snapshot->get(key<Project>({}, deployment.project()));
  const auto environment = snapshot->get(key<Environment>(deployment.project(), deployment.spec.environment));
  if (!project || !environment) throw fail(Code::Conflict, "the environment is going");
  WorkloadPlace place{.project = deployment.project(),
                      .environment = deployment.spec.environment,
                      .environment_uid = environment->uid,
                      .user_base = decode<Project>(project).status.user_base,
                      .policy = policy_of(*snapshot, decode<Environment>(environment).spec),
                      .volumes = {}};
  for (const auto& mount : mounts_of(*plan))
    if (const auto record = snapshot->get(
            key<Volume>(deployment.project(), volume_name(deployment.spec.environment, mount.volume))))
      place.volumes[mount.volume] = record->uid;
  auto made = workload(*plan, prepared->release, place);
  // The rollout gives up first, with the reason of the first start.
  made.start_limit = core.settings.limits.ready + std::chrono::seconds{5};
  co_return made;
}

}  // namespace tow::deploy
