// SPDX-License-Identifier: Apache-2.0
// What people ask of a deployment: its history, its configuration and where each value comes from, and how
// its rollout goes.
#include <algorithm>

#include "deploy/core.hpp"
#include "deploy/differences.hpp"
#include "deploy/names.hpp"
#include "deploy/planning.hpp"
#include "deploy/target.hpp"

namespace tow::deploy {
namespace {

// A rollout has said its last word.
bool has_ended(Deployment::Phase phase) {
  return phase == Deployment::Phase::Healthy || phase == Deployment::Phase::Failed ||
         phase == Deployment::Phase::Degraded;
}

std::string line_of(const Deployment::Status& status) {
  if (status.phase == Deployment::Phase::Healthy)
    return fmt::format("revision {} serves{}{}", status.serving, status.urls.empty() ? "" : " at ",
                       fmt::join(status.urls, ", "));
  if (!status.message.empty()) return status.message;
  return status.phase == Deployment::Phase::Pending ? "waiting" : "on its way";
}

}  // namespace

Task<History> Core::history(api::Call call) {
  const auto view = snapshot();
  const auto deployment = need_deployment(*view, call.target);
  std::map<std::string, std::optional<Release::Spec>> releases;
  History history;
  const Entity<Revision>* before = nullptr;
  const auto revisions = revisions_of(*view, *deployment.record);
  for (const auto& each : revisions) {
    const auto& spec = each.spec;
    if (!releases.contains(spec.release)) {
      const auto record = co_await settings.store.find(key<Release>(deployment.project(), spec.release));
      releases[spec.release] = record ? std::optional{decode<Release>(record).spec} : std::nullopt;
    }
    const auto& release = releases[spec.release];
    HistoryEntry entry{.revision = spec.number,
                       .phase = each.status.phase,
                       .release = spec.release,
                       .commit = release ? release->commit : std::nullopt,
                       .cause = spec.cause,
                       .by = spec.by,
                       .created = each.record->created,
                       .changes = {},
                       .restores = spec.restores,
                       .message = each.status.message};
    if (before) {
      const auto& old = releases[before->spec.release];
      entry.changes = differences({.revision = &before->spec, .release = old ? &*old : nullptr},
                                  {.revision = &spec, .release = release ? &*release : nullptr});
    }
    history.revisions.push_back(std::move(entry));
    before = &each;
  }
  std::ranges::reverse(history.revisions);
  co_return history;
}

Task<ConfigurationView> Core::configuration(api::Call call) {
  const auto view = snapshot();
  const auto deployment = need_deployment(*view, call.target);
  std::set<std::string> read;
  const auto record =
      co_await settings.store.find(key<Release>(deployment.project(), deployment.spec.release));
  if (record) {
    const auto release = decode<Release>(record).spec;
    const auto document = document_of(release, deployment.spec.overrides);
    for (const auto& each : score::required_configuration(document, release.root, reader_of(release)))
      read.insert(each.name);
  }
  auto names = read;
  for (const auto& scope :
       read_scopes(*view, deployment.project(), deployment.spec.environment, deployment.spec.component)) {
    for (const auto& [name, setting] : scope.values)
      if (setting.value) names.insert(name);
    for (const auto& [name, secret] : scope.secrets)
      if (!secret.removed) names.insert(name);
  }
  ConfigurationView made;
  for (const auto& [name, resolved] : resolve_for(*view, deployment, {names.begin(), names.end()})) {
    ConfigurationEntry entry{.name = name,
                             .value = {},
                             .is_secret = false,
                             .from = {},
                             .overrides = resolved.hidden,
                             .missing = !resolved.value && read.contains(name)};
    if (resolved.value) {
      entry.value = resolved.value->value;
      entry.is_secret = !resolved.value->secret.empty();
      entry.from =
          resolved.restored_from ? fmt::format("revision {}", resolved.restored_from) : resolved.value->from;
    }
    made.values.push_back(std::move(entry));
  }
  co_return made;
}

Task<> Core::follow(api::Call call, FollowInput input, std::function<Task<>(const Progress&)> sink) {
  auto view = snapshot();
  const auto first = need_deployment(*view, call.target);
  const auto generation = input.generation ? input.generation : first.record->generation;
  const auto source = fmt::format("{} deploy", first.spec.component);
  const auto watch = settings.store.watch(
      view->revision(), {.kind = std::string{Deployment::kind},
                         .project = call.target.project,
                         .owner = {},
                         .labels = deployment_labels(first.spec.component, first.spec.environment)});
  std::string said;
  RecordPtr record = first.record;
  while (true) {
    const auto deployment = decode<Deployment>(record);
    const auto& status = deployment.status;
    if (status.observed_generation >= generation) {
      auto line = line_of(status);
      if (has_ended(status.phase)) {
        co_await sink(
            {.source = source,
             .text = std::move(line),
             .phase = status.phase == Deployment::Phase::Healthy ? WorkPhase::Succeeded : WorkPhase::Failed});
        co_return;
      }
      if (status.waits_for_person) {
        co_await sink({.source = source, .text = std::move(line), .phase = WorkPhase::Succeeded});
        co_return;
      }
      if (status.rollout && status.rollout->waiting) {  // for a person, who may come tomorrow
        co_await sink({.source = source,
                       .text = fmt::format("{}; tow rollout continue {} goes on", line, deployment.name()),
                       .phase = WorkPhase::Succeeded});
        co_return;
      }
      if (line != said) {
        co_await sink({.source = source, .text = line, .phase = {}});
        said = std::move(line);
      }
    }
    const auto changes = co_await watch->next();
    for (const auto& change : changes) {
      if (change.type == store::Change::Type::Removed) {
        co_await sink({.source = source, .text = "it was destroyed", .phase = WorkPhase::Cancelled});
        co_return;
      }
      record = change.record;
    }
  }
}

}  // namespace tow::deploy
