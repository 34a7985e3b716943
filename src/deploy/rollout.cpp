// SPDX-License-Identifier: Apache-2.0
#include "deploy/rollout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
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

bool is_new(const InstanceSeen& instance) {
  return instance.phase == engine::Phase::Starting && instance.restarts == 0;
}

bool carries(const RevisionSeen& each) {
  return each.weight > 0 && each.group && !each.retiring &&
         (each.phase == RevisionPhase::Starting || each.phase == RevisionPhase::Failed);
}

// From how many ordinals on instances get nothing new.
int open_end(const RevisionSeen& each) { return each.shrinking_since ? each.shrinking_to : INT_MAX; }

int open_count(const RevisionSeen& each) { return std::min(each.count, open_end(each)); }

int open_ready(const RevisionSeen& each) {
  return static_cast<int>(std::ranges::count_if(each.instances, [&](const InstanceSeen& instance) {
    return instance.phase == engine::Phase::Ready && instance.ordinal < open_end(each);
  }));
}

std::vector<InstanceSeen> surplus(const RevisionSeen& each, int from) {
  std::vector<InstanceSeen> found;
  for (const auto& instance : each.instances)
    if (instance.ordinal >= from) found.push_back(instance);
  return found;
}

// Fewer answers than this say nothing about the rest.
constexpr std::uint64_t kFewAnswers = 20;
constexpr Duration kJudged = std::chrono::seconds{1};

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
    if (active_ && observed.standing && observed.standing->revision == active_->number)
      standing_ = observed.standing;
    comes_ = active_ && active_ == target_ && active_ != serving_;
    hooks_due_ = comes_ && active_->hooks.done < active_->hooks.total;
    if (comes_ && wanted.said.revision == active_->number) said_ = wanted.said;
    // In batches only where there is something to come from, or to take back.
    batched_ = wanted.batches && !recreate_ && count_ > 0 && serving_ && active_ &&
               (active_ != serving_ || std::ranges::any_of(observed.revisions, carries));
  }

  Decision run() {
    for (const auto& each : observed_.revisions)
      if (&each != active_) leave(each);
    if (active_ && may_come()) {
      if (batched_)
        roll();
      else
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
    if (carries(each)) return give_back(each);
    switch (each.phase) {
      case RevisionPhase::Serving:
        // The newest that serves goes on until the other is ready, unless it must be gone before.
        if (&each != serving_ || (recreate_ && active_ && !hooks_due_))
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
        if (!each.group || each.retiring) return;
        if (!each.draining_since || drained(each.instances, *each.draining_since, drain_limit()))
          act(Retire{each.number});
        return;
    }
  }

  // It has a share of the traffic, and is not wanted any more.
  void give_back(const RevisionSeen& each) {
    if (batched_) return;  // its instances are replaced one by one
    if (!serving_) return act(Withdraw{each.number});
    // What serves may have lost instances to it, and they may be on their way back.
    const bool whole = open_count(*serving_) >= count_ && std::ranges::none_of(serving_->instances, is_new);
    if (whole) act(Withdraw{each.number});
  }

  // It serves while another comes up: what the engine lost is made again, but nothing else changes.
  void hold_up(const RevisionSeen& each) {
    const int scale = each.exclusive ? std::min(wanted_.scale, 1) : wanted_.scale;
    if (!each.group) return act(Ensure{each.number, scale});
    // What an unfinished rollout took from it comes back.
    if (others_carry() && !batched_ && open_count(each) < scale)
      act(Ensure{each.number, std::max(each.count, scale)});
  }

  // An unfinished rollout that this one takes the place of.
  bool others_carry() const {
    return std::ranges::any_of(observed_.revisions,
                               [&](const auto& each) { return &each != active_ && carries(each); });
  }

  // The serving revision is the wanted one: only its count can differ.
  void keep() {
    if (active_->retiring) return;  // it ends by somebody's mistake; made again when it is gone
    if (!active_->group || active_->count < count_) return act(Ensure{active_->number, count_});
    if (active_->count == count_) {
      if (active_->shrinking_since) act(Ensure{active_->number, count_});  // which opens them again
      return;
    }
    if (!active_->shrinking_since || active_->shrinking_to != count_)
      return act(Shrink{active_->number, count_});
    if (drained(surplus(*active_, count_), *active_->shrinking_since, wanted_.drain_limit))
      act(Ensure{active_->number, count_});
  }

  // Nobody stopped it, and its commands have run.
  bool may_come() {
    if (!comes_) return true;
    if (said_.aborted) {
      fail(said_.by.empty() ? "aborted" : "aborted by " + said_.by);
      return false;
    }
    if (!hooks_due_) return true;
    const auto& hooks = active_->hooks;
    if (!hooks.failure.empty())
      fail(hooks.failure);
    else if (!hooks.running)
      act(RunHook{active_->number, hooks.done});
    return false;
  }

  void bring_up() {
    const bool others = std::ranges::any_of(observed_.revisions, [&](const RevisionSeen& each) {
      return &each != active_ && (each.group || each.phase == RevisionPhase::Serving);
    });
    if (recreate_ && others) return;  // leave() ends them
    if (active_->retiring) return;    // it comes back, but must be gone before
    const bool wrong = active_->weight > 0 ? active_->count < count_ : active_->count != count_;
    if (!active_->group || wrong) {
      made_.standing = standing_;
      act(Ensure{active_->number, count_});
      if (active_->phase == RevisionPhase::Starting && active_->started && !standing_) expect();
      return;
    }
    const bool is_ready = ready_count(*active_) >= count_;
    if (serving_ && comes_ && !wanted_.stages.empty() && (is_ready || standing_))
      return others_carry() ? void() : go_on(is_ready);  // they are given back first
    if (is_ready) {
      made_.waits = said_.paused;
      return said_.paused ? void() : act(Serve{active_->number});
    }
    if (active_ != target_) return;  // what served before is tried for as long as it takes
    if (std::ranges::any_of(active_->instances, keeps_failing)) return fail(reason_of(*active_));
    expect();
  }

  // From stage to stage, and at last to all of the traffic.
  void go_on(bool is_ready) {
    auto at = standing_.value_or(Standing{.revision = active_->number, .stage = 1, .since = now_});
    const auto stage = [&] { return wanted_.stages[static_cast<std::size_t>(at.stage) - 1]; };
    const auto last = static_cast<int>(wanted_.stages.size());
    at.stage = std::min(at.stage, last);  // there may be fewer than there were
    if (std::ranges::any_of(active_->instances, keeps_failing)) return fail(reason_of(*active_));
    if (stage().weight > 0 && is_worse()) return fail(verdict());
    while (!said_.paused &&
           (said_.continued >= at.stage || (stage().pause && now_ - at.since >= *stage().pause))) {
      if (!is_ready) {
        const auto due = at.since + stage().pause.value_or(Duration{0});
        const auto limit = std::max(due, observed_.watched_since) + wanted_.ready_limit;
        if (now_ >= limit) return fail_for_time();
        look_again(limit);
        break;
      }
      if (at.stage == last) return act(Serve{active_->number});
      at = {.revision = active_->number, .stage = at.stage + 1, .since = now_};
    }
    made_.standing = at;
    if (stage().weight != active_->weight) act(Shift{active_->number, stage().weight});
    made_.waits = said_.paused || !stage().pause;
    if (!made_.waits) {
      made_.until = at.since + *stage().pause;
      if (*made_.until > now_) look_again(*made_.until);
    }
    if (stage().weight > 0) look_again(now_ + kJudged);
  }

  bool is_worse() const {
    const auto& coming = observed_.coming;
    return coming.all >= kFewAnswers && coming.share() > wanted_.error_limit &&
           coming.share() > observed_.serving.share();
  }
  std::string verdict() const {
    return fmt::format("{:.1f}% of its {} answers were errors, of revision {}'s {:.1f}%; the bound is {:g}%",
                       observed_.coming.share() * 100, observed_.coming.all, serving_->number,
                       observed_.serving.share() * 100, wanted_.error_limit * 100);
  }

  // Instances of others make room for those of the active one, within the bounds. Each ready one has the same
  // share of the traffic, so that what is ready counts, whoever it belongs to.
  void roll() {
    if (active_->retiring) return;
    std::vector<const RevisionSeen*> others;
    for (const auto& each : observed_.revisions)
      if (&each != active_ && carries(each)) others.push_back(&each);
    std::ranges::reverse(others);
    if (active_ != serving_ && serving_->group && !serving_->retiring) others.push_back(serving_);
    int exist = active_->count, ready = open_ready(*active_), available = ready;
    for (const auto* each : others) {
      exist += each->count;
      available += open_ready(*each);
    }
    if (!said_.paused) grow(exist);
    made_.waits = said_.paused;
    if (ready >= count_ && !said_.paused) {
      if (active_ != serving_) return act(Serve{active_->number});
      for (const auto* each : others) act(Withdraw{each->number});
      return;
    }
    if (comes_ && active_->group) {
      if (std::ranges::any_of(active_->instances, keeps_failing)) return fail(reason_of(*active_));
      if (ready < active_->count && !expect()) return;
    }
    int spare = available - (count_ - wanted_.batches->unavailable);
    for (const auto* each : others)
      if (!said_.paused) make_room(*each, spare);
    if (active_ != serving_) share(*active_, ready, available);
    for (const auto* each : others)
      if (each != serving_) share(*each, open_ready(*each), available);
  }

  void grow(int exist) {
    const int room = std::max(count_ + wanted_.batches->surge - exist, 0);
    const int grown = std::min(count_, active_->count + room);
    if (grown > active_->count || (active_->group && active_->shrinking_since))
      act(Ensure{active_->number, std::max(grown, active_->count)});
  }

  // `spare` ready instances may go; those that are not ready may in any case.
  void make_room(const RevisionSeen& each, int& spare) {
    if (each.shrinking_since) {
      if (drained(surplus(each, each.shrinking_to), *each.shrinking_since, wanted_.drain_limit))
        act(Ensure{each.number, each.shrinking_to});
      return;
    }
    int to = each.count;
    for (; to > 0; --to) {
      const auto found = std::ranges::find(each.instances, to - 1, &InstanceSeen::ordinal);
      if (found == each.instances.end() || found->phase != engine::Phase::Ready) continue;
      if (spare <= 0) break;
      --spare;
    }
    if (to < each.count) act(Shrink{each.number, to});
  }

  void share(const RevisionSeen& each, int ready, int available) {
    int weight = available ? (200 * ready + available) / (2 * available) : 0;
    if (ready > 0 && ready < available) weight = std::clamp(weight, 1, 99);
    if (weight != each.weight) act(Shift{each.number, weight});
  }

  // Ready within the limit, or failed. True while there is time.
  bool expect() {
    auto since = std::max(active_->started.value_or(now_), observed_.watched_since);
    if (active_->progressed) since = std::max(since, *active_->progressed);
    if (active_ != target_ || !active_->group) return true;
    if (now_ - since >= wanted_.ready_limit) {
      fail_for_time();
      return false;
    }
    look_again(since + wanted_.ready_limit);
    return true;
  }

  void fail_for_time() {
    const auto reason = reason_of(*active_);
    fail(fmt::format("not ready within {}{}", to_string(wanted_.ready_limit),
                     reason.empty() ? "" : ": " + reason));
  }

  void fail(std::string reason) {
    if (reason.empty()) reason = "its instances keep ending";
    act(Fail{active_->number, std::move(reason)});
    if (carries(*active_)) {
      if (!batched_) give_back(*active_);
    } else if (active_->group && !active_->retiring) {
      act(Retire{active_->number});
    }
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
      if (hooks_due_)
        made_.message =
            fmt::format("revision {}: hook {} of {} runs: {}{}", active_->number, active_->hooks.done + 1,
                        active_->hooks.total, active_->hooks.name, goes_on);
      else if (made_.standing && ready >= count_)
        made_.message = stage_text(*made_.standing);
      else if (active_->group)
        made_.message = fmt::format("revision {}: {}{}", active_->number, progress(ready), goes_on);
      else if (recreate_ && serving_)
        made_.message =
            fmt::format("revision {} starts when revision {} has ended", active_->number, serving_->number);
      else
        made_.message = fmt::format("revision {} is being started{}", active_->number, goes_on);
      if (said_.paused)
        made_.message =
            fmt::format("paused{}{}: {}", said_.by.empty() ? "" : " by ", said_.by, made_.message);
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

  // "step 1 of 3: revision 7 has 10% of the traffic for 2m, revision 6 the rest"
  std::string stage_text(const Standing& at) const {
    const auto& stage = wanted_.stages[static_cast<std::size_t>(at.stage) - 1];
    const auto how_long = stage.pause ? "for " + to_string(*stage.pause) : "until it is continued";
    if (stage.weight == 0)
      return fmt::format("revision {} is ready beside revision {}, which serves {}", active_->number,
                         serving_->number, how_long);
    return fmt::format("step {} of {}: revision {} has {}% of the traffic {}, revision {} the rest", at.stage,
                       wanted_.stages.size(), active_->number, stage.weight, how_long, serving_->number);
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
  std::optional<Standing> standing_;
  Said said_;               // of the one that comes up
  bool comes_ = false;      // the wanted one does not serve yet
  bool hooks_due_ = false;  // … and its commands have not all run
  bool batched_ = false;
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
