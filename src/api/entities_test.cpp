// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <thread>

#include "api/bench_test.hpp"

namespace tow::api {
namespace {

std::vector<std::string> names(const http::Response& response) {
  std::vector<std::string> all;
  const Node answer = parse_json(response.body);
  for (const auto& item : *answer.find("items")->list())
    all.push_back(*item.find("metadata")->find("name")->string());
  return all;
}
std::int64_t revision(const http::Response& response) {
  return *parse_json(response.body).find("metadata")->find("revision")->integer();
}

struct Exchange {
  const char* reason;
  const char* method;
  const char* target;
  const char* body;
  int status;
  const char* said;
};

TEST_F(ApiTest, PlainWritesAreStrict) {
  make_project();
  const Exchange rows[] = {
      {"what the address says need not be said again", "PUT", "/api/v1/projects/books", "{}", 201,
       R"("name":"books")"},
      {"a POST names what it makes", "POST", "/api/v1/projects", R"({"metadata":{"name":"toys"}})", 201,
       R"("name":"toys")"},
      {"a POST of what exists", "POST", "/api/v1/projects", R"({"metadata":{"name":"shop"}})", 409,
       "already-exists"},
      {"a POST without a name", "POST", "/api/v1/projects", "{}", 400, "name"},
      {"a PUT says what it is about", "PUT", "/api/v1/projects", R"({"metadata":{"name":"a"}})", 405, "PUT"},
      {"a POST goes to the collection", "POST", "/api/v1/projects/shop", "{}", 405, "collection"},
      {"other methods", "PATCH", "/api/v1/projects/shop", "{}", 405, "GET, PUT, POST or DELETE"},
      {"the document is of another entity", "PUT", "/api/v1/projects/shop", R"({"metadata":{"name":"toys"}})",
       400, "project:toys"},
      {"the document is of another kind", "PUT", "/api/v1/projects/shop", R"({"kind":"Secret"})", 400, ""},
      {"a misspelt field gets the nearest", "PUT", "/api/v1/projects/shop", R"({"spec":{"titel":"Shop"}})",
       400, "title"},
      {"a key of the envelope that is unknown", "PUT", "/api/v1/projects/shop", R"({"sepc":{}})", 400,
       "sepc"},
      {"a bad name", "PUT", "/api/v1/projects/Bad_Name", "{}", 400, "lower-case"},
      {"no JSON", "PUT", "/api/v1/projects/shop", "{", 400, "\"line\":1"},
      {"a list is no entity", "PUT", "/api/v1/projects/shop", "[]", 400, ""},
      {"nothing at all", "PUT", "/api/v1/projects/shop", "", 400, ""},
      {"an unknown kind", "PUT", "/api/v1/deploymnets", "{}", 404, "deployments"},
      {"a kind that operations write names them", "PUT", "/api/v1/projects/shop/deployments/web.production",
       "{}", 412, "is not written plainly"},
      {"a kind that is not deleted", "DELETE", "/api/v1/projects/shop/builds/b1", "", 412,
       "is not deleted plainly"},
      {"a collection is not deleted", "DELETE", "/api/v1/projects", "", 400, "a collection"},
      {"what is not there is not deleted", "DELETE", "/api/v1/projects/none", "", 404, "project:none"},
      {"nothing is made in a project that is not there", "PUT", "/api/v1/projects/none/environments/test",
       R"({"spec":{"type":"development"}})", 404, "project:none"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto answer = ask(row.method, row.target, row.body);
    EXPECT_EQ(answer.status, row.status) << answer.body;
    EXPECT_NE(answer.body.find(row.said), std::string::npos) << answer.body;
  }
}

TEST_F(ApiTest, WritesHoldToTheRevisionThatTheyWereMadeFrom) {
  make_project();
  const auto first = ask("PUT", "/api/v1/projects/shop", R"({"spec":{"title":"One"}})");
  ASSERT_EQ(first.status, 200) << first.body;
  const auto put = [&](std::int64_t at, const char* title) {
    return ask("PUT", "/api/v1/projects/shop",
               fmt::format(R"({{"metadata":{{"revision":{}}},"spec":{{"title":"{}"}}}})", at, title));
  };
  const auto second = put(revision(first), "Two");
  EXPECT_EQ(second.status, 200) << second.body;
  const auto late = put(revision(first), "Three");
  EXPECT_EQ(late.status, 409);
  EXPECT_NE(late.body.find("\"conflict\""), std::string::npos) << late.body;
  EXPECT_EQ(put(revision(first), "Two").status, 409) << "a stale writer is told, even of what is so already";
  EXPECT_EQ(ask("PUT", "/api/v1/projects/gone", R"({"metadata":{"revision":3},"spec":{}})").status, 404)
      << "a revision of what does not exist makes nothing";
}

TEST_F(ApiTest, ADocumentThatWasReadCanBeSentBack) {
  make_project("shop", {{"team", "a"}});
  const auto read = ask("GET", "/api/v1/projects/shop");
  const auto sent = ask("PUT", "/api/v1/projects/shop", read.body);
  EXPECT_EQ(sent.status, 200) << sent.body;
  EXPECT_EQ(revision(sent), revision(read)) << "nothing changed";
}

TEST_F(ApiTest, ListsByLabelsLimitAndRevision) {
  for (const char* name : {"a", "b", "c"})
    make_project(name, {{"team", name == std::string{"c"} ? "two" : "one"}, {"tier", name}});
  const auto before = store->snapshot()->revision();
  make_project("d");
  const struct {
    const char* reason;
    std::string query;
    std::vector<std::string> found;
  } rows[] = {
      {"all", "", {"a", "b", "c", "d"}},
      {"by label", "?labels=team=one", {"a", "b"}},
      {"by two, all of them", "?labels=team%3Done,tier%3Db", {"b"}},
      {"as of before", "?revision=" + std::to_string(before), {"a", "b", "c"}},
      {"before, by label", "?labels=team=two&revision=" + std::to_string(before), {"c"}},
      {"at most, newest first", "?limit=2", {"d", "c"}},
      {"no more than nothing matches", "?labels=team=three", {}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto answer = ask("GET", "/api/v1/projects" + row.query);
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(names(answer), row.found);
  }
  const Exchange wrong[] = {
      {"a limit in words", "GET", "/api/v1/projects?limit=two", "", 400, "whole number"},
      {"a negative revision", "GET", "/api/v1/projects?revision=-1", "", 400, "whole number"},
      {"a label without its value", "GET", "/api/v1/projects?labels=team", "", 400, "NAME=VALUE"},
      {"a misspelt parameter gets the nearest", "GET", "/api/v1/projects?lables=team=one", "", 400, "labels"},
      {"a project that is not there", "GET", "/api/v1/projects/none/deployments", "", 404, "project:none"},
  };
  for (const auto& row : wrong) {
    SCOPED_TRACE(row.reason);
    const auto answer = ask(row.method, row.target);
    EXPECT_EQ(answer.status, row.status) << answer.body;
    EXPECT_NE(answer.body.find(row.said), std::string::npos) << answer.body;
  }
}

TEST_F(ApiTest, WhatIsNoLongerInHistoryIsGone) {
  make_project();
  const auto before = store->snapshot()->revision();
  clock.advance(std::chrono::hours{2});
  make_project("later");
  run_blocking(store->compact(clock.now()));
  for (const auto* target : {"/api/v1/projects/shop", "/api/v1/projects"}) {
    const auto then = fmt::format("{}?revision={}", target, before);
    const auto answer = ask("GET", then);
    EXPECT_EQ(answer.status, 410) << then << answer.body;
    EXPECT_NE(answer.body.find("history begins at"), std::string::npos) << answer.body;
    EXPECT_EQ(ask("GET", target).status, 200) << "what exists stays";
  }
}

TEST_F(ApiTest, SecretsAreNeverShown) {
  make_project();
  const Secret::Spec spec{.scope = "project", .name = "KEY", .versions = {{.version = 1, .sealed = "hush"}}};
  commit(store::Transaction{}.create(draft<Secret>("shop", "s1", spec)));
  for (const char* target : {"/api/v1/projects/shop/secrets", "/api/v1/projects/shop/secrets/s1",
                             "/api/v1/secrets?limit=5", "/api/v1/projects/shop/secrets/s1?revision=2"}) {
    const auto answer = ask("GET", target);
    EXPECT_EQ(answer.status, 200) << target << answer.body;
    EXPECT_EQ(answer.body.find("hush"), std::string::npos) << target;
  }
}

TEST_F(ApiTest, TheGateStandsBeforeEverything) {
  make_project();
  const struct {
    const char* reason;
    const char* method;
    const char* target;
    const char* token;
    int status;
  } rows[] = {
      {"nobody reads", "GET", "/api/v1/projects", "", 401},
      {"nobody known reads", "GET", "/api/v1/projects", "wrong", 401},
      {"nobody watches", "GET", "/api/v1/projects?watch", "", 401},
      {"a reader reads", "GET", "/api/v1/projects/shop", "reader", 200},
      {"a reader writes nothing", "PUT", "/api/v1/projects/shop", "reader", 403},
      {"a reader makes nothing", "POST", "/api/v1/projects", "reader", 403},
      {"a reader deletes nothing", "DELETE", "/api/v1/projects/shop", "reader", 403},
      {"nobody needs a token for the description", "GET", "/api/v1/openapi.json", "", 200},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    EXPECT_EQ(ask(row.method, row.target, "{}", row.token).status, row.status);
  }
  std::vector<std::string> told;
  for (const auto& event : trail())
    told.push_back(event.subject + " " + event.action + " " + event.target + " " + event.message);
  EXPECT_EQ(told, (std::vector<std::string>{"reader delete project:shop denied: reader may not do this",
                                            "reader create project: denied: reader may not do this",
                                            "reader update project:shop denied: reader may not do this"}))
      << "who is known and may not is told of; who is not known could fill the disk";
}

TEST_F(ApiTest, AConditionInAHeaderHoldsOrNothingHappens) {
  make_project();
  const std::string tag{ask("GET", "/api/v1/projects/shop").headers.get("ETag").value_or("")};
  const auto with = [&](std::string method, std::string condition, std::string body = {}) {
    auto call = call_of(std::move(method), "/api/v1/projects/shop", std::move(body), "admin");
    call.headers.set("If-Match", condition);
    return run_blocking([](std::string origin, http::Call made) -> Task<http::Response> {
      http::Client client{co_await boost::asio::this_coro::executor, origin};
      co_return co_await client.fetch(std::move(made));
    }(url(), std::move(call)));
  };
  const struct {
    const char* reason;
    const char* method;
    std::string condition;
    const char* body;
    int status;
  } rows[] = {
      {"another revision is not deleted", "DELETE", "\"7777\"", "", 412},
      {"nor changed", "PUT", "\"7777\"", R"({"spec":{"title":"A"}})", 412},
      {"what is no tag is said", "DELETE", "7777", "", 400},
      {"nor is a list", "DELETE", "\"1\", \"2\"", "", 400},
      {"two that differ", "PUT", "\"7777\"", R"({"metadata":{"revision":7}})", 400},
      {"the one that was read is changed", "PUT", tag, R"({"spec":{"title":"A"}})", 200},
      {"and then it is another", "DELETE", tag, "", 412},
      {"any that is there", "DELETE", "*", "", 200},
      {"none is there to be changed", "PUT", "*", "{}", 404},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto answer = with(row.method, row.condition, row.body);
    EXPECT_EQ(answer.status, row.status) << answer.body;
  }
}

TEST_F(ApiTest, AdmissionMayRefuseAndTheTrailTellsOfTheRest) {
  api.admit("Project", [](const Call& call, const Record* before, const Record* after) {
    if (!after && before->key.name == "kept")
      throw fail(Code::FailedPrecondition, "{} stays", call.subject.name);
  });
  EXPECT_EQ(ask("POST", "/api/v1/projects", R"({"metadata":{"name":"kept"}})").status, 201);
  EXPECT_EQ(ask("PUT", "/api/v1/projects/kept", R"({"spec":{"title":"K"}})").status, 200);
  EXPECT_EQ(ask("DELETE", "/api/v1/projects/kept").status, 412);
  EXPECT_EQ(ask("PUT", "/api/v1/projects/other", "{}").status, 201);
  EXPECT_EQ(ask("DELETE", "/api/v1/projects/other").status, 200);
  std::vector<std::string> told;
  for (const auto& event : trail()) told.push_back(event.subject + " " + event.action + " " + event.target);
  EXPECT_EQ(told, (std::vector<std::string>{"admin delete project:other", "admin create project:other",
                                            "admin update project:kept", "admin create project:kept"}));
}

TEST_F(ApiTest, WatchGivesWhatIsThenWhatChanges) {
  make_project("a");
  with_client([&](client::Client& client) -> Task<> {
    std::vector<std::string> seen;
    std::thread changes;
    co_await client.watch(key<Project>({}, {}), [&](const client::Change& change) {
      if (change.listed) return true;
      const auto name = *change.document.find("metadata")->find("name")->string();
      seen.push_back((change.removed ? "-" : "+") + name);
      // Another connection does what the watch then sees.
      if (seen.size() == 1)
        changes = std::thread{[&] {
          commit(store::Transaction{}.create(draft<Project>({}, "b", {})));
          commit(store::Transaction{}.erase(key<Project>({}, "a")));
          commit(store::Transaction{}.erase(key<Project>({}, "b")));
        }};
      return seen.size() < 4;
    });
    changes.join();
    EXPECT_EQ(seen, (std::vector<std::string>{"+a", "+b", "-a", "-b"}));
  });
}

TEST_F(ApiTest, ARemovalIsToldAsOneToEveryWatcher) {
  make_project("a");
  // Two watchers: what is encoded for the first must not be shown to the second as something else.
  std::atomic<int> listed{0};
  std::vector<std::thread> watchers;
  std::vector<std::vector<std::string>> seen(2);
  const auto origin = url();
  for (auto& mine : seen)
    watchers.emplace_back([&mine, &listed, origin] {
      run_blocking([](std::string at, std::vector<std::string>& told, std::atomic<int>& ready) -> Task<> {
        client::Client client{co_await boost::asio::this_coro::executor, {.url = at, .token = "admin"}};
        co_await client.watch(key<Project>({}, "a"), [&](const client::Change& change) {
          if (change.listed) return true;
          told.push_back(change.removed ? "removed" : "put");
          if (told.size() == 1) ready.fetch_add(1), ready.notify_all();
          return !change.removed;
        });
      }(origin, mine, listed));
    });
  for (int now = listed; now < 2; now = listed) listed.wait(now);
  commit(store::Transaction{}.put_spec(key<Project>({}, "a"), R"({"title":"A"})"));
  commit(store::Transaction{}.erase(key<Project>({}, "a")));
  for (auto& each : watchers) each.join();
  for (const auto& mine : seen) EXPECT_EQ(mine, (std::vector<std::string>{"put", "put", "removed"}));
}

TEST_F(ApiTest, AWatchOfWhatIsNotThereSaysSoAtOnce) {
  make_project("a");
  with_client([&](client::Client& client) -> Task<> {
    int told = 0;
    co_await client.watch(key<Project>({}, "gone"), [&](const client::Change& change) {
      ++told;
      EXPECT_TRUE(change.listed);
      return false;
    });
    EXPECT_EQ(told, 1);
  });
}

TEST_F(ApiTest, AWatchThatCannotGoOnSaysLost) {
  make_project("a");
  const auto answer = run_blocking([](std::string origin) -> Task<std::string> {
    http::Client client{co_await boost::asio::this_coro::executor, origin};
    auto events = co_await client.events(call_of("GET", "/api/v1/projects?watch&from=999", {}, "admin"));
    const auto event = co_await events.next();
    co_return event ? event->event : "nothing";
  }(url()));
  EXPECT_EQ(answer, "lost");
}

}  // namespace
}  // namespace tow::api
