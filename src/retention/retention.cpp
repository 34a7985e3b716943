// SPDX-License-Identifier: Apache-2.0
#include "retention/retention.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "model/deployment.hpp"
#include "model/project.hpp"
#include "model/source.hpp"

namespace tow::retention {
namespace {

constexpr std::size_t kPage = 500;
constexpr std::size_t kAtOnce = 200;  // erasures in one transaction, so that others come between

// Every record of a kind, newest first, a page at a time.
Task<> each_record(store::Store& store, std::string kind, std::function<void(const RecordPtr&)> visit) {
  StoreRevision before = 0;
  while (true) {
    const auto page = co_await store.query({.filter = {.kind = kind}, .before = before, .limit = kPage});
    if (page.empty()) co_return;
    for (const auto& record : page) visit(record);
    before = page.back()->created_revision;
    co_await yield_now();
  }
}

Task<Inventory> take_inventory(store::Store& store) {
  Inventory all;
  const std::function<void(const RecordPtr&)> run = [&](const RecordPtr& record) {
    const auto one = decode<PipelineRun>(record);
    Inventory::Run made{.key = record->key,
                        .repository = one.spec.repository,
                        .created = record->created,
                        .ended = ended(one.status.phase)};
    for (const auto& component : one.status.components) {
      made.builds.push_back(component.build);
      made.releases.push_back(component.release);
    }
    all.runs.push_back(std::move(made));
  };
  const std::function<void(const RecordPtr&)> build = [&](const RecordPtr& record) {
    const auto one = decode<Build>(record);
    all.builds.push_back({.key = record->key,
                          .component = one.spec.component,
                          .created = record->created,
                          .ended = ended(one.status.phase),
                          .image = one.status.image});
  };
  const std::function<void(const RecordPtr&)> release = [&](const RecordPtr& record) {
    const auto one = decode<Release>(record);
    std::vector<std::string> further;
    for (const auto& each : one.spec.images) further.push_back(each.image);
    all.releases.push_back({.key = record->key,
                            .component = one.spec.component,
                            .created = record->created,
                            .build = one.spec.build,
                            .image = one.spec.image,
                            .further = std::move(further)});
  };
  // Releases first: one that a later look at deployments names is then known.
  co_await each_record(store, std::string{Release::kind}, release);
  co_await each_record(store, std::string{Build::kind}, build);
  co_await each_record(store, std::string{PipelineRun::kind}, run);
  const auto snapshot = store.snapshot();
  const auto name = [&](const RecordPtr& record, const std::string& named) {
    all.named_releases.insert(record->key.project + "/" + named);
  };
  for (const auto& record : snapshot->list({.kind = std::string{Deployment::kind}})) {
    const auto spec = decode<Deployment>(record).spec;
    name(record, spec.release);
    if (spec.next) name(record, spec.next->release);
  }
  for (const auto& record : snapshot->list({.kind = std::string{Revision::kind}}))
    name(record, decode<Revision>(record).spec.release);
  for (const auto& record : snapshot->list({.kind = std::string{Component::kind}}))
    name(record, decode<Component>(record).status.release);
  co_return all;
}

// One that is gone already is as good.
Task<> erase_one(store::Store& store, Key key) {
  store::Transaction transaction;
  transaction.erase(std::move(key));
  try {
    co_await store.commit(std::move(transaction), store::Durability::Soon);
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
  }
}

Task<> erase_all(store::Store& store, std::vector<Key> keys) {
  for (std::size_t begin = 0; begin < keys.size(); begin += kAtOnce) {
    const auto end = std::min(keys.size(), begin + kAtOnce);
    store::Transaction transaction;
    for (auto i = begin; i < end; ++i) transaction.erase(keys[i]);
    bool together = true;
    try {
      co_await store.commit(std::move(transaction), store::Durability::Soon);
    } catch (const Error& error) {
      if (error.code() != Code::NotFound) throw;
      together = false;
    }
    if (!together)
      for (auto i = begin; i < end; ++i) co_await erase_one(store, keys[i]);
  }
}

}  // namespace

Policy policy_of(const store::Snapshot& snapshot) {
  Platform::Spec spec;
  for (const auto& record : snapshot.list({.kind = std::string{Platform::kind}}))
    spec = decode<Platform>(record).spec;
  return {.runs = spec.keep_runs,
          .builds = spec.keep_builds,
          .releases = spec.keep_releases,
          .age = spec.keep_age,
          .events = spec.keep_events,
          .history = spec.history};
}

struct Retention::State {
  explicit State(Settings s) : settings{s}, scope{s.executor, "retention"} {}

  Task<> work() {
    co_await settings.clock.sleep(settings.first);
    while (true) {
      const auto done = co_await clean({});
      log::info("retention", "{} runs, {} builds, {} releases and {} events went, and {} of images",
                done.runs, done.builds, done.releases, done.events, to_string(done.images));
      for (const auto& note : done.notes) log::warning("retention", "{}", note);
      co_await settings.clock.sleep(settings.every);
    }
  }

  // Runs a part; what stops it is noted, and the next goes on.
  Task<> part(CleanOutput& output, std::string what, std::function<Task<>()> work) {
    std::exception_ptr failure;
    try {
      co_await work();
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    if (is_cancellation(failure)) std::rethrow_exception(failure);
    output.notes.push_back(fmt::format("{}: {}", what, describe(failure)));
  }

  Task<CleanOutput> clean(CleanInput input) {
    auto& store = settings.store;
    const auto policy = policy_of(*store.snapshot());
    const auto now = settings.clock.now();
    CleanOutput output{.history = now - policy.history};
    const auto choice = choose(co_await take_inventory(store), policy, now);
    output.runs = static_cast<int>(choice.runs.size());
    output.builds = static_cast<int>(choice.builds.size());
    output.releases = static_cast<int>(choice.releases.size());
    output.images_kept = static_cast<int>(choice.images.size());
    for (const auto* keys : {&choice.runs, &choice.builds, &choice.releases})
      for (const auto& key : *keys) output.names.push_back(to_string(key));
    std::vector<Key> events;
    co_await each_record(store, "Event", [&](const RecordPtr& record) {
      if (record->created < now - policy.events) events.push_back(record->key);
    });
    output.events = static_cast<int>(events.size());
    if (input.dry_run) co_return output;
    co_await part(output, "runs", [&] { return erase_all(store, choice.runs); });
    co_await part(output, "releases", [&] { return erase_all(store, choice.releases); });
    co_await part(output, "builds", [&] { return erase_all(store, choice.builds); });
    co_await part(output, "events", [&] { return erase_all(store, events); });
    co_await part(output, "history", [&] { return store.compact(output.history); });
    const bool all_erased = output.notes.empty();
    co_await part(output, "repositories", settings.pack_repositories);
    // What could not be erased still names its image.
    if (!all_erased) co_return output;
    co_await part(output, "images", [&]() -> Task<> {
      const auto left = choose(co_await take_inventory(store), policy, now);
      output.images = co_await settings.images.collect(left.images);
    });
    co_return output;
  }

  Settings settings;
  Scope scope;
};

Retention::Retention(Settings settings) : state_{std::make_shared<State>(settings)} {}
Retention::~Retention() = default;

void Retention::start() {
  state_->scope.spawn([state = state_] { return state->work(); });
}

Task<> Retention::stop() {
  state_->scope.cancel();
  co_await state_->scope.join();
}

Task<CleanOutput> Retention::clean(CleanInput input) { co_return co_await state_->clean(input); }

void Retention::add_operations(api::Api& api) {
  api.add(api::Operation<CleanInput, CleanOutput>{
      .name = "platforms.clean",
      .target = api::Target::Entity,
      .help =
          "Remove what is older than the platform's settings keep, and is not in use; or say what would go.",
      .permission = api::Permission::Platform,
      .repeat = api::Repeat::Safe,
      .run = [state = state_](api::Call, CleanInput input) { return state->clean(input); }});
}

}  // namespace tow::retention
