// SPDX-License-Identifier: Apache-2.0
#pragma once
// A platform of fakes under random operations and random faults, with time compressed. Every seed is a run of
// its own, and the same seed is the same run: TOWPATH_SEED=17 repeats one, TOWPATH_SEEDS=5000 runs more.
//
// What must hold: traffic goes to ready instances alone; a volume is never written by two revisions; nothing
// that was acknowledged is lost; and when the faults are over, every deployment comes to its end and nothing
// is left of what was destroyed.
#include <gtest/gtest.h>

#include "base/ids.hpp"
#include "deploy/bench_test.hpp"

namespace tow::deploy {

using Phase = Deployment::Phase;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

inline std::string score_of(const std::string& component) {
  if (component == "worker")
    return R"({apiVersion: score.dev/v1b1, metadata: {name: worker},
        containers: {main: {image: ., volumes: {/data: {source: "${resources.data}"}}}},
        resources: {data: {type: volume}}})";
  return R"({apiVersion: score.dev/v1b1, metadata: {name: )" + component +
         R"(}, service: {ports: {http: {port: 80, targetPort: 8080}}},
        containers: {main: {image: ., variables: {G: "${resources.env.G}"}}},
        resources: {env: {type: environment}, route: {type: route, params: {port: http}}}})";
}

class Simulation {
 public:
  /// `stop`: asked after each act whether something was found.
  explicit Simulation(std::uint64_t seed, std::function<bool()> stop = &testing::Test::HasFailure)
      : stop_{std::move(stop)}, random_{seed}, bench_{seed} {
    bench_.create_project();
    set_value("project", "0");
    for (const auto* component : {"web", "api", "worker"})
      for (int i = 1; i <= 4; ++i)
        bench_.release(fmt::format("{}.{}", component, i), component, score_of(component),
                       fmt::format("image-{}", i));
  }

  void run() {
    for (int i = 0; i < 40; ++i) {
      act();
      pass_time();
      if (stop_()) return;
    }
    heal();
    check_end();
  }

 private:
  bool chance(double share) { return random_.real() < share; }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(all.size()) - 1))];
  }
  std::string component() { return one_of<std::string>({"web", "web", "api", "worker"}); }
  std::string environment() { return one_of<std::string>({"development", "development", "production"}); }
  std::string some_deployment() { return component() + "." + environment(); }

  // --- operations; what is refused leaves no trace in what is expected ---

  void act() {
    const auto dice = random_.between(0, 99);
    if (dice < 30) return deploy();
    if (dice < 38) return roll_back();
    if (dice < 46) return scale();
    if (dice < 50) return attempt([&] { bench_.invoke("deployments.restart", some_deployment()); });
    if (dice < 58)
      return set_value(one_of<std::string>({"project", "development", "web.development"}),
                       std::to_string(random_.between(1, 5)));
    if (dice < 62) return destroy();
    if (dice < 76) return hurt_instance();
    if (dice < 84) return change_behaviour();
    if (dice < 88) return trouble();
    if (dice < 90) return bench_.world_.reboot();
    if (dice < 94) return steer();
    crash();
  }

  void attempt(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_NE(error.code(), Code::Internal) << error.message();
    }
  }

  void deploy() {
    DeployInput input{.component = component(), .environment = environment()};
    input.release = fmt::format("{}.{}", input.component, random_.between(1, 4));
    input.cause = chance(0.5) ? "push" : "deploy";
    if (chance(0.5)) input.strategy = strategy();
    attempt([&] {
      const auto output = bench_.run(bench_.deployments_->deploy(bench_.call("Deployment", ""), input));
      releases_[output.deployment] = input.release;
    });
  }
  Strategy strategy() {
    return read_document<Strategy>(
        parse_yaml(one_of<std::string>({"rolling", "recreate", "blue-green", "{type: blue-green, pause: 20s}",
                                        "{type: canary, steps: [10, 60], pause: 15s}",
                                        "{type: rolling, maxSurge: 1}",
                                        "{type: rolling, maxSurge: 0, maxUnavailable: 50%}"})),
        "strategy");
  }
  void steer() {
    attempt([&] {
      bench_.invoke(one_of<std::string>({"deployments.pause", "deployments.continue", "deployments.abort"}),
                    some_deployment());
    });
  }
  void roll_back() {
    const auto name = some_deployment();
    attempt([&] {
      releases_[name] = *bench_.invoke("deployments.rollback", name, Node::Map{}).find("release")->string();
    });
  }
  void scale() {
    const auto name = some_deployment();
    const auto count = random_.between(0, 3);
    attempt([&] {
      bench_.invoke("deployments.scale", name, Node::Map{{"count", count}});
      scales_[name] = static_cast<int>(count);
    });
  }
  void set_value(const std::string& scope, const std::string& value) {
    const Node input = Node::Map{{"scope", scope}, {"set", Node::Map{{"G", value}}}};
    attempt([&] {
      bench_.invoke("configurations.set", "", input);
      values_[scope] = value;
    });
  }
  void destroy() {
    const auto name = some_deployment();
    const auto id = key<Deployment>("shop", name);
    if (!bench_.store_->snapshot()->get(id)) return;
    bench_.erase(id);
    releases_.erase(name);
    scales_.erase(name);
    values_.erase(name);
  }

  // --- faults ---

  std::optional<std::string> some_instance() {
    std::vector<std::string> all;
    for (const auto& group : bench_.engine_->groups())
      for (const auto& instance : group.instances) all.push_back(instance.id);
    if (all.empty()) return {};
    std::ranges::sort(all);
    return one_of(all);
  }
  void hurt_instance() {
    const auto instance = some_instance();
    if (!instance) return;
    if (chance(0.4)) return bench_.world_.crash(*instance);
    if (chance(0.3)) return bench_.world_.kill_for_memory(*instance);
    bench_.world_.set_passing(*instance, chance(0.5));
  }
  void change_behaviour() {
    engine::fake::Behaviour behaviour;
    if (chance(0.4)) behaviour.ready = seconds{random_.between(0, 20)};
    if (chance(0.2)) behaviour.never_ready = true;
    if (chance(0.2)) {
      behaviour.ends_after = milliseconds{random_.between(1, 5000)};
      behaviour.exit_code = 1;
    }
    if (chance(0.1)) behaviour.refused = "the image is not there";
    if (chance(0.2)) behaviour.ignores_term = true;
    bench_.world_.behave(component(), behaviour);
  }
  void trouble() {
    if (chance(0.5)) {
      refusing_ = !refusing_;
      bench_.world_.refuse(refusing_ ? std::optional{Error{Code::Unavailable, "the engine is busy"}}
                                     : std::nullopt);
    } else {
      bench_.plane_.fail_next(Error{Code::Unavailable, "the proxy is busy"},
                              static_cast<int>(random_.between(1, 5)));
    }
  }
  void crash() {
    bench_.go(random_.between(0, 60));
    bench_.world_.refuse({});
    refusing_ = false;
    bench_.plane_.fail_next(Error{Code::Unavailable, "over"}, 0);
    bench_.restart();
  }

  void pass_time() {
    const auto end = bench_.now() + (chance(0.5) ? milliseconds{random_.between(0, 200)}
                                                 : milliseconds{random_.between(0, 40'000)});
    bench_.settle();
    check_now();
    while (const auto next = bench_.clock.next()) {
      if (*next > end) break;
      bench_.clock.advance(*next - bench_.now());
      bench_.settle();
      check_now();
      if (stop_()) return;
    }
  }
  void heal() {
    bench_.world_.refuse({});
    bench_.plane_.fail_next(Error{Code::Unavailable, "over"}, 0);
    for (const auto* each : {"web", "api", "worker"}) {
      const bool broken = chance(0.1);  // for good: nothing of it comes up any more
      if (broken) broken_.insert(each);
      bench_.world_.behave(each, {.never_ready = broken});
    }
    // What was told not to pass its probe would never pass it by itself.
    for (const auto& group : bench_.engine_->groups())
      for (const auto& instance : group.instances) bench_.world_.set_passing(instance.id, true);
    for (const auto& each : bench_.list<Deployment>())
      if (each.spec.rollout && each.spec.rollout->paused)
        attempt([&] { bench_.invoke("deployments.continue", each.name()); });
    bench_.advance(minutes{15});
  }

  // --- what must hold ---

  void check_now() {
    std::map<std::string, int> writers;
    for (const auto& revision : bench_.list<Revision>()) {
      const auto group = bench_.engine_->group(revision.uid());
      if (group && revision.spec.exclusive) ++writers[revision.spec.deployment];
    }
    for (const auto& [deployment, count] : writers)
      EXPECT_LE(count, 1) << deployment << " writes twice to its volume";
    for (const auto& revision : bench_.list<Revision>()) {
      if (revision.status.phase != Revision::Phase::Serving) continue;
      const auto deployment = bench_.get<Deployment>(revision.spec.deployment);
      if (!deployment || deployment->deleting() || revision.spec.exclusive) continue;
      if (deployment->spec.strategy.type == StrategyType::Recreate || deployment->spec.scale == 0) continue;
      const auto group = bench_.engine_->group(revision.uid());
      EXPECT_TRUE(group && !group->retiring) << revision.name() << " serves, and its instances go";
    }

    for (const auto& deployment : bench_.list<Deployment>()) {
      if (deployment.spec.component == "worker" || deployment.deleting()) continue;
      const auto host =
          fmt::format("{}--{}--shop.localhost", deployment.spec.component, deployment.spec.environment);
      const auto site = bench_.plane_.site(deployment.uid());
      if (!site) continue;
      for (const auto& server : site->servers) {
        if (server.weight == 0) continue;
        const auto group = bench_.engine_->group(server.id.substr(0, server.id.rfind('-')));
        const bool ready = group && std::ranges::any_of(group->instances, [&](const auto& each) {
                             return each.id == server.id && each.phase == engine::Phase::Ready;
                           });
        // An engine or a proxy that refuses is asked again after a while.
        EXPECT_TRUE(ready || troubled(deployment))
            << host << " leads to " << server.id << ", which is not ready";
      }
    }
    std::set<std::uint32_t> ranges;
    for (const auto& project : bench_.list<Project>())
      if (project.status.user_base) EXPECT_TRUE(ranges.insert(project.status.user_base).second);
  }
  bool troubled(const Entity<Deployment>& deployment) const {
    return refusing_ || deployment.status.message.find("busy") != std::string::npos;
  }

  void check_end() {
    const auto snapshot = bench_.store_->snapshot();
    for (const auto& [name, release] : releases_) {
      const auto deployment = bench_.get<Deployment>(name);
      ASSERT_TRUE(deployment) << name << " was deployed, and is gone";
      EXPECT_EQ(deployment->spec.release, release) << name;
      if (scales_.contains(name)) EXPECT_EQ(deployment->spec.scale, scales_[name]) << name;
      const auto& status = deployment->status;
      EXPECT_EQ(status.observed_generation, deployment->record->generation) << name;
      const bool lacks = status.phase == Phase::Degraded && broken_.contains(deployment->spec.component);
      EXPECT_TRUE(lacks || status.phase == Phase::Healthy || status.phase == Phase::Failed)
          << name << ": " << to_json(write(status));
      if (status.phase == Phase::Healthy) check_healthy(*deployment);
    }
    EXPECT_EQ(bench_.list<Deployment>().size(), releases_.size());
    for (const auto& [scope, value] : values_)
      EXPECT_EQ(bench_.get<Configuration>(scope)->spec.values.at("G").value, value) << scope;

    std::set<std::string> instances, mirrored;
    for (const auto& group : bench_.engine_->groups()) {
      const auto record = snapshot->get_by_uid(group.id);
      ASSERT_TRUE(record) << "a group of nobody: " << group.id;
      const auto revision = decode<Revision>(record);
      // What a failed one gave way to is asked for until it comes back.
      const bool returns = bench_.status(revision.spec.deployment).phase == Phase::Failed &&
                           revision.status.phase == Revision::Phase::Starting;
      EXPECT_TRUE(returns || revision.status.phase == Revision::Phase::Serving) << revision.name();
      for (const auto& instance : group.instances) instances.insert(instance.id);
    }
    for (const auto& instance : bench_.list<Instance>()) mirrored.insert(instance.name());
    EXPECT_EQ(instances, mirrored);
    for (const auto& [id, site] : bench_.plane_.sites())
      EXPECT_TRUE(snapshot->get_by_uid(id)) << "a site of nobody: " << id;
    EXPECT_TRUE(bench_.runtime_->idle());
  }

  void check_healthy(const Entity<Deployment>& deployment) {
    const auto& status = deployment.status;
    const auto serving = bench_.get<Revision>(fmt::format("{}.{}", deployment.name(), status.serving));
    ASSERT_TRUE(serving) << deployment.name();
    EXPECT_EQ(serving->spec.release, deployment.spec.release);
    const bool worker = deployment.spec.component == "worker";
    EXPECT_EQ(status.ready, worker ? std::min(deployment.spec.scale, 1) : deployment.spec.scale)
        << deployment.name();
    if (worker) return;
    const auto host =
        fmt::format("{}--{}--shop.localhost", deployment.spec.component, deployment.spec.environment);
    const auto met = bench_.plane_.request(host);
    EXPECT_EQ(met.status, deployment.spec.scale ? 200 : 503) << host;
    if (!deployment.spec.restored) {
      std::string expected = values_["project"];
      for (const auto& scope : {deployment.spec.environment, deployment.name()})
        if (const auto found = values_.find(scope); found != values_.end()) expected = found->second;
      EXPECT_EQ(serving->spec.configuration.at("G").value, expected) << deployment.name();
    }
  }

  std::function<bool()> stop_;
  Random random_;
  Bench bench_;
  bool refusing_ = false;
  std::set<std::string> broken_;                 // components
  std::map<std::string, std::string> releases_;  // by deployment, as acknowledged
  std::map<std::string, int> scales_;
  std::map<std::string, std::string> values_;  // of the name G, by scope
};

}  // namespace tow::deploy
