// SPDX-License-Identifier: Apache-2.0
// decide() against a small model of everything around it, under random orders and faults. The same seed is
// the same run: TOWPATH_SEED=17 repeats one, TOWPATH_SEEDS=100000 runs more.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/ids.hpp"
#include "deploy/rollout.hpp"
#include "deploy/seeds_test.hpp"

namespace tow::deploy {
namespace {

using RevisionPhase = Revision::Phase;
using engine::Phase;
using std::chrono::seconds;

// What stands between a decision and the next look: the engine, the router and the store.
struct Model {
  std::vector<RevisionSeen> revisions;
  Wanted wanted;
  std::optional<Standing> standing;
  Answers coming, serving_answers;
  TimePoint now{seconds{1'000'000}};

  RevisionSeen* find(int number) {
    for (auto& each : revisions)
      if (each.number == number) return &each;
    return nullptr;
  }
  RevisionSeen* serving() {
    RevisionSeen* found = nullptr;
    for (auto& each : revisions)
      if (each.phase == RevisionPhase::Serving) found = &each;
    return found;
  }
  static bool shares(const RevisionSeen& each) {
    return each.phase == RevisionPhase::Serving ||
           (each.weight > 0 &&
            (each.phase == RevisionPhase::Starting || each.phase == RevisionPhase::Failed));
  }
  static int open_ready(const RevisionSeen& each) {
    if (each.retiring) return 0;
    return static_cast<int>(std::ranges::count_if(each.instances, [&](const auto& instance) {
      return instance.phase == Phase::Ready &&
             !(each.shrinking_since && instance.ordinal >= each.shrinking_to);
    }));
  }
  // Ready instances that may get something new.
  int carrying() const {
    int sum = 0;
    for (const auto& each : revisions)
      if (shares(each)) sum += open_ready(each);
    return sum;
  }
  int existing() const {
    int sum = 0;
    for (const auto& each : revisions)
      if (shares(each) || each.phase == RevisionPhase::Starting) sum += each.retiring ? 0 : each.count;
    return sum;
  }
  int least() const { return wanted.scale - (wanted.batches ? wanted.batches->unavailable : 0); }

  Decision step() {
    Observed observed{
        .revisions = revisions, .standing = standing, .coming = coming, .serving = serving_answers};
    auto made = decide(wanted, observed, now);
    for (const auto& action : made.actions) std::visit([&](const auto& one) { apply(one); }, action);
    if (made.standing != standing) coming = serving_answers = {};
    standing = made.standing;
    return made;
  }

  void apply(const Ensure& a) {
    auto& each = *find(a.revision);
    const bool grows = !each.group || each.count < a.count;
    each.count = a.count;
    while (static_cast<int>(each.instances.size()) > a.count) each.instances.pop_back();
    while (static_cast<int>(each.instances.size()) < a.count)
      each.instances.push_back({.id = {}, .ordinal = static_cast<int>(each.instances.size())});
    each.shrinking_since.reset();
    const bool had = each.group;
    each.group = true;
    if (each.phase == RevisionPhase::Serving || each.phase == RevisionPhase::Failed) return;
    if (grows) each.progressed = now;
    if (each.phase != RevisionPhase::Starting || !had) each.started = now;
    each.phase = RevisionPhase::Starting;
  }
  void apply(const Shrink& a) {
    find(a.revision)->shrinking_since = now;
    find(a.revision)->shrinking_to = a.to;
  }
  void drain(RevisionSeen& each) {
    if (each.phase != RevisionPhase::Failed) each.phase = RevisionPhase::Draining;
    each.draining_since = now;
    each.weight = 0;
    for (auto& instance : each.instances) instance.sessions = 1;
  }
  void apply(const Serve& a) {
    for (auto& each : revisions)
      if (each.number != a.revision && shares(each)) drain(each);
    auto& each = *find(a.revision);
    each.phase = RevisionPhase::Serving;
    each.served = true;
    each.weight = 0;
  }
  void apply(const Shift& a) {
    find(a.revision)->weight = a.weight;
    find(a.revision)->progressed = now;
  }
  void apply(const RunHook& a) { find(a.revision)->hooks.running = true; }
  void apply(const Withdraw& a) { drain(*find(a.revision)); }
  void apply(const Retire& a) { find(a.revision)->retiring = true; }
  void apply(const Fail& a) {
    find(a.revision)->phase = RevisionPhase::Failed;
    find(a.revision)->message = a.reason;
  }
  void apply(const End& a) { find(a.revision)->phase = RevisionPhase::Retired; }
};

class Course {
 public:
  explicit Course(std::uint64_t seed) : random_{seed} {}

  void play() {
    model_.wanted.scale = below(5) + 1;
    deploy();
    for (int i = 0; i < 150 && !testing::Test::HasFailure(); ++i) {
      happen();
      decided();
    }
    if (!testing::Test::HasFailure()) end();
  }

 private:
  int below(int limit) { return static_cast<int>(random_.between(0, limit - 1)); }
  bool chance(double share) { return random_.real() < share; }

  void deploy() {
    model_.wanted.revision = static_cast<int>(model_.revisions.size()) + 1;
    model_.revisions.push_back({.number = model_.wanted.revision});
    if (chance(0.3)) model_.revisions.back().hooks.total = 1 + below(2);
    if (chance(0.5)) strategy();
  }
  void strategy() {
    auto& wanted = model_.wanted;
    wanted.batches.reset();
    wanted.stages.clear();
    wanted.error_limit = 0.05;
    switch (below(4)) {
      case 0:
        wanted.batches = Batches{.surge = below(3), .unavailable = below(wanted.scale + 1)};
        if (wanted.batches->surge + wanted.batches->unavailable == 0) wanted.batches->surge = 1;
        return;
      case 1:
        for (int weight = below(30); weight <= 100; weight += 1 + below(50))
          wanted.stages.push_back(
              {.weight = weight,
               .pause = chance(0.7) ? std::optional{Duration{seconds{below(90)}}} : std::nullopt});
        return;
      case 2:
        wanted.stages = {{.weight = 0, .pause = std::nullopt}};
        return;
      default:
        return;
    }
  }
  void say() {
    auto& said = model_.wanted.said;
    if (said.revision != model_.wanted.revision) said = {.revision = model_.wanted.revision};
    switch (below(4)) {
      case 0:
        said.paused = true;
        return;
      case 1:
        said.aborted = chance(0.3);
        return;
      default:
        said.paused = false;
        if (model_.standing) said.continued = model_.standing->stage;
    }
  }

  // Something happens outside.
  void happen() {
    const int dice = below(100);
    if (dice < 4) return deploy();
    if (dice < 12) return say();
    if (dice < 14 && !model_.wanted.batches) model_.wanted.scale = below(5) + 1;
    if (dice < 16)  // a restart of the control plane forgets this
      for (auto& each : model_.revisions) each.shrinking_since.reset();
    if (dice < 18 && model_.standing)
      model_.coming = {.all = 100, .errors = static_cast<std::uint64_t>(below(30))};
    outside(0.06);
    model_.now += seconds{below(12)};
  }
  // Instances start, and end badly now and then; what is open ends; groups go; commands end.
  void outside(double trouble) {
    for (auto& each : model_.revisions) {
      for (auto& instance : each.instances) {
        if (instance.phase == Phase::Starting && chance(0.4)) instance.phase = Phase::Ready;
        if (instance.phase == Phase::Backoff && chance(0.5)) instance.phase = Phase::Starting;
        if (chance(trouble)) {
          instance.phase = Phase::Backoff;
          ++instance.restarts;
        }
        if (chance(0.3)) instance.sessions = 0;
      }
      if (each.retiring && chance(0.5)) {
        each.group = each.retiring = false;
        each.instances.clear();
        each.count = 0;
        each.shrinking_since.reset();
      }
      if (each.hooks.running && chance(0.4)) {
        each.hooks.running = false;
        if (chance(trouble))
          each.hooks.failure = "exited with 1";
        else
          ++each.hooks.done;
      }
    }
  }

  std::string show() const {
    std::string text;
    for (const auto& each : model_.revisions) {
      if (!each.group && each.phase != RevisionPhase::Serving) continue;
      text += fmt::format("{}:{} {}x{}{}{}", each.number, static_cast<int>(each.phase),
                          each.retiring ? "retiring " : "", each.count,
                          each.weight ? fmt::format(" {}%", each.weight) : "",
                          each.shrinking_since ? fmt::format(" shrinking to {}", each.shrinking_to) : "");
      for (const auto& one : each.instances) text += fmt::format(" {}", static_cast<int>(one.phase));
      text += "; ";
    }
    return text;
  }

  // Decides once, and holds what was done against what may be done.
  Decision decided() {
    const int carried = model_.carrying(), existed = model_.existing();
    const auto* served = model_.serving();
    const int server = served ? served->number : 0;
    const auto before = show();
    auto made = model_.step();
    const auto what = [&] {
      return fmt::format("revision {} x{} is wanted{}; {}\n before {}\n after  {}\n", model_.wanted.revision,
                         model_.wanted.scale,
                         model_.wanted.batches
                             ? fmt::format(" in batches +{} -{}", model_.wanted.batches->surge,
                                           model_.wanted.batches->unavailable)
                             : fmt::format(" in {} stages", model_.wanted.stages.size()),
                         made.message, before, show());
    };
    const auto* serves = model_.serving();

    EXPECT_TRUE(!server || serves) << what() << ": nobody serves any more";
    const int now = model_.carrying();
    // A decision takes away ready instances only where enough are left; otherwise those that serve are all
    // there.
    if (now < carried)
      EXPECT_TRUE(now >= model_.least() ||
                  (serves && serves->count >= model_.wanted.scale &&
                   (!serves->shrinking_since || serves->shrinking_to >= model_.wanted.scale)))
          << what() << ": " << carried << " were ready, now " << now;
    if (serves && serves->number != server)
      EXPECT_GE(Model::open_ready(*serves), model_.wanted.scale) << what() << ": it serves too early";
    if (model_.wanted.batches && model_.existing() > existed)
      EXPECT_LE(model_.existing(), std::max(model_.wanted.scale + model_.wanted.batches->surge,
                                            serves ? 0 : model_.wanted.scale))
          << what();
    int given = 0;
    for (const auto& each : model_.revisions) {
      EXPECT_GE(each.weight, 0) << what();
      EXPECT_LE(each.weight, 100) << what();
      given += each.weight;
      if (each.weight > 0) EXPECT_TRUE(each.group && Model::shares(each)) << what() << each.number;
      if (each.phase == RevisionPhase::Pending) EXPECT_FALSE(each.group) << what();
      if (each.group && each.hooks.done < each.hooks.total)
        ADD_FAILURE() << what() << ": revision " << each.number << " began before its commands had run";
    }
    EXPECT_LE(given, 102) << what() << ": shares";
    return made;
  }

  // When nothing goes wrong any more, everything comes to its end, with one revision whole.
  void end() {
    const bool aborted = model_.wanted.said.revision == model_.wanted.revision && model_.wanted.said.aborted;
    for (int i = 0; i < 2000; ++i) {
      auto& said = model_.wanted.said;
      if (said.revision != model_.wanted.revision) said = {.revision = model_.wanted.revision};
      said.paused = false;
      if (model_.standing) said.continued = model_.standing->stage;
      outside(0);
      for (auto& each : model_.revisions)
        for (auto& instance : each.instances)
          if (instance.phase == Phase::Ready) instance.restarts = 0;
      model_.now += seconds{3};
      const auto made = decided();
      if (testing::Test::HasFailure()) return;
      if (made.actions.empty() && !made.standing && is_whole()) {
        const auto* target = model_.find(model_.wanted.revision);
        if (aborted) EXPECT_NE(target->phase == RevisionPhase::Starting, true);
        return;
      }
    }
    ADD_FAILURE() << "it never ends: " << model_.step().message;
  }
  bool is_whole() {
    const auto* target = model_.find(model_.wanted.revision);
    if (target->phase != RevisionPhase::Serving && target->phase != RevisionPhase::Failed) return false;
    const auto* serves = model_.serving();
    for (const auto& each : model_.revisions) {
      if (&each == serves) continue;
      if (each.group || each.weight > 0) return false;
    }
    return !serves ||
           (serves->count == model_.wanted.scale && Model::open_ready(*serves) == model_.wanted.scale);
  }

  Random random_;
  Model model_;
};

TEST(RolloutProperties, HoldForEverySeed) {
  for_each_seed(2000, [](std::uint64_t seed) { Course{seed}.play(); });
}

}  // namespace
}  // namespace tow::deploy
