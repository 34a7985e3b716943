// SPDX-License-Identifier: Apache-2.0
// The client against a server that plays the API's part, bad days included. Round trips through the real API
// are in src/api.
#include "client/client.hpp"

#include <gtest/gtest.h>

#include "http/router.hpp"
#include "http/server.hpp"
#include "model/operations.hpp"
#include "model/project.hpp"

namespace tow::client {
namespace {

class ClientTest : public testing::Test {
 protected:
  ~ClientTest() override {
    if (server) run_blocking(server->stop(Duration{0}));
  }
  void answer(std::string_view method, std::string_view path, int status, std::string type,
              std::string body) {
    router.add(method, path, [=, this](http::Request& request, http::Responder& responder) -> Task<> {
      asked = request.target;
      authorization = request.headers.get("Authorization").value_or("");
      sent = co_await request.body.all();
      http::Response made{.status = status, .headers = {{"Content-Type", type}}, .body = body};
      responder.send(std::move(made));
    });
  }
  /// The n-th call gets the n-th text, as a stream of events that then ends.
  void answer_events(std::string_view path, std::vector<std::string> texts) {
    router.add("GET", path,
               [texts, count = std::make_shared<std::size_t>(0), this](http::Request& request,
                                                                       http::Responder& responder) -> Task<> {
                 asked = request.target;
                 auto& events = responder.events();
                 const auto text = texts[std::min((*count)++, texts.size() - 1)];
                 if (!text.empty()) co_await events.write(text);
               });
  }
  template <class Body>
  void with_client(Body body) {
    if (!server) {
      server = std::make_unique<http::Server>(http::ServerSettings{.threads = 1}, router.handler());
      server->listen({.host = "127.0.0.1"});
    }
    const auto origin = "http://127.0.0.1:" + std::to_string(server->port());
    run_blocking([](std::string url, Body& run) -> Task<> {
      Client client{co_await boost::asio::this_coro::executor, {.url = url, .token = "secret"}};
      co_await run(client);
    }(origin, body));
  }

  http::Router router;
  std::unique_ptr<http::Server> server;
  std::string asked, authorization, sent;
};

constexpr const char* kProblem =
    R"({"title":"Bad","status":400,"detail":"two faults","code":"invalid","faults":[)"
    R"({"path":"a.b","line":3,"column":7,"message":"is wrong"},{"path":"c","message":"is missing"}]})";

TEST(ClientPaths, AreThoseOfTheApi) {
  const struct {
    const char* reason;
    Key key;
    const char* verb;
    const char* path;
  } rows[] = {
      {"an entity in a project",
       {"Deployment", "shop", "web.production"},
       "",
       "/api/v1/projects/shop/deployments/web.production"},
      {"a collection", {"Deployment", "shop", ""}, "", "/api/v1/projects/shop/deployments"},
      {"over all projects", {"Deployment", "", ""}, "", "/api/v1/deployments"},
      {"of the platform", {"Token", "", "t1"}, "", "/api/v1/tokens/t1"},
      {"an operation",
       {"Deployment", "shop", "web.production"},
       "scale",
       "/api/v1/projects/shop/deployments/web.production:scale"},
      {"what a person typed cannot leave its place",
       {"Project", "", "../tokens?x=#y"},
       "",
       "/api/v1/projects/..%2Ftokens%3Fx%3D%23y"},
  };
  for (const auto& row : rows) EXPECT_EQ(path_of(row.key, row.verb), row.path) << row.reason;
  EXPECT_THROW(path_of({"Planet", "", ""}), Error);
}

TEST_F(ClientTest, ErrorsComeBackAsTheyWereThrown) {
  answer("POST", "/api/v1/projects/shop/secrets:set", 400, "application/problem+json", kProblem);
  with_client([&](Client& client) -> Task<> {
    try {
      co_await client.call_any("secrets.set", "shop", "", Node::Map{{"name", "KEY"}});
      ADD_FAILURE() << "nothing thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid);
      EXPECT_EQ(error.message(), "two faults");
      EXPECT_EQ(error.faults(), (std::vector<Fault>{{.path = "a.b", .at = {3, 7}, .message = "is wrong"},
                                                    {.path = "c", .at = {}, .message = "is missing"}}));
    }
  });
  EXPECT_EQ(authorization, "Bearer secret");
  EXPECT_EQ(sent, R"({"name":"KEY"})");
}

TEST_F(ClientTest, WhatIsNoAnswerOfOursIsAnErrorToo) {
  answer("GET", "/api/v1/projects", 502, "text/html", "<h1>Bad Gateway</h1>");
  answer("GET", "/api/v1/tokens", 200, "application/json", "not json");
  answer("GET", "/api/v1/projects/none", 404, "application/problem+json", R"({"detail":"no"})");
  with_client([&](Client& client) -> Task<> {
    try {
      co_await client.list(key<Project>({}, {}));
      ADD_FAILURE() << "nothing thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Unavailable) << error.message();
    }
    EXPECT_FALSE(co_await client.get(key<Project>({}, "none"))) << "an expected absence";
    bool thrown = false;
    try {
      co_await client.list({"Token", {}, {}});
    } catch (const Error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
  });
}

TEST_F(ClientTest, StreamsAskByQueryAndEndInOneOfFourWays) {
  const std::string item = http::Events::encode({}, "item", R"({"time":"2026-01-01T00:00:00Z","text":"a"})");
  const struct {
    const char* reason;
    std::string events;
    std::optional<Code> code;
    int items;
    bool enough;  // after the first item
  } rows[] = {
      {"its end", item + item + http::Events::encode({}, "end", "{}"), {}, 2, false},
      {"an error", item + http::Events::encode({}, "error", kProblem), Code::Invalid, 1, false},
      {"cut off", item, Code::Unavailable, 1, false},
      {"the caller has enough", item + item, {}, 1, true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    if (server) run_blocking(server->stop(Duration{0}));
    server.reset();
    router = http::Router{};
    answer_events("/api/v1/projects/shop/deployments/{name}", {row.events});
    with_client([&](Client& client) -> Task<> {
      int items = 0;
      std::optional<Code> code;
      const LogInput input{.tail = 5, .grep = "a&b=c d", .follow = true};
      try {
        co_await client.stream<LogEntry>("deployments.logs", "shop", "web.production", input,
                                         [&](const LogEntry&) { return ++items, !row.enough; });
      } catch (const Error& error) {
        code = error.code();
      }
      EXPECT_EQ(items, row.items);
      EXPECT_EQ(code, row.code);
    });
    EXPECT_NE(asked.find("web.production:logs?"), std::string::npos) << asked;
    EXPECT_NE(asked.find("grep=a%26b%3Dc%20d"), std::string::npos) << asked;
    EXPECT_NE(asked.find("tail=5"), std::string::npos) << asked;
  }
}

std::string project(std::string_view id, std::string_view event, std::string_view name) {
  return http::Events::encode(id, event, fmt::format(R"({{"metadata":{{"name":"{}"}}}})", name));
}

TEST_F(ClientTest, AWatchThatWasLostBeginsAgainAndTellsWhatWent) {
  const auto listed = http::Events::encode("5", "listed", "{}");
  answer_events("/api/v1/projects", {project("5", "put", "a") + project("5", "put", "b") + listed +
                                         http::Events::encode({}, "lost", "{}"),
                                     project("9", "put", "b") + listed + project("10", "put", "c")});
  with_client([&](Client& client) -> Task<> {
    std::vector<std::string> told;
    bool ended = false;
    try {
      co_await client.watch(key<Project>({}, {}), [&](const Change& change) {
        const Node* metadata = change.document.find("metadata");
        told.push_back(change.listed ? "listed"
                                     : (change.removed ? "-" : "+") + *metadata->find("name")->string());
        return true;
      });
    } catch (const Error& error) {
      ended = error.code() == Code::Unavailable;
    }
    EXPECT_TRUE(ended) << "the server went away";
    EXPECT_EQ(told, (std::vector<std::string>{"+a", "+b", "listed", "+b", "-a", "listed", "+c"}));
  });
}

TEST_F(ClientTest, NobodyThereIsUnavailable) {
  bool unavailable = false;
  run_blocking([](bool& told) -> Task<> {
    Client client{co_await boost::asio::this_coro::executor, {.url = "http://127.0.0.1:1", .token = {}}};
    try {
      co_await client.fetch("/metrics");
    } catch (const Error& error) {
      told = error.code() == Code::Unavailable;
    }
  }(unavailable));
  EXPECT_TRUE(unavailable);
}

}  // namespace
}  // namespace tow::client
