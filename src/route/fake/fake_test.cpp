// SPDX-License-Identifier: Apache-2.0
#include "route/fake/fake.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "route/contract.hpp"

namespace tow::route::fake {
namespace {

class FakeSubject final : public contract::Subject {
 public:
  void run(Task<> task) override { run_blocking(std::move(task)); }
  Router& router() override { return *router_; }
  void restart() override {
    run(router_->stop());
    router_ = make(plane_);
  }
  Server server(const std::string& id, int weight) override {
    return {.id = id, .address = "10.0.0.1", .port = 80, .weight = weight};
  }
  std::string request(const std::string& host, const std::string& path) override {
    return shown(plane_.request(host, path.substr(0, path.find('?'))));
  }
  std::function<std::string()> begin_request(const std::string& host) override {
    const auto answer = std::make_shared<std::string>();
    plane_.ask(host, "/", [answer](const DataPlane::Met& met) { *answer = shown(met); });
    return [answer] { return *answer; };
  }
  bool soon(const std::function<bool()>& done) override {
    plane_.tell_again();
    return done();
  }
  Match internal(int number) override { return {.address = "10.90.3." + std::to_string(number), .port = 80}; }
  std::string request_internal(const Match& to) override {
    return shown(plane_.request_internal(to.address, to.port));
  }
  void open_stream(const SiteId& site, const std::string&, const std::string& server) override {
    plane_.set_sessions(site, server, 1);
    stream_ = {site, server};
  }
  void close_streams() override { plane_.set_sessions(stream_.first, stream_.second, 0); }

 private:
  static std::string shown(const DataPlane::Met& met) {
    return met.status == 200 ? met.server : std::to_string(met.status);
  }

  DataPlane plane_;
  std::unique_ptr<Router> router_ = make(plane_);
  std::pair<SiteId, std::string> stream_;
};

using contract::RouterContract;
INSTANTIATE_TEST_SUITE_P(Fake, RouterContract,
                         testing::Values(contract::Factory{[] { return std::make_unique<FakeSubject>(); }}));

TEST(FakeRouter, FailsAsOftenAsItIsTold) {
  DataPlane plane;
  const auto router = make(plane);
  run_blocking(router->start());
  plane.fail_next(Error{Code::Unavailable, "gone"}, 2);
  const Site site{.id = "a", .title = "t", .matches = {{.host = "a.test"}}};
  EXPECT_THROW(run_blocking(router->apply(site)), Error);
  EXPECT_THROW(run_blocking(router->apply(site)), Error);
  EXPECT_FALSE(plane.site("a"));
  run_blocking(router->apply(site));
  EXPECT_TRUE(plane.site("a"));
}

TEST(FakeRouter, TheHookSeesEveryCall) {
  DataPlane plane;
  const auto router = make(plane);
  run_blocking(router->start());
  std::string seen;
  plane.set_hook([&](std::string_view call, const SiteId& site) -> Task<> {
    seen += std::string{call} + " " + site + ";";
    co_return;
  });
  run_blocking(router->apply({.id = "a", .title = "t"}));
  run_blocking(router->remove("a"));
  EXPECT_EQ(seen, "apply a;remove a;");
}

TEST(FakeRouter, CountsOnlyWhatChanges) {
  DataPlane plane;
  const auto router = make(plane);
  run_blocking(router->start());
  const Site site{.id = "a", .title = "t", .servers = {{.id = "s", .address = "10.0.0.1", .port = 80}}};
  run_blocking(router->apply(site));
  run_blocking(router->apply(site));
  EXPECT_EQ(plane.changes(), 1U);
}

}  // namespace
}  // namespace tow::route::fake
