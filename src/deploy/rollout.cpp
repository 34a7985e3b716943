// SPDX-License-Identifier: Apache-2.0
#include "deploy/rollout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace tow::deploy {
namespace {

using RevisionPhase = Revision::Phase;

// A start that failed three times will not succeed the fourth time; whoever waits wants to know.
constexpr int kFailedStarts = 3;

bool keeps_failing(const InstanceSeen& instance) {
  return instance.phase != engine::Phase::Ready && instance.restarts >= kFailedStarts;
}

bool is_unwell(const InstanceSeen& instance) {
  return instance.phase == engine::Phase::Backoff || instance.phase == engine::Phase::Unready ||
         (instance.phase == engine::Phase::Starting && instance.restarts > 0);
}

class Decider {
 public:
  Decider(const Wanted& wanted, const Observed& observed, TimePoint now)
      : wanted_{wanted}, observed_{observed}, now_{now} {
    target_ = find(wanted.revision);
    for (const auto& each : observed.revisions)
      if (each.phase == RevisionPhase::Serving) serving_ = &each;
    active_ = target_ && target_->phase != RevisionPhase::Failed ? target_ : fallback();
    recreate_ = wanted.recreate || (active_ && active_->exclusive);
    count_ = active_ && active_->exclusive ? std::min(wanted.scale, 1) : wanted.scale;
  }

  Decision run() {
    for (const auto& each : observed_.revisions)
      if (&each != active_) leave(each);
    if (active_) {
      active_ == serving_ ? keep() : bring_up();
    }
    judge();
    return std::move(made_);
  }

 private:
  const RevisionSeen* find(int number) const {
    for (const auto& each : observed_.revisions)
      if (each.number == number) return &each;
    return nullptr;
  }

  // What goes on, or comes back, when the wanted revision failed.
  const RevisionSeen* fallback() const {
    if (serving_) return serving_;
    const RevisionSeen* newest = nullptr;
    for (const auto& each : observed_.revisions)
      if (&each != target_ && each.served && each.phase != RevisionPhase::Failed) newest = &each;
    return newest;
  }

  void act(Action action) { made_.actions.push_back(std::move(action)); }
  void look_again(TimePoint when) { made_.again = made_.again ? std::min(*made_.again, when) : when; }

  // Whether nothing of value is cut off when these end; asks to be called again when not.
  bool drained(std::span<const InstanceSeen> leaving, TimePoint since, Duration limit) {
    const bool quiet = std::ranges::all_of(leaving, [](const auto& each) { return each.sessions == 0; });
    if (quiet || now_ - since >= limit) return true;
    // Sessions are not told of, so they are asked for: at once often, then less.
    const auto gap = std::clamp<Duration>((now_ - since) / 4, std::chrono::milliseconds{50},
                                          std::chrono::milliseconds{1000});
    look_again(std::min(now_ + gap, since + limit));
    return false;
  }

  Duration drain_limit() const { return recreate_ ? wanted_.recreate_drain_limit : wanted_.drain_limit; }

  // A revision that is not the one to run.
  void leave(const RevisionSeen& each) {
    switch (each.phase) {
      case RevisionPhase::Serving:
        // The newest that serves goes on until the other is ready, unless it must be gone before.
        if (&each != serving_ || (recreate_ && active_))
          act(Withdraw{each.number});
        else
          hold_up(each);
        return;
      case RevisionPhase::Draining:
        if (!each.group) return act(End{each.number});
        if (!each.retiring && drained(each.instances, each.draining_since.value_or(now_), drain_limit()))
          act(Retire{each.number});
        return;
      case RevisionPhase::Pending:
      case RevisionPhase::Starting:
        if (each.group && !each.retiring) act(Retire{each.number});
        if (!each.group) act(End{each.number});
        return;
      case RevisionPhase::Failed:
      case RevisionPhase::Retired:
        if (each.group && !each.retiring) act(Retire{each.number});
        return;
    }
  }

  // It serves while another comes up: what the engine lost is made again, but nothing else changes.
  void hold_up(const RevisionSeen& each) {
    if (!each.group) act(Ensure{each.number, each.exclusive ? std::min(wanted_.scale, 1) : wanted_.scale});
  }

  // The serving revision is the wanted one: only its count can differ.
  void keep() {
    if (active_->retiring) return;  // it ends by somebody's mistake; made again when it is gone
    if (!active_->group || active_->count < count_) return act(Ensure{active_->number, count_});
    if (active_->count == count_) return;
    if (!active_->shrinking_since) return act(Shrink{active_->number});
    std::vector<InstanceSeen> surplus;
    for (const auto& each : active_->instances)
      if (each.ordinal >= count_) surplus.push_back(each);
    if (drained(surplus, *active_->shrinking_since, wanted_.drain_limit))
      act(Ensure{active_->number, count_});
  }

  void bring_up() {
    const bool others = std::ranges::any_of(observed_.revisions, [&](const RevisionSeen& each) {
      return &each != active_ && (each.group || each.phase == RevisionPhase::Serving);
    });
    if (recreate_ && others) return;  // leave() ends them
    if (active_->retiring) return;    // it comes back, but must be gone before
    if (!active_->group || active_->count != count_) {
      act(Ensure{active_->number, count_});
      if (active_->phase == RevisionPhase::Starting && active_->started) expect();
      return;
    }
    if (ready_count(*active_) >= count_) return act(Serve{active_->number});
    if (active_ != target_) return;  // what served before is tried for as long as it takes
    if (std::ranges::any_of(active_->instances, keeps_failing)) return fail(reason_of(*active_));
    expect();
  }

  // Ready within the limit, or failed.
  void expect() {
    const auto since = std::max(active_->started.value_or(now_), observed_.watched_since);
    if (active_ != target_ || !active_->group) return;
    if (now_ - since < wanted_.ready_limit) return look_again(since + wanted_.ready_limit);
    const auto reason = reason_of(*active_);
    fail(fmt::format("not ready within {}{}", to_string(wanted_.ready_limit),
                     reason.empty() ? "" : ": " + reason));
  }

  void fail(std::string reason) {
    if (reason.empty()) reason = "its instances keep ending";
    act(Fail{active_->number, std::move(reason)});
    if (active_->group && !active_->retiring) act(Retire{active_->number});
  }

  void judge() {
    using Phase = Deployment::Phase;
    const auto goes_on = serving_ && serving_ != active_
                             ? fmt::format("; revision {} goes on serving", serving_->number)
                             : std::string{};
    if (!active_ && !target_) return;  // nothing was ever to run
    if (target_ && target_->phase == RevisionPhase::Failed) {
      made_.phase = Phase::Failed;
      made_.message = fmt::format("revision {} failed{}{}", target_->number,
                                  target_->message.empty() ? "" : ": ", target_->message);
      if (serving_)
        made_.message += fmt::format("; revision {} goes on serving", serving_->number);
      else if (active_)
        made_.message += fmt::format("; returning to revision {}", active_->number);
      return;
    }
    const int ready = ready_count(*active_);
    if (active_ != serving_) {
      made_.phase = Phase::Progressing;
      if (active_->group)
        made_.message = fmt::format("revision {}: {}{}", active_->number, progress(ready), goes_on);
      else if (recreate_ && serving_)
        made_.message =
            fmt::format("revision {} starts when revision {} has ended", active_->number, serving_->number);
      else
        made_.message = fmt::format("revision {} is being started{}", active_->number, goes_on);
      return;
    }
    if (ready >= count_ && active_->group) {
      made_.phase = Phase::Healthy;
      if (count_ == 0) made_.message = "scaled to 0";
      if (count_ < wanted_.scale)
        made_.message = fmt::format("it writes to a volume: one instance runs, not {}", wanted_.scale);
    } else {
      made_.phase = std::ranges::any_of(active_->instances, is_unwell) ? Phase::Degraded : Phase::Progressing;
      made_.message = progress(ready);
    }
  }

  // "1 of 2 instances ready: exited with 1 after 0.2s"
  std::string progress(int ready) const {
    auto text = count_ == 1 ? fmt::format("{} of 1 instance ready", ready)
                            : fmt::format("{} of {} instances ready", ready, count_);
    const auto reason = ready < count_ ? reason_of(*active_) : std::string{};
    return reason.empty() ? text : text + ": " + reason;
  }

  const Wanted& wanted_;
  const Observed& observed_;
  const TimePoint now_;
  const RevisionSeen* target_ = nullptr;
  const RevisionSeen* serving_ = nullptr;  // has the traffic
  const RevisionSeen* active_ = nullptr;   // is to have it
  bool recreate_ = false;
  int count_ = 0;
  Decision made_;
};

}  // namespace

Decision decide(const Wanted& wanted, const Observed& observed, TimePoint now) {
  return Decider{wanted, observed, now}.run();
}

std::string reason_of(const RevisionSeen& revision) {
  for (const auto& each : revision.instances)
    if (each.phase != engine::Phase::Ready && !each.reason.empty()) return each.reason;
  return {};
}

int ready_count(const RevisionSeen& revision) {
  return static_cast<int>(std::ranges::count(revision.instances, engine::Phase::Ready, &InstanceSeen::phase));
}

}  // namespace tow::deploy
