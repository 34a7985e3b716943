// SPDX-License-Identifier: Apache-2.0
// What a command line becomes on the wire, against a server that writes down what it is asked.
#include "cli/bench_test.hpp"
#include "cli/exit.hpp"
#include "http/router.hpp"
#include "http/server.hpp"

namespace tow::cli {
namespace {

class Requests : public CommandTest {
 protected:
  Requests() {
    router.add("*", "/api/v1/{rest...}",
               [this](http::Request& request, http::Responder& responder) -> Task<> {
                 co_await answer(request, responder);
               });
    server = std::make_unique<http::Server>(http::ServerSettings{.threads = 1}, router.handler());
    server->listen({.host = "127.0.0.1"});
    const auto url = "http://127.0.0.1:" + std::to_string(server->port());
    setenv("TOWPATH_URL", url.c_str(), 1);
    setenv("TOWPATH_PROJECT", "shop", 1);
  }
  ~Requests() override { run_blocking(server->stop(Duration{0})); }

  Task<> answer(http::Request& request, http::Responder& responder) {
    if (responder.wants_websocket()) {
      std::string words;
      for (const auto& word : request.query.all("command")) words += "<" + std::string{word} + ">";
      asked = std::string{request.param("rest")} + " " + words;
      const auto socket = co_await responder.accept();
      co_await socket->write(http::WebSocket::Kind::Text, last_words);
      co_await socket->close();
      co_return;
    }
    const auto body = co_await request.body.all();
    asked = request.method + " " + std::string{request.param("rest")} + (body.empty() ? "" : " " + body);
    http::Response made = http::Response::json(
        R"({"deployment":"d","generation":1,"run":"r","build":"b","revision":2,"release":"r","values":[],"revisions":[],"items":[)"
        R"({"kind":"Deployment","metadata":{"name":"web.test","project":"shop"},)"
        R"("spec":{"component":"web","environment":"test"}}]})");
    responder.send(std::move(made));
  }

  http::Router router;
  std::unique_ptr<http::Server> server;
  std::string asked;
  std::string last_words = R"({"exit":7})";
};

TEST_F(Requests, CommandsReachInstancesUntouched) {
  const struct {
    const char* reason;
    std::vector<std::string> words;
    const char* asked;
  } rows[] = {
      {"a shell", {"exec", "web"}, "web.development:exec "},
      {"a plain word needs no dashes", {"exec", "web", "ls"}, "web.development:exec <ls>"},
      {"options of the command",
       {"exec", "web", "--", "ls", "-la", "--color"},
       "web.development:exec <ls><-la><--color>"},
      {"options that are ours, too",
       {"run", "web", "--", "x", "-p", "y", "--url=z"},
       "web.development:run <x><-p><y><--url=z>"},
      {"options of ours before", {"exec", "web", "-e", "test", "--", "x"}, "web.test:exec <x>"},
      {"what the parser takes for lists",
       {"exec", "web", "--", "find", "{}", "[a,b]", "[]", ";"},
       "web.development:exec <find><{}><[a,b]><[]><;>"},
      {"a second --, an empty word, names of commands",
       {"run", "web", "--", "status", "--", "", "ls"},
       "web.development:run <status><--><><ls>"},
  };
  for (const auto& row : rows) {
    const auto result = tow(row.words);
    EXPECT_EQ(result.code, 7) << row.reason << ": the command's own code; " << result.err;
    EXPECT_EQ(asked, "projects/shop/deployments/" + std::string{row.asked}) << row.reason;
  }
}

TEST_F(Requests, ATerminalsErrorKeepsItsCode) {
  last_words = R"({"error":{"detail":"no instance is ready","code":"failed-precondition","status":412}})";
  const auto result = tow({"exec", "web"});
  EXPECT_EQ(result.code, kConflict);
  EXPECT_EQ(result.err, "tow: no instance is ready\n");
}

TEST_F(Requests, WordsBecomeTheRightOperation) {
  write("score.yaml", "metadata: {name: api}\n");
  const struct {
    const char* reason;
    std::vector<std::string> words;
    const char* asked;
  } rows[] = {
      {"a revision",
       {"rollback", "web", "3", "--no-wait"},
       R"(POST projects/shop/deployments/web.development:rollback {"revision":3})"},
      {"a revision alone, in a repository",
       {"rollback", "3", "--no-wait"},
       R"(POST projects/shop/deployments/api.development:rollback {"revision":3})"},
      {"nothing but the command",
       {"rollback", "--hold", "--no-wait"},
       R"(POST projects/shop/deployments/api.development:rollback {"hold":true})"},
      {"a build is ended",
       {"build", "cancel", "shop-1.web"},
       "POST projects/shop/builds/shop-1.web:cancel {}"},
      {"a build once more",
       {"build", "repeat", "shop-1.web", "--no-wait"},
       "POST projects/shop/builds/shop-1.web:repeat {}"},
      {"a hold is lifted",
       {"rollback", "web", "--unhold"},
       "POST projects/shop/deployments/web.development:unhold {}"},
      {"shared options after the words",
       {"scale", "web", "3", "--no-wait", "-p", "toys", "-e", "test"},
       R"(POST projects/toys/deployments/web.test:scale {"count":3})"},
      {"and before",
       {"-p", "toys", "scale", "web.test", "3", "--no-wait"},
       R"(POST projects/toys/deployments/web.test:scale {"count":3})"},
      {"a rollout goes on",
       {"rollout", "continue", "web", "--no-wait"},
       "POST projects/shop/deployments/web.development:continue {}"},
      {"a rollout is taken back",
       {"rollout", "abort", "web.production"},
       "POST projects/shop/deployments/web.production:abort {}"},
      {"a lock, with its reason",
       {"lock", "web", "--why", "the audit"},
       R"(POST projects/shop/deployments/web.development:lock {"why":"the audit"})"},
      {"values of an environment",
       {"config", "set", "A=b=c", "-e", "test"},
       R"(POST projects/shop/configurations:set {"scope":"test","set":{"A":"b=c"}})"},
      {"values of a component",
       {"config", "set", "A=[x,y]", "B=", "-c", "web"},
       R"(POST projects/shop/configurations:set {"scope":"web.development","set":{"A":"[x,y]","B":""}})"},
      {"values of the project",
       {"config", "unset", "A", "--all-environments"},
       R"(POST projects/shop/configurations:set {"scope":"project","unset":["A"]})"},
      {"a component's values, by option",
       {"config", "-c", "web"},
       "POST projects/shop/deployments/web.development:configuration {}"},
      {"a component's values, by word",
       {"config", "web"},
       "POST projects/shop/deployments/web.development:configuration {}"},
      {"a component's values, where one stands",
       {"config"},
       "POST projects/shop/deployments/api.development:configuration {}"},
      {"a kind by its singular", {"get", "deployment"}, "GET projects/shop/deployments"},
      {"over all projects", {"get", "deployments", "-A"}, "GET deployments"},
      {"one, as JSON", {"get", "project", "shop", "-o", "json"}, "GET projects/shop"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    asked.clear();
    const auto result = tow(row.words);
    EXPECT_EQ(result.code, kOk) << result.err;
    EXPECT_EQ(asked, row.asked);
  }
}

TEST_F(Requests, ProgramsGetWhatPeopleWouldSee) {
  const auto all = tow({"ls", "-o", "json"});
  EXPECT_EQ(all.out.front(), '[') << all.err;
  EXPECT_NE(all.out.find("web.test"), std::string::npos);
  EXPECT_EQ(tow({"ls", "-o", "json", "-e", "production"}).out, "[]\n") << "by environment, too";
  EXPECT_EQ(tow({"project", "ls", "-o", "json"}).out.front(), '[');
  EXPECT_NE(tow({"get", "deployments", "-o", "yaml"}).out.find("name: web.test"), std::string::npos);
}

TEST_F(Requests, ApplyNamesFileLineAndColumn) {
  write("bad.yaml", "apiVersion: towpath.dev/v1\nkind: Project\nmetadata: {name: toys}\nspec:\n  titel: x\n");
  const auto result = tow({"apply", "bad.yaml"});
  EXPECT_EQ(result.code, kInvalid);
  EXPECT_NE(result.err.find("bad.yaml:5:3"), std::string::npos) << result.err;
  EXPECT_EQ(asked, "") << "nothing was sent";
  write("good.yaml",
        "apiVersion: towpath.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec: {type: x}\n");
  EXPECT_EQ(tow({"apply", "good.yaml"}).code, kOk);
  EXPECT_TRUE(asked.starts_with("PUT projects/shop/environments/test ")) << asked;
}

}  // namespace
}  // namespace tow::cli
