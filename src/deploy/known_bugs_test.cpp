// SPDX-License-Identifier: Apache-2.0
// Known bugs, put back on purpose: the simulation must find each of them, or it proves nothing. The linker
// puts the functions below in the place of deploy's own in this test program (CMakeLists.txt); without a bug
// they are those.
#include <gtest/gtest-spi.h>

#include "deploy/pass.hpp"
#include "deploy/simulation_test.hpp"

#define TOWPATH_DECIDE                                                                          \
  "_ZN3tow6deploy6decideERKNS0_6WantedERKNS0_8ObservedENSt6chrono10time_pointINS7_3_V212system" \
  "_clockENS7_8durationIlSt5ratioILl1ELl1000EEEEEE"
#define TOWPATH_SITES_OF "_ZN3tow6deploy8sites_ofERKNS0_12TrafficInputE"
#define TOWPATH_DIRECT_TRAFFIC "_ZN3tow6deploy4Pass14direct_trafficEv"

namespace tow::deploy {

Decision own_decide(const Wanted&, const Observed&, TimePoint) __asm__("__real_" TOWPATH_DECIDE);
Decision put_decide(const Wanted&, const Observed&, TimePoint) __asm__("__wrap_" TOWPATH_DECIDE);
std::vector<route::Site> own_sites_of(const TrafficInput&) __asm__("__real_" TOWPATH_SITES_OF);
std::vector<route::Site> put_sites_of(const TrafficInput&) __asm__("__wrap_" TOWPATH_SITES_OF);
Task<> own_direct_traffic(Pass*) __asm__("__real_" TOWPATH_DIRECT_TRAFFIC);
Task<> put_direct_traffic(Pass*) __asm__("__wrap_" TOWPATH_DIRECT_TRAFFIC);

namespace {

struct Bug {
  const char* name;
  std::function<void(const Wanted&, Observed&)> sees = nullptr;                      // before it decides
  std::function<void(const Wanted&, const Observed&, Decision&)> decides = nullptr;  // after
  std::function<void(TrafficInput&)> directs = nullptr;
  bool traffic_stays = false;
};
const Bug* bug = nullptr;

std::optional<int> serving_in(const Observed& observed) {
  for (const auto& revision : observed.revisions)
    if (revision.phase == Revision::Phase::Serving) return revision.number;
  return {};
}
template <class A>
void forget(Decision& decision) {
  std::erase_if(decision.actions, [](const Action& action) { return std::holds_alternative<A>(action); });
}

const std::vector<Bug>& known_bugs() {
  static const std::vector<Bug> bugs{
      {.name = "traffic goes to what is not ready",
       .directs =
           [](TrafficInput& input) {
             for (auto& side : input.sides)
               for (auto& instance : side.instances) instance.phase = engine::Phase::Ready;
           }},
      {.name = "traffic stays where it was", .traffic_stays = true},
      {.name = "two revisions write to one volume",
       .sees =
           [](const Wanted&, Observed& observed) {
             for (auto& revision : observed.revisions) revision.exclusive = false;
           }},
      {.name = "what does not become ready is waited for without end",
       .decides = [](const Wanted&, const Observed&, Decision& decision) { forget<Fail>(decision); }},
      {.name = "what is retired stays",
       .decides = [](const Wanted&, const Observed&, Decision& decision) { forget<Retire>(decision); }},
      {.name = "it is called gone before it is",
       .decides =
           [](const Wanted&, const Observed&, Decision& decision) {
             for (auto& action : decision.actions)
               if (const auto* retire = std::get_if<Retire>(&action)) action = End{retire->revision};
           }},
      {.name = "the scale is forgotten",
       .sees = [](const Wanted& wanted, Observed&) { const_cast<Wanted&>(wanted).scale = 1; }},
      {.name = "what serves goes when another comes",
       .decides =
           [](const Wanted& wanted, const Observed& observed, Decision& decision) {
             const auto serving = serving_in(observed);
             if (serving && *serving != wanted.revision) decision.actions.push_back(Retire{*serving});
           }},
  };
  return bugs;
}

}  // namespace

Decision put_decide(const Wanted& wanted, const Observed& observed, TimePoint now) {
  if (!bug) return own_decide(wanted, observed, now);
  auto seen = observed;
  if (bug->sees) bug->sees(wanted, seen);
  auto decision = own_decide(wanted, seen, now);
  if (bug->decides) bug->decides(wanted, observed, decision);
  return decision;
}

std::vector<route::Site> put_sites_of(const TrafficInput& input) {
  if (!bug || !bug->directs) return own_sites_of(input);
  auto other = input;
  bug->directs(other);
  return own_sites_of(other);
}

Task<> put_direct_traffic(Pass* pass) {
  static int calls = 0;
  if (bug && bug->traffic_stays && ++calls % 3 == 0) return []() -> Task<> { co_return; }();
  return own_direct_traffic(pass);
}

namespace {

class KnownBugs : public testing::TestWithParam<Bug> {
 protected:
  ~KnownBugs() override { bug = nullptr; }
};

TEST_P(KnownBugs, AreFound) {
  bug = &GetParam();
  constexpr std::uint64_t kSeeds = 100;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    testing::TestPartResultArray found;
    {
      const testing::ScopedFakeTestPartResultReporter collect{
          testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &found};
      try {
        Simulation{seed, [&] { return found.size() > 0; }}.run();
      } catch (const Error& error) {
        ADD_FAILURE() << error.message();
      }
    }
    if (found.size() == 0) continue;
    std::cout << "found with seed " << seed << ": " << found.GetTestPartResult(0).message() << "\n";
    return;
  }
  FAIL() << kSeeds << " seeds do not find: " << bug->name;
}

INSTANTIATE_TEST_SUITE_P(Deploy, KnownBugs, testing::ValuesIn(known_bugs()), [](const auto& each) {
  std::string name = each.param.name;
  for (auto& c : name)
    if (c == ' ') c = '_';
  return name;
});

}  // namespace
}  // namespace tow::deploy
