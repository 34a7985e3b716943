// SPDX-License-Identifier: Apache-2.0
#include "http/router.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::http {
namespace {

class NoBody final : public Body {
 public:
  Task<std::string> read() override { co_return ""; }
  void set_limit(std::optional<std::uint64_t>) override {}
  std::optional<std::uint64_t> size() const override { return 0; }
};

class Recorder final : public Responder {
 public:
  void send(Response response) override { sent = std::move(response); }
  Writer& begin(int, Headers) override { std::abort(); }
  Events& events(Headers) override { std::abort(); }
  bool wants_websocket() const override { return false; }
  Task<std::unique_ptr<WebSocket>> accept(WebSocketSettings) override { std::abort(); }
  bool begun() const override { return sent.has_value(); }
  std::optional<Response> sent;
};

// A handler that answers with its route and parameters: "/a/{x} x=1".
Handler echo() {
  return [](Request& request, Responder& responder) -> Task<> {
    std::string text{request.route};
    for (const auto& [name, value] : request.params) text += fmt::format(" {}={}", name, value);
    responder.send(Response::text(text));
    co_return;
  };
}

Response ask(const Router& router, std::string method, std::string target) {
  NoBody body;
  Request request{body};
  request.method = std::move(method);
  request.target = request.path = std::move(target);
  Recorder recorder;
  run_blocking(router.dispatch(request, recorder));
  return recorder.sent.value_or(Response{.status = 0});
}

Router example() {
  Router router;
  for (const auto pattern : {"/", "/a", "/a/{x}", "/a/b", "/a/{x}/c/{y}", "/a/b/d", "/f/{x}/{rest...}",
                             "/f/{x}/info", "/with space"})
    router.add("GET", pattern, echo());
  router.add("POST", "/a/b", echo());
  router.add("PUT", "/a/{x}", echo());
  router.add("*", "/any/{rest...}", echo());
  return router;
}

TEST(Router, PicksBySegments) {
  struct Case {
    const char* reason;
    const char* target;
    const char* answer;
    const char* method = "GET";
  };
  const Case cases[] = {
      {"the root", "/", "/"},
      {"a literal", "/a", "/a"},
      {"a parameter", "/a/1", "/a/{x} x=1"},
      {"a literal goes before a parameter", "/a/b", "/a/b"},
      {"a literal that leads nowhere gives way", "/a/b/c/2", "/a/{x}/c/{y} x=b y=2"},
      {"a method that the literal lacks is the parameter's", "/a/b", "/a/{x} x=b", "PUT"},
      {"an encoded slash stays in its segment", "/a/1%2F2", "/a/{x} x=1/2"},
      {"a parameter is decoded", "/a/x%20y", "/a/{x} x=x y"},
      {"a literal is matched decoded", "/with%20space", "/with space"},
      {"the query does not matter", "/a/1?x=2", "/a/{x} x=1"},
      {"the rest", "/f/1/2/3", "/f/{x}/{rest...} x=1 rest=2/3"},
      {"the rest may be empty", "/f/1", "/f/{x}/{rest...} x=1 rest="},
      {"the rest keeps a trailing slash", "/f/1/2/", "/f/{x}/{rest...} x=1 rest=2/"},
      {"an encoded slash stays encoded in the rest", "/f/1/2%2f3", "/f/{x}/{rest...} x=1 rest=2%2F3"},
      {"a literal goes before the rest", "/f/1/info", "/f/{x}/info x=1"},
      {"the rest takes what a literal leads to nowhere", "/f/1/info/2", "/f/{x}/{rest...} x=1 rest=info/2"},
      {"any method", "/any/x", "/any/{rest...} rest=x", "BREW"},
      {"HEAD goes to GET", "/a/1", "/a/{x} x=1", "HEAD"},
  };
  const auto router = example();
  for (const auto& c : cases) {
    const auto response = ask(router, c.method, c.target);
    EXPECT_EQ(response.status, 200) << c.reason;
    EXPECT_EQ(response.body, c.answer) << c.reason;
  }
}

TEST(Router, RefusesWhatIsNotThere) {
  struct Case {
    const char* reason;
    const char* method;
    const char* target;
    int status;
    const char* allow = "";
  };
  const Case cases[] = {
      {"unknown", "GET", "/b", 404},
      {"too short", "GET", "/a/1/c", 404},
      {"too long", "GET", "/a/1/c/2/3", 404},
      {"a parameter is not empty", "GET", "/a/", 404},
      {"a dot segment", "GET", "/a/..", 400},
      {"an encoded dot segment", "GET", "/f/1/%2e%2e/2", 400},
      {"another method", "DELETE", "/a/b", 405, "GET, HEAD, OPTIONS, POST, PUT"},
      {"the methods of the parameter only", "POST", "/a/1", 405, "GET, HEAD, OPTIONS, PUT"},
      {"OPTIONS is answered", "OPTIONS", "/a/1", 204, "GET, HEAD, OPTIONS, PUT"},
  };
  const auto router = example();
  for (const auto& c : cases) {
    const auto response = ask(router, c.method, c.target);
    EXPECT_EQ(response.status, c.status) << c.reason;
    EXPECT_EQ(response.headers.get("Allow").value_or(""), c.allow) << c.reason;
  }
}

TEST(Router, RefusesAmbiguousAndMalformedRoutes) {
  auto router = example();
  const auto code = [&](std::string_view method, std::string_view pattern) -> std::optional<Code> {
    try {
      router.add(method, pattern, echo());
      return {};
    } catch (const Error& error) {
      return error.code();
    }
  };
  EXPECT_EQ(code("GET", "/a/{x}"), Code::AlreadyExists);
  EXPECT_EQ(code("GET", "/a/{other}"), Code::AlreadyExists) << "another name is no other route";
  EXPECT_EQ(code("GET", "/f/{x}/{other...}"), Code::AlreadyExists);
  for (const auto pattern : {"", "a", "/{}", "/{...}", "/a{x}", "/{x}a", "/{r...}/a", "/{x}/{x}", "/a%20"})
    EXPECT_EQ(code("GET", pattern), Code::Invalid) << pattern;
  EXPECT_EQ(code("G T", "/new"), Code::Invalid);
  EXPECT_EQ(code("DELETE", "/a/{x}"), std::nullopt);
}

TEST(Router, RunsWhatGoesBeforeAndFallsBack) {
  Router router;
  router.add("GET", "/a/{x}", echo());
  router.before([](Request& request, Responder& responder) -> Task<> {
    if (request.param("x") == "secret") responder.send({.status = 403});
    co_return;
  });
  router.fallback([](Request&, Responder& responder) -> Task<> {
    responder.send(Response::text("page"));
    co_return;
  });
  EXPECT_EQ(ask(router, "GET", "/a/1").status, 200);
  EXPECT_EQ(ask(router, "GET", "/a/secret").status, 403);
  EXPECT_EQ(ask(router, "GET", "/b").body, "page");
  EXPECT_EQ(ask(router, "POST", "/a/1").status, 405);
}

TEST(Router, ListsItsRoutes) {
  Router router;
  router.add("GET", "/b/{x}", echo());
  router.add("*", "/a/{rest...}", echo());
  EXPECT_EQ(router.routes(), (std::vector<std::string>{"* /a/{rest...}", "GET /b/{x}"}));
}

}  // namespace
}  // namespace tow::http
