// SPDX-License-Identifier: Apache-2.0
// Builds: taken up in turn, carried out in tasks of their own, recorded when they end.
#include "base/fault.hpp"
#include "base/ids.hpp"
#include "pipeline/state.hpp"

namespace tow::pipeline {
namespace {

constexpr int kAttempts = 3;
constexpr std::string_view kFinalizer = "pipeline";

}  // namespace

Task<control::Outcome> Pipeline::State::reconcile_build(Key key) {
  const auto build = co_await find<Build>(settings.store, key.project, key.name);
  if (!build) co_return control::Outcome{};
  const bool unwanted = build->deleting() || build->spec.cancelled;
  std::shared_ptr<Scope> running;
  std::size_t busy = 0;
  {
    const std::lock_guard lock{mutex};
    if (const auto found = build_scopes.find(build->uid()); found != build_scopes.end())
      running = found->second;
    busy = build_scopes.size();
  }
  if (unwanted && running) {
    running->cancel();  // its task records the end, which brings us here again
    co_return control::Outcome{};
  }
  if (build->deleting()) {
    logs.remove(build->uid());
    store::Transaction transaction;
    transaction.remove_finalizer(key, std::string{kFinalizer});
    co_await settings.store.commit(std::move(transaction));
    co_return control::Outcome{};
  }
  if (ended(build->status.phase) || running) co_return control::Outcome{};
  if (unwanted) {
    co_await finish_build(key, [](Build::Status& status) { status.phase = WorkPhase::Cancelled; });
    co_return control::Outcome{};
  }
  if (build->status.attempts >= kAttempts) {
    co_await finish_build(key, [](Build::Status& status) {
      status.phase = WorkPhase::Failed;
      status.message = "it was begun three times, and the platform ended before it did each time";
    });
    co_return control::Outcome{};
  }
  // The end of another build pokes every queued one by its change of status only where a run watches; so a
  // queued build looks again by itself.
  if (busy >= settings.parallel_builds) co_return control::Outcome{.again = std::chrono::milliseconds{200}};

  auto status = build->status;
  status.phase = WorkPhase::Running;
  status.attempts += 1;
  status.started = settings.clock.now();
  store::Transaction transaction;
  transaction.put_status(key, encode_status<Build>(status), build->record->revision);
  co_await settings.store.commit(std::move(transaction));
  const auto scope_of_build = std::make_shared<Scope>(settings.executor, "build");
  {
    const std::lock_guard lock{mutex};
    build_scopes[build->uid()] = scope_of_build;
  }
  scope_of_build->spawn(carry_out(key, build->uid()));
  // The build's own scope can be cancelled alone; it is joined, and its place freed, by a task of ours.
  scope.spawn([](std::shared_ptr<State> self, std::shared_ptr<Scope> work, std::string uid) -> Task<> {
    co_await work->join();
    const std::lock_guard lock{self->mutex};
    self->build_scopes.erase(uid);
  }(shared_from_this(), scope_of_build, build->uid()));
  co_return control::Outcome{};
}

Task<> Pipeline::State::finish_build(Key key, std::function<void(Build::Status&)> change) {
  while (true) {
    const auto build = co_await find<Build>(settings.store, key.project, key.name);
    if (!build || ended(build->status.phase)) co_return;
    auto status = build->status;
    status.ended = settings.clock.now();
    change(status);
    store::Transaction transaction;
    transaction.put_status(key, encode_status<Build>(status), build->record->revision);
    try {
      co_await settings.store.commit(std::move(transaction));
      co_return;
    } catch (const Error& error) {
      if (error.code() != Code::Conflict) throw;
    }
    co_await yield_now();
  }
}

Task<> Pipeline::State::carry_out(Key key, std::string uid) {
  const auto build = co_await find<Build>(settings.store, key.project, key.name);
  if (!build) co_return;
  const auto workplace = settings.work_directory / uid;
  const auto clean = [workplace] {
    std::error_code ignored;
    std::filesystem::remove_all(workplace, ignored);
  };
  std::function<void(Build::Status&)> end;
  bool cancelled = false;
  try {
    const auto directory = workplace / "source";  // git's index comes to lie beside it
    std::filesystem::create_directories(directory);
    std::filesystem::permissions(workplace, std::filesystem::perms::owner_all);
    co_await settings.sources.checkout(key.project, build->spec.repository, build->spec.commit, directory);
    fault_point("pipeline.checked-out");
    image::BuildRequest request{.id = uid,
                                .project = key.project,
                                .context = directory,
                                .component_path = build->spec.path,
                                .containerfile = build->spec.containerfile,
                                .arguments = build->spec.arguments,
                                .secrets = {}};
    const auto result =
        co_await settings.images.build(std::move(request), [this, uid](std::string_view line) {
          logs.append(uid, line);
          fault_point("pipeline.building");
        });
    fault_point("pipeline.image-built");
    end = [result](Build::Status& status) {
      status.phase = WorkPhase::Succeeded;
      status.image = result.image.id;
      status.digest = result.image.digest;
      status.pack = result.pack;
      status.cached = result.cached;
    };
  } catch (const Error& error) {
    cancelled = error.code() == Code::Cancelled;
    logs.append(uid, error.message());
    end = [message = error.message(), cancelled](Build::Status& status) {
      status.phase = cancelled ? WorkPhase::Cancelled : WorkPhase::Failed;
      status.message = message;
    };
  } catch (const std::exception& error) {
    end = [message = std::string{error.what()}](Build::Status& status) {
      status.phase = WorkPhase::Failed;
      status.message = message;
    };
  }
  clean();
  // A task that was cancelled cannot wait any more: the end is recorded by one that can. When the whole
  // platform stops, nothing is recorded, and the build begins again at the next start.
  scope.spawn(finish_build(key, std::move(end)));
}

Task<Accepted> Pipeline::State::cancel_build(api::Call call, Nothing) {
  const auto build = co_await find<Build>(settings.store, call.target.project, call.target.name);
  if (!build) throw fail(Code::NotFound, "there is no {}", to_string(call.target));
  if (ended(build->status.phase))
    throw fail(Code::FailedPrecondition, "the build {} has ended", build->name());
  auto spec = build->spec;
  spec.cancelled = true;
  store::Transaction transaction;
  transaction.put_spec(build->key(), encode_spec<Build>(spec), build->record->revision);
  co_await settings.store.commit(std::move(transaction));
  co_return Accepted{.message = "the build is being cancelled"};
}

}  // namespace tow::pipeline
