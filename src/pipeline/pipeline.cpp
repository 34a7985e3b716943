// SPDX-License-Identifier: Apache-2.0
#include "pipeline/pipeline.hpp"

#include <filesystem>

#include "pipeline/state.hpp"

namespace tow::pipeline {

// Nobody builds yet: what lies there, a killed predecessor left.
Pipeline::Pipeline(Settings settings) : state_{std::make_shared<State>(std::move(settings))} {
  std::error_code none;  // then there is nothing to clear
  for (const auto& entry : std::filesystem::directory_iterator{state_->settings.work_directory, none})
    std::filesystem::remove_all(entry.path());
}
Pipeline::~Pipeline() = default;

std::vector<control::Controller> Pipeline::controllers() {
  auto* state = state_.get();
  // A run is concerned by its own changes, by those of its builds and of the deployments that it waits for,
  // by a later push, and by configuration that it lacks. None of these know their runs: every run of the
  // project that has not ended looks.
  const auto open_runs = [state](const Record& record) {
    const std::lock_guard lock{state->mutex};
    std::vector<Key> keys;
    for (const auto& [uid, run] : state->open_runs)
      if (run.project == record.key.project) keys.push_back(run);
    return keys;
  };
  return {{.name = "pipeline.runs",
           .watches = {{.kind = "PipelineRun",
                        .keys =
                            [open_runs](const Record& record) {
                              auto keys = open_runs(record);
                              keys.push_back(record.key);
                              return keys;
                            }},
                       {.kind = "Configuration", .keys = open_runs},
                       {.kind = "Secret", .keys = open_runs},
                       {.kind = "Build", .keys = open_runs},
                       {.kind = "Deployment", .keys = open_runs}},
           .reconcile = [state](Key key) { return state->reconcile_run(std::move(key)); }},
          {.name = "pipeline.builds",
           .watches = {{.kind = "Build", .keys = {}}},
           .reconcile = [state](Key key) { return state->reconcile_build(std::move(key)); },
           .concurrency = 16}};
}

void Pipeline::add_operations(api::Api& api) {
  using api::Operation, api::StreamOperation, api::Permission, api::Repeat, api::Target;
  auto* state = state_.get();
  api.add(StreamOperation<FollowInput, Progress>{
      .name = "pipelineruns.follow",
      .target = Target::Entity,
      .help = "Show what a push does, until it is done.",
      .permission = Permission::Read,
      .run = [state](api::Call call, FollowInput input, std::function<Task<>(const Progress&)> emit) {
        return state->follow_run(std::move(call), std::move(input), std::move(emit));
      }});
  api.add(StreamOperation<LogInput, LogEntry>{
      .name = "builds.logs",
      .target = Target::Entity,
      .help = "The log of a build.",
      .permission = Permission::Read,
      .run = [state](api::Call call, LogInput input, std::function<Task<>(const LogEntry&)> emit) {
        return state->build_log(std::move(call), std::move(input), std::move(emit));
      }});
  api.add(Operation<Nothing, Accepted>{
      .name = "builds.cancel",
      .target = Target::Entity,
      .help = "End a build that is queued or running.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Safe,
      .run = [state](api::Call call, Nothing input) { return state->cancel_build(std::move(call), input); }});
  api.add(Operation<Nothing, RepeatOutput>{
      .name = "builds.repeat",
      .target = Target::Entity,
      .help = "Build the same commit again, and deploy it as its push did, if its branch still ends there.",
      .permission = Permission::Deploy,
      .repeat = Repeat::Unsafe,
      .run = [state](api::Call call, Nothing input) { return state->repeat_build(std::move(call), input); }});
}

Task<> Pipeline::stop() {
  auto& state = *state_;
  state.stopping = true;
  state.scope.cancel();
  // What runs is ended, then those who wait for it; one of them may have begun another meanwhile.
  for (int round = 0; round < 2; ++round) {
    std::vector<std::shared_ptr<Scope>> running;
    {
      const std::lock_guard lock{state.mutex};
      for (const auto& [uid, place] : state.places) running.push_back(place.work);
    }
    for (const auto& work : running) work->cancel();
    for (const auto& work : running) co_await work->join();
    co_await state.scope.join();
  }
}

}  // namespace tow::pipeline
