// SPDX-License-Identifier: Apache-2.0
#include "api/bench_test.hpp"

namespace tow::api {
namespace {

// Operations of every shape, with the inputs of real ones.
class OperationsTest : public ApiTest {
 protected:
  OperationsTest() {
    make_project();
    api.add(Operation<ScaleInput, Accepted>{
        .name = "deployments.scale",
        .help = "Set how many instances run.",
        .permission = Permission::Deploy,
        .run = [](Call call, ScaleInput input) -> Task<Accepted> {
          if (input.count == 13)
            throw Error{Code::Unsupported, "no", {{.path = "count", .message = "not 13"}}};
          if (input.count == 14) throw std::runtime_error{"a detail of ours"};
          co_return Accepted{.generation = input.count, .message = to_string(call.target)};
        }});
    api.add(Operation<SecretInput, Accepted>{
        .name = "secrets.set",
        .target = Target::Collection,
        .help = "Set one.",
        .permission = Permission::Configure,
        .run = [](Call, SecretInput) -> Task<Accepted> { co_return Accepted{}; }});
    api.add(
        Operation<Nothing, Accepted>{.name = "deployments.status",
                                     .help = "Look.",
                                     .permission = Permission::Read,
                                     .run = [](Call, Nothing) -> Task<Accepted> { co_return Accepted{}; }});
    api.add(Operation<ExchangeInput, TokenOutput>{
        .name = "tokens.exchange",
        .target = Target::Collection,
        .help = "Turn an invitation into a token.",
        .permission = Permission::None,
        .run = [](Call, ExchangeInput) -> Task<TokenOutput> { co_return TokenOutput{.token = "t"}; }});
    api.add(StreamOperation<LogInput, LogEntry>{
        .name = "deployments.logs",
        .help = "Lines.",
        .permission = Permission::Read,
        .run = [](Call, LogInput input, std::function<Task<>(const LogEntry&)> emit) -> Task<> {
          if (input.grep == "early") throw fail(Code::NotFound, "before the first");
          const LogEntry entry{.text = "one"};
          co_await emit(entry);
          if (input.grep == "late")
            throw Error{Code::Conflict, "after the first", {{.path = "grep", .message = "is late"}}};
          if (input.grep == "broken") throw std::runtime_error{"a detail of ours"};
        }});
    api.add(TerminalOperation<ExecInput>{
        .name = "deployments.exec",
        .help = "A shell.",
        .permission = Permission::Deploy,
        .run = [](Call, ExecInput input, Terminal& terminal) -> Task<int> {
          if (!input.command.empty() && input.command[0] == "fail")
            throw fail(Code::Unavailable, "no instance is ready");
          while (auto got = co_await terminal.read()) {
            if (got->closed) co_return 7;
            const auto text =
                got->size ? fmt::format("{}x{}", got->size->first, got->size->second) : "echo " + got->bytes;
            co_await terminal.write(text);
          }
          co_return 1;
        }});
  }
};

TEST_F(OperationsTest, RoutesByTargetAndMethodThroughTheGate) {
  const std::string web = "/api/v1/projects/shop/deployments/web.production";
  const struct {
    const char* reason;
    const char* method;
    std::string target;
    const char* token;
    const char* body;
    int status;
    const char* said;
  } rows[] = {
      {"on an entity", "POST", web + ":scale", "admin", R"({"count":3})", 200, R"("generation":3)"},
      {"it is told its target", "POST", web + ":scale", "admin", R"({"count":3})", 200,
       "deployment:shop/web.production"},
      {"on a collection", "POST", "/api/v1/projects/shop/secrets:set", "admin",
       R"({"scope":"project","name":"KEY","value":"x"})", 200, ""},
      {"an empty body is an empty input", "POST", web + ":status", "reader", "", 200, ""},
      {"a reader may look", "POST", web + ":status", "reader", "{}", 200, ""},
      {"a reader may not act", "POST", web + ":scale", "reader", R"({"count":3})", 403, "denied"},
      {"nobody may not act", "POST", web + ":scale", "", R"({"count":3})", 401, "unauthenticated"},
      {"what needs no subject asks for none", "POST", "/api/v1/tokens:exchange", "", R"({"invitation":"i"})",
       200, R"("token":"t")"},
      {"calling is not reading", "GET", web + ":scale", "admin", "", 405, "POST"},
      {"a stream is read", "POST", web + ":logs", "admin", "", 405, "GET"},
      {"an operation of entities, on the collection", "POST", "/api/v1/projects/shop/deployments:scale",
       "admin", "{}", 404, "deployments/NAME:scale"},
      {"an operation of the collection, on an entity", "POST", "/api/v1/projects/shop/secrets/x:set", "admin",
       "{}", 404, "secrets:set"},
      {"a misspelt one gets the nearest", "POST", web + ":scael", "admin", "{}", 404, "scale"},
      {"a missing field", "POST", web + ":scale", "admin", "{}", 400, "count"},
      {"a value out of bounds", "POST", web + ":scale", "admin", R"({"count":101})", 400, "count"},
      {"an unknown field", "POST", web + ":scale", "admin", R"({"count":1,"cuont":2})", 400, "cuont"},
      {"no JSON", "POST", web + ":scale", "admin", "count=3", 400, "\"line\":1"},
      {"its own error, faults included", "POST", web + ":scale", "admin", R"({"count":13})", 501, "not 13"},
      {"a terminal without a WebSocket", "GET", web + ":exec", "admin", "", 400, "WebSocket"},
      {"a stream's query is checked", "GET", web + ":logs?tail=many", "admin", "", 400, "whole number"},
      {"a stream's query is strict", "GET", web + ":logs?gerp=x", "admin", "", 400, "grep"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto answer = ask(row.method, row.target, row.body, row.token);
    EXPECT_EQ(answer.status, row.status) << answer.body;
    EXPECT_NE(answer.body.find(row.said), std::string::npos) << answer.body;
  }
}

TEST_F(OperationsTest, WhatBreaksInsideStaysInside) {
  const auto answer =
      ask("POST", "/api/v1/projects/shop/deployments/web.production:scale", R"({"count":14})");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body.find("a detail of ours"), std::string::npos) << answer.body;
}

TEST_F(OperationsTest, TheTrailTellsOfWhatChangesWithoutSecrets) {
  ask("POST", "/api/v1/projects/shop/secrets:set", R"({"scope":"project","name":"KEY","value":"hush"})");
  ask("POST", "/api/v1/projects/shop/deployments/web.production:status");
  ask("POST", "/api/v1/projects/shop/deployments/web.production:scale", R"({"count":2})");
  ask("POST", "/api/v1/projects/shop/deployments/web.production:scale", R"({"count":2})", "reader");
  ask("POST", "/api/v1/tokens:exchange", R"({"invitation":"towi_hush"})", "");
  const auto events = trail();
  ASSERT_EQ(events.size(), 4u) << "reading leaves no trace";
  EXPECT_EQ(events[0].action, "tokens.exchange");
  EXPECT_EQ(events[0].subject, "anonymous");
  EXPECT_EQ(events[1].subject, "reader");
  EXPECT_EQ(events[1].action, "deployments.scale");
  EXPECT_EQ(events[1].target, "deployment:shop/web.production");
  EXPECT_EQ(events[1].message, "denied: reader may not do this");
  EXPECT_EQ(events[2].action, "deployments.scale");
  EXPECT_EQ(events[2].target, "deployment:shop/web.production");
  EXPECT_EQ(events[2].message, R"({"count":2})");
  EXPECT_EQ(events[3].action, "secrets.set");
  for (const auto& event : events) EXPECT_EQ(event.message.find("hush"), std::string::npos) << event.message;
}

TEST_F(OperationsTest, InProcessCallsPassTheSameGate) {
  const Call reader{.subject = {.name = "reader"}, .target = key<Deployment>("shop", "web.production")};
  EXPECT_THROW(run_blocking(api.invoke("deployments.scale", reader, Node::Map{{"count", 2}})), Error);
  auto admin = reader;
  admin.subject = {.name = "admin", .administrator = true};
  run_blocking(api.invoke("deployments.scale", admin, Node::Map{{"count", 2}}));
  EXPECT_EQ(trail().size(), 2u) << "what was denied, and what was done";
  EXPECT_THROW(run_blocking(api.invoke("deployments.none", admin, {})), Error);
}

TEST_F(OperationsTest, StreamsEndWithEndOrWithTheErrorThatTheyMet) {
  const struct {
    const char* reason;
    const char* grep;
    int items;
    std::optional<Code> code;
    std::size_t faults;
  } rows[] = {
      {"to its end", "x", 1, {}, 0},
      {"before the first item it is an ordinary answer", "early", 0, Code::NotFound, 0},
      {"after it, an event with code and faults", "late", 1, Code::Conflict, 1},
      {"what breaks inside stays inside", "broken", 1, Code::Internal, 0},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    with_client([&](client::Client& client) -> Task<> {
      int items = 0;
      std::optional<Error> met;
      try {
        const LogInput input{.grep = row.grep};
        co_await client.stream<LogEntry>("deployments.logs", "shop", "web.production", input,
                                         [&](const LogEntry& entry) {
                                           EXPECT_EQ(entry.text, "one");
                                           ++items;
                                           return true;
                                         });
      } catch (const Error& error) {
        met = error;
      }
      EXPECT_EQ(items, row.items);
      EXPECT_EQ(met.has_value(), row.code.has_value());
      if (!met || !row.code) co_return;
      EXPECT_EQ(met->code(), *row.code);
      EXPECT_EQ(met->faults().size(), row.faults);
      EXPECT_EQ(met->message().find("a detail of ours"), std::string::npos) << met->message();
    });
  }
}

TEST_F(OperationsTest, WhoAsksForWhatIsSilentLearnsThatItIsListenedTo) {
  Signal heard;
  api.add(StreamOperation<Nothing, LogEntry>{
      .name = "builds.logs",
      .help = "Says nothing before it was heard.",
      .permission = Permission::Read,
      .run = [&](Call, Nothing, std::function<Task<>(const LogEntry&)>) -> Task<> {
        while (!clock.next()) co_await yield_now();
        clock.advance(Duration{1000});
        co_await heard.wait();
      }});
  const auto last = run_blocking([](std::string origin, Signal& told) -> Task<std::string> {
    http::Client client{co_await boost::asio::this_coro::executor, origin};
    auto events = co_await client.events(call_of("GET", "/api/v1/projects/shop/builds/b:logs", {}, "reader"));
    told.notify();
    const auto event = co_await events.next();
    co_return event ? event->event : "nothing";
  }(url(), heard));
  EXPECT_EQ(last, "end");
}

TEST_F(OperationsTest, TerminalsCarryBytesSizesAndTheExitCode) {
  with_client([](client::Client& client) -> Task<> {
    using Kind = http::WebSocket::Kind;
    const ExecInput input{.command = {"sh", "-c", "x y"}};
    const auto socket = co_await client.terminal("deployments.exec", "shop", "web.production", write(input));
    const auto say = [&](Kind kind, std::string text) -> Task<std::string> {
      co_await socket->write(kind, text);
      const auto answer = co_await socket->read();
      co_return answer ? answer->data : "closed";
    };
    EXPECT_EQ(co_await say(Kind::Binary, "hi"), "echo hi");
    EXPECT_EQ(co_await say(Kind::Text, R"({"resize":{"columns":80,"rows":24}})"), "80x24");
    EXPECT_EQ(co_await say(Kind::Text, R"({"resize":{"columns":99999999999,"rows":24}})"), "10000x24");
    EXPECT_EQ(co_await say(Kind::Text, R"({"resize":{"columns":-1,"rows":24}})"), "echo ");
    EXPECT_EQ(co_await say(Kind::Text, R"({"close":true})"), R"({"exit":7})");
  });
  ASSERT_EQ(trail().size(), 1u);
  EXPECT_EQ(trail()[0].action, "deployments.exec");
}

TEST_F(OperationsTest, ATerminalThatFailsSaysWhy) {
  for (const auto& [command, code, said] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"fail", "unavailable", "no instance is ready"}, {"sh", "invalid", "line"}}) {
    with_client([&](client::Client& client) -> Task<> {
      const ExecInput input{.command = {command}};
      const auto socket =
          co_await client.terminal("deployments.exec", "shop", "web.production", write(input));
      if (command == "sh") co_await socket->write(http::WebSocket::Kind::Text, "{");
      const auto last = co_await socket->read();
      if (!last) throw fail(Code::Internal, "closed without a word");
      EXPECT_NE(last->data.find("\"error\""), std::string::npos) << last->data;
      EXPECT_NE(last->data.find(code), std::string::npos) << last->data;
      EXPECT_NE(last->data.find(said), std::string::npos) << last->data;
    });
  }
}

TEST_F(OperationsTest, EntitiesGoRoundThroughTheClient) {
  with_client([](client::Client& client) -> Task<> {
    const auto toys = key<Project>({}, "toys");
    EXPECT_FALSE(co_await client.get(toys));
    Node wanted = Node::Map{{"metadata", Node::Map{{"name", "toys"}}}};
    co_await client.create(toys, wanted);
    wanted.set("spec", Node::Map{{"title", "Toys & more"}});
    const auto changed = co_await client.put(toys, wanted);
    const auto read = co_await client.get(toys);
    EXPECT_EQ(*read, changed);
    EXPECT_EQ(*read->find("spec")->find("title")->string(), "Toys & more");
    const auto list = co_await client.list(key<Project>({}, {}), "limit=1");
    EXPECT_EQ(list.items.size(), 1u);
    EXPECT_GT(list.revision, 0);
    co_await client.remove(toys);
    EXPECT_FALSE(co_await client.get(toys));
    const ScaleInput thirteen{.count = 13};
    try {
      co_await client.call<Accepted>("deployments.scale", "shop", "web.production", thirteen);
      ADD_FAILURE() << "taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Unsupported);
      EXPECT_EQ(error.faults().size(), 1u);
      EXPECT_EQ(error.message(), "no");
    }
  });
}

}  // namespace
}  // namespace tow::api
