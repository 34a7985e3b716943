// SPDX-License-Identifier: Apache-2.0
#include "base/loop_test.hpp"
#include "engine/contract.hpp"
#include "engine/fake/fake.hpp"

namespace tow::engine::fake {
namespace {

/// One thread and a clock that moves only when nothing else is left to do.
class FakeHarness final : public contract::Harness, public LoopTest {
 public:
  FakeHarness() { restart_engine(); }
  ~FakeHarness() override {
    engine_.reset();
    run(world_.end());
  }
  Engine& engine() override { return *engine_; }
  void restart_engine() override {
    engine_ = std::make_unique<Fake>(world_);
    run(engine_->start());
  }
  void reboot() override {
    world_.reboot();
    restart_engine();
  }
  void until(const std::string& what, const std::function<bool()>& holds) override {
    EXPECT_TRUE(LoopTest::until(holds)) << "never: " << what;
  }
  void run(Task<> task) override { LoopTest::run(std::move(task)); }

  Workload server() override { return named("server", {.ends_after = std::chrono::hours{1000}}); }
  Workload mute() override { return named("mute", {.never_ready = true}); }
  Workload stubborn() override { return named("stubborn", {.ignores_term = true}); }
  Workload printer(std::vector<std::string> lines) override {
    return named("printer", {.ends_after = Duration{5}, .says = std::move(lines)});
  }
  Workload failing(int exit_code) override {
    return named("failing", {.ends_after = Duration{5}, .exit_code = exit_code});
  }
  Workload greedy(Bytes limit) override {
    auto workload = named("greedy", {.ends_after = Duration{5}, .out_of_memory = true});
    workload.main().limits.memory = limit;
    return workload;
  }
  Workload with(Workload workload, const std::string& name, const Workload& other) override {
    world_.behave(workload.component + "/" + name, behaviours_.at(other.component));
    workload.containers.push_back(other.main());
    workload.containers.back().name = name;
    return workload;
  }

 private:
  Workload named(const std::string& component, Behaviour behaviour) {
    world_.behave(component, behaviours_[component] = behaviour);
    Workload w;
    w.component = component;
    w.environment = "e1";
    w.user_base = 1'000'000;
    w.containers = {{.image = "image"}};
    w.ports = {{.name = "http", .port = 8080}};
    return w;
  }
  std::map<std::string, Behaviour> behaviours_;
  World world_{io.get_executor(), shared_clock()};
  std::unique_ptr<Fake> engine_;
};

}  // namespace

using contract::EngineContract;
INSTANTIATE_TEST_SUITE_P(Fake, EngineContract, testing::Values([]() -> std::unique_ptr<contract::Harness> {
                           return std::make_unique<FakeHarness>();
                         }));

}  // namespace tow::engine::fake
