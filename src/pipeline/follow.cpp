// SPDX-License-Identifier: Apache-2.0
// What a push shows while it happens.
#include <re2/re2.h>

#include <deque>

#include "pipeline/state.hpp"

namespace tow::pipeline {
namespace {

// Wakes a follower when anything of its project changes.
Task<> wake_on_change(store::Store& store, std::string project, std::shared_ptr<Signal> signal) {
  while (true) {
    const auto watch = store.watch(store.snapshot()->revision(),
                                   {.kind = {}, .project = project, .owner = {}, .labels = {}});
    // What changed before the watch began is seen by looking once more now.
    signal->notify();
    try {
      while (true) {
        co_await watch->next();
        signal->notify();
      }
    } catch (const store::WatchLost&) {
      continue;
    }
  }
}

// Nothing for no expression.
std::unique_ptr<RE2> compile(const std::string& expression) {
  if (expression.empty()) return {};
  auto made = std::make_unique<RE2>(expression, RE2::Quiet);
  if (!made->ok())
    throw fail(Code::Invalid, "\"{}\" is no regular expression: {}", expression, made->error());
  return made;
}

std::string short_id(const std::string& commit) { return commit.substr(0, 8); }

// What was said of one component so far.
struct Told {
  std::uintmax_t log_offset = 0;
  std::string build_state;
  std::string rollout_state;
  bool ended = false;
};

}  // namespace

Task<> Pipeline::State::follow_run(api::Call call, FollowInput, std::function<Task<>(const Progress&)> emit) {
  const auto project = call.target.project;
  const auto signal = std::make_shared<Signal>();
  logs.listen(signal);

  const auto say = [&](std::string source, std::string text, std::optional<WorkPhase> phase = {}) -> Task<> {
    Progress progress{.source = std::move(source), .text = std::move(text), .phase = phase};
    co_await emit(progress);
  };
  const auto tell = [&]() -> Task<> {
    std::map<std::string, Told> told;
    std::size_t notes = 0;
    bool introduced = false;
    while (true) {
      const auto run = co_await find<PipelineRun>(settings.store, project, call.target.name);
      if (!run) throw fail(Code::NotFound, "there is no {}", to_string(call.target));
      if (!introduced) {
        introduced = true;
        co_await say({}, fmt::format("{} {}", short_id(run->spec.commit.id), run->spec.commit.subject));
      }
      for (; notes < run->status.notes.size(); ++notes) co_await say({}, run->status.notes[notes]);
      for (const auto& component : run->status.components) {
        auto& before = told[component.component];
        const auto& name = component.component;
        if (!component.build.empty()) {
          const auto build = co_await find<Build>(settings.store, project, component.build);
          if (build && component.message == "unchanged" && before.build_state.empty()) {
            before.build_state = "unchanged";
            co_await say(name, fmt::format("unchanged since {}: its image is used again",
                                           short_id(build->spec.commit)));
          } else if (build && before.build_state != "unchanged") {
            if (before.build_state.empty() && build->status.phase != WorkPhase::Queued) {
              before.build_state = "building";
              co_await say(name, "building");
            }
            for (auto lines = logs.read(build->uid(), before.log_offset); !lines.empty();
                 lines = logs.read(build->uid(), before.log_offset))
              for (const auto& line : lines) co_await say(name, "  " + line.text);
            if (build->status.phase == WorkPhase::Succeeded && before.build_state == "building" &&
                build->status.ended && build->status.started) {
              before.build_state = "built";
              co_await say(
                  name,
                  fmt::format(
                      "built in {:.1f}s",
                      static_cast<double>((*build->status.ended - *build->status.started).count()) / 1000));
            }
          }
        }
        if (!component.deployment.empty() && !before.ended) {
          if (const auto record =
                  settings.store.snapshot()->get(key<Deployment>(project, component.deployment))) {
            const auto deployment = decode<Deployment>(record);
            if (deployment.status.observed_generation >= component.generation &&
                deployment.status.message != before.rollout_state && !deployment.status.message.empty()) {
              before.rollout_state = deployment.status.message;
              co_await say(name, deployment.status.message);
            }
            const auto& rollout = deployment.status.rollout;
            if (component.phase == WorkPhase::Succeeded && rollout && rollout->waiting) {
              co_await say(name, fmt::format("tow rollout continue {} goes on", deployment.name()),
                           component.phase);
              before.ended = true;
            } else if (component.phase == WorkPhase::Succeeded && deployment.status.waits_for_person) {
              co_await say(name, deployment.status.message, component.phase);
              before.ended = true;
            } else if (component.phase == WorkPhase::Succeeded) {
              std::string urls;
              for (const auto& url : deployment.status.urls) urls += " " + url;
              co_await say(name,
                           fmt::format("live as revision {} in {}{}", component.revision,
                                       deployment.spec.environment, urls),
                           component.phase);
              before.ended = true;
            }
          }
        }
        if (ended(component.phase) && !before.ended) {
          before.ended = true;
          const auto text = component.phase == WorkPhase::Succeeded ? "built" : component.message;
          co_await say(name, text, component.phase);
        }
      }
      // Nobody waits at the push for what a person has to do first.
      const bool waits = run->status.phase == WorkPhase::Queued && !run->status.message.empty();
      if (ended(run->status.phase) || waits) {
        if (!run->status.message.empty()) co_await say({}, run->status.message, run->status.phase);
        co_return;
      }
      co_await signal->wait();
    }
  };
  co_await with_scope("follow", [&](Scope& watching) -> Task<> {
    watching.spawn(wake_on_change(settings.store, project, signal));
    co_await tell();
  });
}

Task<> Pipeline::State::build_log(api::Call call, LogInput input,
                                  std::function<Task<>(const LogEntry&)> emit) {
  const auto pattern = compile(input.grep);
  const auto since = input.since ? settings.clock.now() - *input.since : TimePoint{};
  const auto signal = std::make_shared<Signal>();
  logs.listen(signal);
  std::uintmax_t offset = 0;
  // Only the last lines of what is there; of what comes, all.
  std::deque<LogEntry> last;
  bool there = true;
  while (true) {
    const auto build = co_await find<Build>(settings.store, call.target.project, call.target.name);
    if (!build) throw fail(Code::NotFound, "there is no {}", to_string(call.target));
    for (auto lines = logs.read(build->uid(), offset); !lines.empty();
         lines = logs.read(build->uid(), offset))
      for (auto& line : lines) {
        if (line.time < since || (pattern && !RE2::PartialMatch(line.text, *pattern))) continue;
        if (there && input.tail > 0) {
          last.push_back(std::move(line));
          if (last.size() > static_cast<std::size_t>(input.tail)) last.pop_front();
        } else {
          co_await emit(line);
        }
      }
    if (std::exchange(there, false))
      for (const auto& line : last) co_await emit(line);
    if (!input.follow || ended(build->status.phase)) co_return;
    // The last line and the end of the build are two things: look at the end again after a moment.
    co_await signal->wait_for(std::chrono::milliseconds{500});
  }
}

}  // namespace tow::pipeline
