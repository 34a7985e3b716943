// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests: Observe over a store in memory, an engine and a proxy that do what they are told, on one thread
// and with a clock that moves only when nothing else is left to do.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/api.hpp"
#include "base/loop_test.hpp"
#include "engine/fake/fake.hpp"
#include "model/entity.hpp"
#include "model/operations.hpp"
#include "observe/observe.hpp"
#include "route/fake/fake.hpp"
#include "store/memory/memory.hpp"

namespace tow::observe {

/// Lets in who sends the token "good"; of those, who calls itself so may read.
class OneToken final : public api::Gate {
 public:
  Task<api::Subject> authenticate(const http::Request& request) override {
    if (request.headers.get("Authorization") != "Bearer good")
      throw fail(Code::Unauthenticated, "no token was sent");
    co_return api::Subject{.name = "prometheus", .administrator = true};
  }
  void authorize(const api::Subject&, api::Permission permission, const Key& target) const override {
    if (permission != api::Permission::Read || !target.name.empty()) throw fail(Code::Denied, "no");
  }
};

class Harness : public LoopTest {
 public:
  explicit Harness(Duration sample_every = std::chrono::seconds{10})
      : sample_every_{sample_every}, directory_{make_directory()}, world_{io.get_executor(), shared_clock()} {
    busy_ = [this] { return observe_ && !observe_->idle(); };  // the disk's thread
    open();
  }
  ~Harness() {
    hang_up();
    close();
    run(world_.end());
    std::filesystem::remove_all(directory_);
  }

  /// As a restart of the control plane.
  void reopen() {
    close();
    open();
  }

  engine::fake::World& world() { return world_; }
  engine::Engine& engine() { return *engine_; }
  route::fake::DataPlane& proxy() { return proxy_; }
  store::Store& store() { return *store_; }
  Observe& observe() { return *observe_; }
  const std::filesystem::path& directory() const { return directory_; }

  void until(const std::string& what, const std::function<bool()>& holds) {
    EXPECT_TRUE(LoopTest::until(holds)) << "never: " << what;
  }

  /// To the next sample, and not beyond it.
  void pass_to_sample() {
    const Duration interval = std::chrono::seconds{10};
    advance(interval - clock.now().time_since_epoch() % interval);
  }

  template <class K>
  RecordPtr create(const std::string& name, typename K::Spec spec, typename K::Status status,
                   const std::string& owner = {}) {
    auto record = draft<K>("shop", name, spec);
    record.owner = owner;
    store::Transaction transaction;
    transaction.create(std::move(record));
    transaction.put_status(key<K>("shop", name), encode_status<K>(status));
    run([](store::Store& store, store::Transaction t) -> Task<> { co_await store.commit(std::move(t)); }(
                                                          *store_, std::move(transaction)));
    return store_->snapshot()->get(key<K>("shop", name));
  }
  template <class K>
  void put_status(const std::string& name, typename K::Status status) {
    store::Transaction transaction;
    transaction.put_status(key<K>("shop", name), encode_status<K>(status));
    commit(std::move(transaction));
  }
  void commit(store::Transaction transaction) {
    run([](store::Store& store, store::Transaction t) -> Task<> { co_await store.commit(std::move(t)); }(
                                                          *store_, std::move(transaction)));
  }
  RecordPtr deployment(const std::string& name, int serving) {
    const auto dot = name.find('.');
    return create<Deployment>(
        name,
        {.component = name.substr(0, dot), .environment = name.substr(dot + 1), .release = "r1", .scale = 2},
        {.phase = Deployment::Phase::Healthy, .latest = serving, .serving = serving});
  }
  RecordPtr revision(const Record& deployment, int number, Revision::Phase phase = Revision::Phase::Serving,
                     std::optional<TimePoint> ended = {}) {
    return create<Revision>(deployment.key.name + "." + std::to_string(number),
                            {.deployment = deployment.key.name, .number = number, .release = "r1"},
                            {.phase = phase, .ended = ended}, deployment.uid);
  }
  /// Instances of a revision, until they are ready.
  void ensure(const Record& revision, int count, Bytes memory = {}) {
    engine::Workload workload{.project = "shop",
                              .environment_name = "development",
                              .component = "web",
                              .environment = "e1",
                              .user_base = 100000,
                              .containers = {{.image = "i1"}}};
    if (memory.count) workload.main().limits.memory = memory;
    run(engine_->ensure({.id = revision.uid, .workload = workload, .count = count}));
    until("instances are ready", [&] {
      const auto group = engine_->group(revision.uid);
      return group && std::ranges::count(group->instances, engine::Phase::Ready,
                                         &engine::InstanceView::phase) == count;
    });
  }
  void retire(const Record& revision) {
    run(engine_->retire(revision.uid, std::chrono::seconds{1}));
    until("it is gone", [&] { return !engine_->group(revision.uid); });
  }

  const api::AnyOperation& operation(std::string_view name) const {
    for (const auto& each : api_->operations())
      if (each.name == name) return each;
    throw fail(Code::Internal, "no operation {}", name);
  }
  template <class Out, class In = Nothing>
  Out call(std::string_view name, const std::string& target, In input = {}) {
    const auto& found = operation(name);
    const api::Call call{
        .subject = {.name = "ada"}, .target = {found.kind, "shop", target}, .time = clock.now()};
    return read_stored_node<Out>(run(found.unary(call, write(input))));
  }
  /// A stream of entries; it may go on after this returns.
  struct Reading {
    std::vector<LogEntry> entries;
    bool ended = false;
    std::exception_ptr failure;
    std::vector<std::string> texts() const {
      std::vector<std::string> all;
      for (const auto& entry : entries) all.push_back(entry.text);
      return all;
    }
  };
  std::shared_ptr<Reading> read_logs(const std::string& operation_name, const std::string& target,
                                     LogInput input) {
    auto reading = std::make_shared<Reading>();
    const auto& found = operation(operation_name);
    api::Call call{.subject = {.name = "ada"}, .target = {found.kind, "shop", target}, .time = clock.now()};
    callers_.push_back(std::make_unique<Scope>(io.get_executor(), "caller"));
    callers_.back()->spawn(
        [](const api::AnyOperation& op, api::Call by, Node in, std::shared_ptr<Reading> out) -> Task<> {
          try {
            co_await op.stream(std::move(by), in, [out](const Node& item) -> Task<> {
              out->entries.push_back(read_stored_node<LogEntry>(item));
              co_return;
            });
          } catch (...) {
            out->failure = std::current_exception();
          }
          out->ended = true;
        }(found, std::move(call), write(input), reading));
    settle();
    return reading;
  }
  /// The callers of all streams go away.
  void hang_up() {
    for (const auto& caller : callers_) caller->cancel();
    for (const auto& caller : callers_) run(caller->join());
    callers_.clear();
  }
  /// To its end.
  std::vector<std::string> logs(const std::string& target, LogInput input = {}) {
    const auto reading = read_logs("deployments.logs", target, input);
    until("the logs end", [&] { return reading->ended; });
    if (reading->failure) std::rethrow_exception(reading->failure);
    return reading->texts();
  }

  template <class T>
  static T read_stored_node(const Node& node) {
    T value{};
    Reading_ reading{Strictness::Stored};
    read(node, value, reading);
    reading.finish("an answer");
    return value;
  }

 private:
  using Reading_ = tow::Reading;

  static std::filesystem::path make_directory() {
    std::string name = std::filesystem::temp_directory_path() / "observe-XXXXXX";
    if (!::mkdtemp(name.data())) throw system_error("mkdtemp", errno);
    return name;
  }
  void open() {
    if (!store_) store_ = store::memory::open({.is_cold = is_cold, .clock = &clock, .feed = {}});
    engine_ = std::make_unique<engine::fake::Fake>(world_);
    run(engine_->start());
    router_ = route::fake::make(proxy_);
    run(router_->start());
    observe_ = std::make_unique<Observe>(Settings{.store = *store_,
                                                  .engine = *engine_,
                                                  .router = *router_,
                                                  .gate = gate_,
                                                  .clock = clock,
                                                  .executor = io.get_executor(),
                                                  .directory = directory_ / "samples",
                                                  .version = "0.1.0",
                                                  .http = [] { return http::Server::Counts{.requests = 42}; },
                                                  .sample_every = sample_every_});
    api_ = std::make_unique<api::Api>(
        api::Settings{.store = *store_, .gate = gate_, .clock = clock, .version = "0.1.0"});
    observe_->add_operations(*api_);
    observe_->start();
    settle();
  }
  void close() {
    run(observe_->stop());
    observe_.reset();
    api_.reset();
    run(router_->stop());
    run(engine_->stop());
    engine_.reset();
  }

  Duration sample_every_;
  std::filesystem::path directory_;
  engine::fake::World world_;
  route::fake::DataPlane proxy_;
  OneToken gate_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<engine::fake::Fake> engine_;
  std::unique_ptr<route::Router> router_;
  std::unique_ptr<Observe> observe_;
  std::unique_ptr<api::Api> api_;
  std::vector<std::unique_ptr<Scope>> callers_;
};

}  // namespace tow::observe
