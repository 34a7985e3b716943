// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests: the API over a real loopback connection, with a store in memory and a gate that tells callers by
// their token's text.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "api/api.hpp"
#include "client/client.hpp"
#include "http/server.hpp"
#include "model/identity.hpp"
#include "model/operations.hpp"
#include "model/project.hpp"
#include "store/memory/memory.hpp"

namespace tow::api {

/// "reader" may look, "admin" may everything, nobody else is known.
class TestGate final : public Gate {
 public:
  Task<Subject> authenticate(const http::Request& request) override {
    const auto header = request.headers.get("Authorization").value_or("");
    if (header == "Bearer admin") co_return Subject{.name = "admin", .administrator = true};
    if (header == "Bearer reader") co_return Subject{.name = "reader"};
    throw fail(Code::Unauthenticated, "nobody known");
  }
  void authorize(const Subject& subject, Permission permission, const Key&) const override {
    if (!subject.administrator && permission != Permission::Read)
      throw fail(Code::Denied, "{} may not do this", subject.name);
  }
};

class ApiTest : public testing::Test {
 protected:
  ~ApiTest() override {
    if (server) run_blocking(server->stop(Duration{0}));
  }

  std::string url() {
    if (!server) {
      api.mount(router);
      server = std::make_unique<http::Server>(http::ServerSettings{.threads = 2}, router.handler());
      server->listen({.host = "127.0.0.1"});
    }
    return "http://127.0.0.1:" + std::to_string(server->port());
  }

  /// One request on a connection of its own, as admin unless told otherwise.
  http::Response ask(std::string method, std::string target, std::string body = {},
                     std::string token = "admin") {
    return run_blocking([](std::string origin, http::Call call) -> Task<http::Response> {
      http::Client client{co_await boost::asio::this_coro::executor, origin};
      co_return co_await client.fetch(std::move(call));
    }(url(), call_of(std::move(method), std::move(target), std::move(body), std::move(token))));
  }
  static http::Call call_of(std::string method, std::string target, std::string body, std::string token) {
    http::Call call;
    call.method = std::move(method);
    call.target = std::move(target);
    call.body = std::move(body);
    if (!token.empty()) call.headers.set("Authorization", "Bearer " + token);
    return call;
  }
  /// Runs a test's body with a client of the API.
  template <class Body>
  void with_client(Body body) {
    run_blocking([](std::string origin, Body& run) -> Task<> {
      client::Client client{co_await boost::asio::this_coro::executor, {.url = origin, .token = "admin"}};
      co_await run(client);
    }(url(), body));
  }

  void make_project(std::string name = "shop", Labels labels = {}) {
    auto made = draft<Project>({}, std::move(name), {});
    made.labels = std::move(labels);
    commit(store::Transaction{}.create(std::move(made)));
  }
  void commit(store::Transaction transaction) { run_blocking(store->commit(std::move(transaction))); }
  std::vector<Event::Spec> trail() {
    std::vector<Event::Spec> events;
    for (const auto& record : run_blocking(store->query({.filter = {.kind = "Event"}})))
      events.push_back(decode<Event>(record).spec);
    return events;
  }

  FakeClock clock;
  std::unique_ptr<store::Store> store = store::memory::open({.is_cold = &is_cold, .clock = &clock});
  TestGate gate;
  Api api{{.store = *store, .gate = gate, .clock = clock, .version = "1.2.3"}};
  http::Router router;
  std::unique_ptr<http::Server> server;
};

}  // namespace tow::api
