// SPDX-License-Identifier: Apache-2.0
#pragma once
// A platform of fakes on one thread and a clock that stands still until it is moved: for tests of deploy.

#include <memory>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "base/loop_test.hpp"
#include "deploy/deploy.hpp"
#include "engine/fake/fake.hpp"
#include "image/fake/fake.hpp"
#include "model/identity.hpp"
#include "model/project.hpp"
#include "route/fake/fake.hpp"
#include "store/memory/memory.hpp"

namespace tow::deploy {

/// Readable, so that tests see what was sealed for what.
class PlainSealer final : public secret::Sealer {
 public:
  std::string seal(std::string_view value, std::string_view context) const override {
    return fmt::format("{}|{}", context, value);
  }
  std::string open(std::string_view sealed, std::string_view context) const override {
    const auto begin = fmt::format("{}|", context);
    if (!sealed.starts_with(begin)) throw Error{Code::Invalid, "sealed for something else"};
    return std::string{sealed.substr(begin.size())};
  }
};

/// The error that a call ends with.
template <class F>
Error refused(F call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return {Code::Internal, "it was not refused"};
}

class Bench : public LoopTest {
 public:
  explicit Bench(std::uint64_t seed = 0) : seed_{seed} {
    log::set_level(log::Level::Error);
    store_ = store::memory::open({.is_cold = is_cold, .clock = &clock, .feed = {}});
    start();
  }
  ~Bench() {
    crash();
    run(world_.end());
  }

  // --- the control plane ---
  void start() {
    engine_ = std::make_unique<engine::fake::Fake>(world_);
    router_ = route::fake::make(plane_);
    runtime_ = std::make_unique<control::Runtime>(
        control::Settings{.store = *store_, .clock = clock, .executor = io.get_executor(), .seed = seed_});
    deployments_ = std::make_unique<Deployments>(Settings{.store = *store_,
                                                          .engine = *engine_,
                                                          .router = *router_,
                                                          .images = images_,
                                                          .sealer = sealer_,
                                                          .clock = clock,
                                                          .domain = [this] { return domain; },
                                                          .limits = {}});
    api_ = std::make_unique<api::Api>(
        api::Settings{.store = *store_, .gate = gate_, .clock = clock, .version = "test"});
    run(engine_->start());
    run(router_->start());
    run(deployments_->start());
    for (auto& controller : deployments_->controllers()) runtime_->add(std::move(controller));
    deployments_->add_operations(*api_);
    deployments_->connect(*runtime_);
    runtime_->start();
  }
  /// As by SIGKILL: wherever it is, it ends; the store, the instances and the proxy go on.
  void crash() {
    if (!runtime_) return;
    run(runtime_->stop());
    deployments_.reset();
    api_.reset();
    runtime_.reset();
    engine_.reset();
    router_.reset();
  }
  void restart() {
    crash();
    start();
  }

  // --- calls ---
  api::Call call(std::string kind, std::string name, std::string by = "ann") const {
    return {.subject = {.name = std::move(by), .administrator = true},
            .target = {std::move(kind), "shop", std::move(name)},
            .time = clock.now()};
  }
  /// An operation, as over the API.
  Node invoke(std::string_view operation, const std::string& name, Node input = {}, std::string by = "ann") {
    return run(api_->invoke(operation, call({}, name, std::move(by)), std::move(input)));
  }

  // --- entities ---
  void create(Record draft) {
    store::Transaction transaction;
    transaction.create(std::move(draft));
    run(commit(std::move(transaction)));
  }
  void erase(const Key& key) {
    store::Transaction transaction;
    transaction.erase(key);
    run(commit(std::move(transaction)));
  }
  template <class K>
  std::optional<Entity<K>> get(const std::string& name, const std::string& project = "shop") {
    const auto record = store_->snapshot()->get(key<K>(K::kind == Project::kind ? "" : project, name));
    if (!record) return {};
    return decode<K>(record);
  }
  template <class K>
  std::vector<Entity<K>> list() {
    std::vector<Entity<K>> all;
    for (const auto& record :
         store_->snapshot()->list({.kind = std::string{K::kind}, .project = {}, .owner = {}, .labels = {}}))
      all.push_back(decode<K>(record));
    return all;
  }
  Deployment::Status status(const std::string& name = "web.development") {
    const auto deployment = get<Deployment>(name);
    return deployment ? deployment->status : Deployment::Status{};
  }

  // --- the shop ---
  void create_project() {
    create(draft<Project>({}, "shop", {.title = "Shop", .description = {}}));
    settle();
  }
  /// A release of a component, as pipeline makes it. `score` is YAML.
  void release(const std::string& name, const std::string& component, const std::string& score,
               const std::string& image = "image-1") {
    create(draft<Release>("shop", name,
                          {.component = component, .image = image, .score = parse_yaml(score), .by = "ann"}));
  }
  DeployOutput deploy(const std::string& component, const std::string& release,
                      const std::string& environment = "development", const std::string& cause = "deploy") {
    return run(deployments_->deploy(
        call("Deployment", ""),
        {.component = component, .environment = environment, .release = release, .cause = cause}));
  }
  bool until_phase(Deployment::Phase phase, const std::string& name = "web.development",
                   Duration limit = std::chrono::minutes{10}) {
    return until(
        [&] {
          const auto deployment = get<Deployment>(name);
          return deployment && deployment->status.observed_generation == deployment->record->generation &&
                 deployment->status.phase == phase;
        },
        limit);
  }
  bool until_healthy(const std::string& name = "web.development") {
    return until_phase(Deployment::Phase::Healthy, name);
  }
  /// The number of the revision that answers a request; 0 when none does.
  int answers(const std::string& host = "web--development--shop.localhost") {
    const auto met = plane_.request(host);
    if (met.status != 200) return 0;
    const auto record = store_->snapshot()->get_by_uid(met.server.substr(0, met.server.rfind('-')));
    return record ? decode<Revision>(record).spec.number : -1;
  }

  std::string domain = "localhost";
  engine::fake::World world_{io.get_executor(), shared_clock()};
  route::fake::DataPlane plane_;
  image::fake::FakeImages images_{clock};
  PlainSealer sealer_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<route::Router> router_;
  std::unique_ptr<Deployments> deployments_;
  std::unique_ptr<control::Runtime> runtime_;
  std::unique_ptr<api::Api> api_;

 private:
  class OpenGate final : public api::Gate {
   public:
    Task<api::Subject> authenticate(const http::Request&) override { co_return api::Subject{"ann", true}; }
    void authorize(const api::Subject&, api::Permission, const Key&) const override {}
  };
  Task<> commit(store::Transaction transaction) { co_await store_->commit(std::move(transaction)); }

  std::uint64_t seed_;
  OpenGate gate_;
};

inline const std::string kWebScore = R"(
apiVersion: score.dev/v1b1
metadata: { name: web }
service: { ports: { http: { port: 80, targetPort: 8080 } } }
containers:
  main:
    image: .
    variables: { GREETING: "${resources.env.GREETING}" }
resources:
  env: { type: environment }
  route: { type: route, params: { port: http } }
)";

inline const std::string kPlainScore = R"(
apiVersion: score.dev/v1b1
metadata: { name: web }
service: { ports: { http: { port: 80, targetPort: 8080 } } }
containers: { main: { image: . } }
resources: { route: { type: route, params: { port: http } } }
)";

}  // namespace tow::deploy
