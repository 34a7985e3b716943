// SPDX-License-Identifier: Apache-2.0
// Builds: taken up in turn, carried out in tasks of their own, recorded when they end.
#include <algorithm>

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
  {
    const std::lock_guard lock{mutex};
    waiting.erase(build->uid());
    if (const auto found = places.find(build->uid()); found != places.end()) {
      if (!unwanted) co_return control::Outcome{};
      found->second.work->cancel();
      co_return control::Outcome{.again = std::chrono::milliseconds{100}};  // until its place is free
    }
  }
  if (build->deleting()) {
    logs.remove(build->uid());
    store::Transaction transaction;
    transaction.remove_finalizer(key, std::string{kFinalizer});
    co_await settings.store.commit(std::move(transaction));
    co_return control::Outcome{};
  }
  if (ended(build->status.phase)) co_return control::Outcome{};
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
  {
    const std::lock_guard lock{mutex};
    waiting[build->uid()] = {key, build->record->created_revision};
  }
  co_await start_waiting();
  // Whoever leaves a place starts the next; this is for a start that failed.
  co_return control::Outcome{.again = std::chrono::seconds{5}};
}

// Whose turn it is: of the projects that wait, that with the fewest builds under way, and of its builds the
// oldest. Its place is taken with the answer, so that there are never more than there are places.
std::optional<std::string> Pipeline::State::take_place() {
  const std::lock_guard lock{mutex};
  if (waiting.empty() || places.size() >= settings.parallel_builds) return {};
  const auto rank = [&](const Waiting& each) {
    const auto busy = std::count_if(places.begin(), places.end(), [&](const auto& place) {
      return place.second.key.project == each.key.project;
    });
    return std::pair{busy, each.created};
  };
  const auto next = std::min_element(waiting.begin(), waiting.end(), [&](const auto& a, const auto& b) {
    return rank(a.second) < rank(b.second);
  });
  auto uid = next->first;
  places[uid] = {next->second.key, std::make_shared<Scope>(settings.executor, "build")};
  waiting.erase(next);
  return uid;
}

void Pipeline::State::leave_place(const std::string& uid) {
  const std::lock_guard lock{mutex};
  places.erase(uid);
}

Task<> Pipeline::State::start_waiting() {
  while (const auto uid = take_place()) {
    bool started = false;
    std::exception_ptr failure;
    try {
      started = co_await start_build(*uid);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!started) leave_place(*uid);
    if (failure) std::rethrow_exception(failure);
  }
}

// False when there is nothing to start any more.
Task<bool> Pipeline::State::start_build(std::string uid) {
  Place place;
  {
    const std::lock_guard lock{mutex};
    place = places.at(uid);
  }
  const auto build = co_await find<Build>(settings.store, place.key.project, place.key.name);
  if (!build || build->uid() != uid || build->deleting() || build->spec.cancelled ||
      ended(build->status.phase))
    co_return false;
  auto status = build->status;
  status.phase = WorkPhase::Running;
  status.attempts += 1;
  status.started = settings.clock.now();
  store::Transaction transaction;
  transaction.put_status(place.key, encode_status<Build>(status), build->record->revision);
  co_await settings.store.commit(std::move(transaction));
  // The build's own scope can be cancelled alone. It is joined, its end recorded and its place freed by a
  // task of ours, which a cancelled build's own could not.
  const auto end = std::make_shared<std::function<void(Build::Status&)>>();
  place.work->spawn(carry_out(*build, end));
  scope.spawn([](std::shared_ptr<State> self, Place mine, std::string id,
                 std::shared_ptr<std::function<void(Build::Status&)>> how) -> Task<> {
    co_await mine.work->join();
    // Without an end it never began: it was cancelled first.
    if (!*how) *how = [](Build::Status& ending) { ending.phase = WorkPhase::Cancelled; };
    co_await self->finish_build(mine.key, *how);
    self->leave_place(id);
    co_await self->start_waiting();
  }(shared_from_this(), place, uid, end));
  co_return true;
}

// Comes back until it is recorded: a build whose end nobody knows would be under way for good.
Task<> Pipeline::State::finish_build(Key key, std::function<void(Build::Status&)> change) {
  while (true) {
    const auto build = co_await find<Build>(settings.store, key.project, key.name);
    if (!build || ended(build->status.phase)) co_return;
    auto status = build->status;
    status.ended = settings.clock.now();
    change(status);
    store::Transaction transaction;
    transaction.put_status(key, encode_status<Build>(status), build->record->revision);
    std::optional<Error> refusal;
    try {
      co_await settings.store.commit(std::move(transaction));
      co_return;
    } catch (const Error& error) {
      refusal = error;
    }
    if (refusal->code() == Code::Exhausted || refusal->code() == Code::Unavailable)
      co_await settings.clock.sleep(std::chrono::seconds{1});
    else if (refusal->code() != Code::Conflict)
      throw Error{*refusal};
    co_await yield_now();
  }
}

// How it ended is in `end`; when the whole platform stops, nobody records it, and the build begins again at
// the next start.
Task<> Pipeline::State::carry_out(Entity<Build> build,
                                  std::shared_ptr<std::function<void(Build::Status&)>> end) {
  const auto uid = build.uid();
  const auto workplace = settings.work_directory / uid;
  const auto clean = [workplace] {
    std::error_code ignored;
    std::filesystem::remove_all(workplace, ignored);
  };
  try {
    const auto directory = workplace / "source";  // git's index comes to lie beside it
    std::filesystem::create_directories(directory);
    std::filesystem::permissions(workplace, std::filesystem::perms::owner_all);
    co_await settings.sources.checkout(build.project(), build.spec.repository, build.spec.commit, directory);
    fault_point("pipeline.checked-out");
    image::BuildRequest request{.id = uid,
                                .project = build.project(),
                                .context = directory,
                                .component_path = build.spec.path,
                                .containerfile = build.spec.containerfile,
                                .arguments = build.spec.arguments,
                                .secrets = {}};
    const auto result =
        co_await settings.images.build(std::move(request), [this, uid](std::string_view line) {
          logs.append(uid, line);
          fault_point("pipeline.building");
        });
    fault_point("pipeline.image-built");
    *end = [result](Build::Status& status) {
      status.phase = WorkPhase::Succeeded;
      status.image = result.image.id;
      status.digest = result.image.digest;
      status.pack = result.pack;
      status.cached = result.cached;
    };
  } catch (...) {
    const auto failure = std::current_exception();
    const bool cancelled = is_cancellation(failure);
    const auto message = cancelled ? std::string{"the build was cancelled"} : describe(failure);
    if (!stopping) logs.append(uid, message);
    *end = [message, cancelled](Build::Status& status) {
      status.phase = cancelled ? WorkPhase::Cancelled : WorkPhase::Failed;
      status.message = message;
    };
  }
  clean();
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

// The same commit again, as a run of its own: it deploys what it builds, as the push did.
Task<RepeatOutput> Pipeline::State::repeat_build(api::Call call, Nothing) {
  const auto& project = call.target.project;
  const auto build = co_await find<Build>(settings.store, project, call.target.name);
  if (!build) throw fail(Code::NotFound, "there is no {}", to_string(call.target));
  if (!ended(build->status.phase))
    throw fail(Code::FailedPrecondition, "the build {} has not ended", build->name());
  const auto record = settings.store.snapshot()->get(key<Repository>(project, build->spec.repository));
  if (!record || record->deleted)
    throw fail(Code::FailedPrecondition, "the repository {} is gone", build->spec.repository);
  const auto repository = decode<Repository>(record);
  const auto branch = std::ranges::find_if(repository.status.branches, [&](const auto& each) {
    return each.second.commit.id == build->spec.commit;
  });
  // A repeat deploys, and must not take a branch back to what it has left behind.
  if (branch == repository.status.branches.end())
    throw fail(
        Code::FailedPrecondition,
        "{} was built from {}, which no branch of {} ends with any more: repeat the build of a newer one",
        build->spec.component, build->spec.commit.substr(0, 8), repository.name());
  PipelineRun::Spec spec{.repository = repository.name(),
                         .branch = branch->first,
                         .commit = branch->second.commit,
                         .before = branch->second.commit.id,
                         .by = call.subject.name,
                         .rebuild = build->spec.component};
  auto run =
      draft<PipelineRun>(project,
                         fmt::format("{}-{}-{}", repository.name().substr(0, 40),
                                     build->spec.commit.substr(0, 8), sha256_hex(new_uid()).substr(0, 8)),
                         spec);
  run.owner = repository.uid();
  RepeatOutput output{.run = run.key.name, .build = run.key.name + "." + build->spec.component};
  store::Transaction transaction;
  transaction.create(std::move(run));
  // Nothing changes in it; a push that comes between is a conflict.
  transaction.put_status(repository.key(), record->status, record->revision);
  co_await settings.store.commit(std::move(transaction));
  co_return output;
}

}  // namespace tow::pipeline
