// SPDX-License-Identifier: Apache-2.0
#include "observe/observe.hpp"

#include <algorithm>

#include "observe/core.hpp"
#include "observe/exposition.hpp"
#include "observe/names.hpp"

namespace tow::observe {
namespace {

RingShape shape(const Settings& settings) {
  const auto rows = settings.samples_kept / settings.sample_every;
  return {.interval = settings.sample_every, .rows = static_cast<std::size_t>(std::max<long>(rows, 8))};
}

}  // namespace

Core::Core(Settings s)
    : settings{std::move(s)},
      rings{settings.directory, shape(settings), settings.samples_limit},
      scope{settings.executor, "observe"} {}

RecordPtr Core::need(const Key& key) const {
  auto record = settings.store.snapshot()->get(key);
  if (!record) throw fail(Code::NotFound, "there is no {}", to_string(key));
  return record;
}

std::vector<RecordPtr> Core::revisions(const store::Snapshot& snapshot, const Record& deployment) const {
  auto all = snapshot.list({.kind = std::string{Revision::kind},
                            .project = deployment.key.project,
                            .owner = deployment.uid,
                            .labels = {}});
  const auto number = [](const RecordPtr& record) {
    const auto name = parse_revision_name(record->key.name);
    return name ? name->number : 0;
  };
  std::ranges::sort(all, {}, number);
  return all;
}

Observe::Observe(Settings settings) : core_{std::make_shared<Core>(std::move(settings))} {
  // The engine outlives this object, and cannot forget a listener.
  core_->settings.engine.observe([weak = std::weak_ptr{core_}](const std::string& id) {
    if (const auto core = weak.lock()) core->tell(id);
  });
}
Observe::~Observe() = default;

void Observe::start() {
  core_->scope.spawn(core_->sample_always());
  core_->scope.spawn(core_->tidy_always());
}

Task<> Observe::stop() {
  core_->scope.cancel();
  co_await core_->scope.join();
}

bool Observe::idle() const { return core_->disk_work == 0; }

void Observe::add_operations(api::Api& api) {
  using api::Operation, api::StreamOperation, api::Permission, api::Repeat, api::Target;
  auto* core = core_.get();
  api.add(Operation<Nothing, DeploymentStatus>{
      .name = "deployments.status",
      .target = Target::Entity,
      .help = "How a deployment is: its instances with what they use, and what the proxy sees.",
      .permission = Permission::Read,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, Nothing) { return core->status(std::move(call)); }});
  api.add(Operation<MetricsInput, Metrics>{
      .name = "deployments.metrics",
      .target = Target::Entity,
      .help = "What its instances used and what the proxy saw, over the last hours, for charts.",
      .permission = Permission::Read,
      .repeat = Repeat::Safe,
      .run = [core](api::Call call, MetricsInput input) { return core->metrics(std::move(call), input); }});
  api.add(StreamOperation<LogInput, LogEntry>{
      .name = "deployments.logs",
      .target = Target::Entity,
      .help = "What its instances wrote, also those that have ended.",
      .permission = Permission::Read,
      .run = [core](api::Call call, LogInput input, Sink<LogEntry> emit) {
        return core->deployment_logs(std::move(call), std::move(input), std::move(emit));
      }});
  api.add(StreamOperation<LogInput, LogEntry>{
      .name = "jobs.logs",
      .target = Target::Entity,
      .help = "What a job wrote.",
      .permission = Permission::Read,
      .run = [core](api::Call call, LogInput input, Sink<LogEntry> emit) {
        return core->job_logs(std::move(call), std::move(input), std::move(emit));
      }});
}

void Observe::mount(http::Router& router) {
  router.add("GET", "/metrics",
             [core = core_.get()](http::Request& request, http::Responder& responder) -> Task<> {
               const auto subject = co_await core->settings.gate.authenticate(request);
               core->settings.gate.authorize(subject, api::Permission::Read, Key{});
               auto response = http::Response::text(co_await core->exposition());
               response.headers.set("Content-Type", Exposition::kContentType);
               responder.send(std::move(response));
             });
}

}  // namespace tow::observe
