// SPDX-License-Identifier: Apache-2.0
#include "engine/local/instance.hpp"

#include <mutex>

#include "base/error.hpp"
#include "base/log.hpp"
#include "engine/local/disk.hpp"

namespace tow::engine::local {

std::string hostname(const Workload& workload, const std::string& suffix) {
  return workload.component.substr(0, 63 - suffix.size()) + suffix;
}

/// Containers may complete at once, on threads of the pool.
struct Instance::Kept {
  const Place& place;
  std::mutex mutex;
  SandboxRecord record;

  /// Recorded before it is acted on: a next engine does not run it again.
  void complete(const std::string& container, const LastEnd& end) {
    const std::lock_guard lock{mutex};
    record.complete[container] = end;
    try {
      remember(place, record);
    } catch (...) {
      log::warning("engine", "that {} of {} is complete cannot be recorded: {}", container, record.id,
                   explained(std::current_exception()).message());
    }
  }
};

Instance::Instance(Surroundings& around, Identity identity, std::shared_ptr<const Workload> workload,
                   Wish wish, std::function<void()> changed)
    : around_{around},
      identity_{std::move(identity)},
      workload_{std::move(workload)},
      wish_{std::move(wish)},
      changed_{std::move(changed)},
      kept_{new Kept{.place = around.shop.place, .mutex = {}, .record = {}}} {
  view_.id = identity_.id;
  view_.group = identity_.source;
  view_.ordinal = identity_.ordinal;
  view_.address = identity_.address;
  for (const auto& container : workload_->containers) {
    ContainerLife::Identity own{.key = container_key(identity_.id, *workload_, container),
                                .source = identity_.source,
                                .container = container.name,
                                .address = identity_.address,
                                .hostname = identity_.hostname,
                                .command = identity_.command,
                                .terminal = identity_.terminal,
                                .about_to_start = identity_.about_to_start};
    lives_.push_back(std::make_shared<ContainerLife>(
        around_, std::move(own), workload_, wish_,
        [this, there = std::weak_ptr{there_}] {
          if (!there.expired()) look();
        },
        [kept = kept_, name = container.name](const LastEnd& end) { kept->complete(name, end); }));
    view_.containers.push_back(lives_.back()->view());
  }
  spread();
}

void Instance::take(Adopted found) {
  if (found.sandbox) {
    sandbox_ = std::make_shared<Sandbox>(std::move(*found.sandbox));
    kept_->record = sandbox_->record;
    for (const auto& [name, end] : found.complete)
      if (!kept_->record.complete.contains(name)) kept_->complete(name, end);
  }
  for (std::size_t i = 0; i < lives_.size(); ++i) {
    const auto& name = workload_->containers[i].name;
    if (const auto runs = found.running.find(name); runs != found.running.end())
      lives_[i]->take(std::move(runs->second));
    else if (const auto complete = found.complete.find(name); complete != found.complete.end())
      lives_[i]->take(complete->second);
    else if (auto ended = found.ended.find(name); ended != found.ended.end())
      lives_[i]->take(std::move(ended->second));
  }
  look();
}

/// After each change of a container: what is seen of the whole, and who may start now.
void Instance::look() {
  for (std::size_t i = 0; i < lives_.size(); ++i) {
    view_.containers[i] = lives_[i]->view();
    note(progress_, view_.containers[i]);
  }
  combine(view_);
  if (!broken_.empty()) {
    view_.phase = Phase::Backoff;
    view_.reason = broken_;
  }
  spread();
  changed_();
}

void Instance::spread() {
  for (std::size_t i = 0; i < lives_.size(); ++i) {
    const auto& spec = workload_->containers[i];
    Wish own = wish_;
    own.run = wish_.run && !going_;
    own.completes = completes(*workload_, spec.name);
    if (own.completes) own.start_limit.reset();  // it is never ready; whoever waits for it has a limit
    const auto others = awaited(spec, progress_);
    own.waits = !others.empty();
    if (own == lives_[i]->wish()) continue;
    lives_[i]->wish(own);
    if (own.waits) lives_[i]->waits_for(others);
  }
}

void Instance::wish(Wish wish) {
  wish_ = std::move(wish);
  spread();
  signal_.notify();
}

void Instance::workload(std::shared_ptr<const Workload> workload) {
  workload_ = std::move(workload);
  for (const auto& life : lives_) life->workload(workload_);
}

Task<> Instance::live() {
  const auto self = shared_from_this();
  if (several())
    co_await live_together();
  else
    co_await lives_[0]->live(nullptr);
}

Task<> Instance::live_one(std::size_t index) {
  const auto self = shared_from_this();
  co_await lives_[index]->live(sandbox_);
  --living_;
  if (!wish_.run) going_ = true;
  spread();
  signal_.notify();
}

Task<> Instance::live_together() {
  while (!sandbox_) {
    if (!wish_.run) co_return;
    if (co_await make_sandbox_now()) break;
    co_await signal_.wait_for(backoff(failures_));
  }
  living_ = lives_.size();
  for (std::size_t i = 0; i < lives_.size(); ++i) around_.scope.spawn(live_one(i));
  while (living_ > 0) co_await signal_.wait();
  co_await remove_sandbox_now();
}

Task<bool> Instance::make_sandbox_now() {
  const auto workload = workload_;
  std::exception_ptr failure;
  try {
    sandbox_ = co_await around_.pool.run([&] {
      return std::make_shared<Sandbox>(make_sandbox(around_.shop.place, around_.shop.networks, identity_.id,
                                                    *workload, identity_.address));
    });
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && is_cancellation(failure)) std::rethrow_exception(failure);
  failures_ = failure ? failures_ + 1 : 0;
  if (!failure) kept_->record = sandbox_->record;
  broken_ = failure ? explained(failure).message() : "";
  look();
  co_return !failure;
}

Task<> Instance::remove_sandbox_now() {
  for (;;) {
    const auto failure = co_await around_.pool.run([&]() -> std::string {
      try {
        sandbox_->namespaces = {};
        remove_sandbox(around_.shop.place, around_.shop.networks, identity_.id);
        return {};
      } catch (...) {
        return explained(std::current_exception()).message();
      }
    });
    if (failure.empty()) break;
    log::warning("engine", "the sandbox of {} cannot be removed yet: {}", identity_.id, failure);
    co_await around_.clock.sleep(kOnceMore);
  }
  sandbox_.reset();
}

}  // namespace tow::engine::local
