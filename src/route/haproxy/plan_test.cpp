// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/plan.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::route::haproxy {
namespace {

Site base() {
  return {.id = "01aa",
          .title = "shop web.dev",
          .matches = {{.host = "web.test"}},
          .servers = {{.id = "i-1", .address = "10.0.0.1", .port = 80, .weight = 100}}};
}

Site changed(const std::function<void(Site&)>& change) {
  Site site = base();
  change(site);
  return site;
}

struct Case {
  const char* reason;
  Backend before;
  Site site;
  std::set<std::string> routed;  // keys that lead somewhere already
  std::vector<std::string> commands;
  std::set<std::string> retired;
};

const Case kCases[] = {
    {"a new site has its servers before a route leads to it",
     {},
     base(),
     {},
     {"add server b5/i-1 10.0.0.1:80 weight 100 pool-max-conn -1 pool-purge-delay 5s",
      "set server b5/i-1 state ready", R"(add map /run/x/sites.map b5 60000|01aa|shop\ web.dev)",
      "add map /run/x/routes.map web.test/ b5"},
     {}},
    {"nothing changes, nothing is said", {.site = base()}, base(), {}, {}, {}},
    {"a retired server that is still wanted to end stays retired",
     {.site = base(), .retired = {"i-0"}},
     base(),
     {},
     {},
     {"i-0"}},
    {"at no moment is every weight nothing",
     {.site = changed([](Site& s) { s.servers.push_back({"i-2", "10.0.0.2", 80, 0}); })},
     changed([](Site& s) {
       s.servers[0].weight = 0;
       s.servers.push_back({"i-2", "10.0.0.2", 80, 100});
     }),
     {},
     {"set server b5/i-2 weight 100", "set server b5/i-1 weight 0"},
     {}},
    {"the new server is there before the old one goes",
     {.site = base()},
     changed([](Site& s) { s.servers = {{"i-2", "fd00::2", 80, 10}}; }),
     {},
     {"add server b5/i-2 [fd00::2]:80 weight 10 pool-max-conn -1 pool-purge-delay 5s",
      "set server b5/i-2 state ready", "set server b5/i-1 state maint"},
     {"i-1"}},
    {"a server that comes back is told everything, as it may have been kept or not",
     {.site = changed([](Site& s) { s.servers.clear(); }), .retired = {"i-1"}},
     base(),
     {},
     {"add server b5/i-1 10.0.0.1:80 weight 100 pool-max-conn -1 pool-purge-delay 5s",
      "set server b5/i-1 addr 10.0.0.1 port 80", "set server b5/i-1 weight 100",
      "set server b5/i-1 state ready"},
     {}},
    {"a server moves",
     {.site = base()},
     changed([](Site& s) { s.servers[0].port = 81; }),
     {},
     {"set server b5/i-1 addr 10.0.0.1 port 81"},
     {}},
    {"a site that is held has all that a held request looks up before a route leads there",
     {},
     changed([](Site& s) { s.servers.clear(), s.hold = Hold{}; }),
     {},
     {"add map /run/x/asleep.map web.test/ b5",
      R"(add map /run/x/sites.map b5 60000|01aa|shop\ web.dev|30000|200|asleep)",
      "add map /run/x/routes.map web.test/ hold_public"},
     {}},
    {"it falls asleep: nobody is sent to a server any more before the last one goes",
     {.site = changed([](Site& s) { s.hold = Hold{}; })},
     changed([](Site& s) { s.servers.clear(), s.hold = Hold{}; }),
     {},
     {"add map /run/x/asleep.map web.test/ b5",
      R"(set map /run/x/sites.map b5 60000|01aa|shop\ web.dev|30000|200|asleep)",
      "set map /run/x/routes.map web.test/ hold_public", "set server b5/i-1 state maint"},
     {"i-1"}},
    {"it wakes: there is a server and a way to it before anybody is let go",
     {.site = changed([](Site& s) { s.servers.clear(), s.hold = Hold{}; })},
     changed([](Site& s) { s.hold = Hold{}; }),
     {},
     {"add server b5/i-1 10.0.0.1:80 weight 100 pool-max-conn -1 pool-purge-delay 5s",
      "set server b5/i-1 state ready", "set map /run/x/routes.map web.test/ b5",
      R"(set map /run/x/sites.map b5 60000|01aa|shop\ web.dev|30000|200|awake)",
      "del map /run/x/asleep.map web.test/"},
     {}},
    {"a host that is taken from a site that nobody applied again is asleep no more",
     {},
     changed([](Site& s) { s.servers.clear(), s.hold = Hold{}; }),
     {"web.test/"},
     {"del map /run/x/asleep.map web.test/", "add map /run/x/asleep.map web.test/ b5",
      R"(add map /run/x/sites.map b5 60000|01aa|shop\ web.dev|30000|200|asleep)",
      "set map /run/x/routes.map web.test/ hold_public"},
     {}},
    {"routes come before others go",
     {.site = base()},
     changed([](Site& s) {
       s.matches = {{.host = "new.test", .path = "/api"}, {.address = "10.90.0.1", .port = 80}};
     }),
     {},
     {"add map /run/x/internal.map 10.90.0.1:80 b5", "add map /run/x/routes.map new.test/api/ b5",
      "del map /run/x/routes.map web.test/"},
     {}},
    {"a route that leads elsewhere is turned, not doubled",
     {},
     changed([](Site& s) { s.servers.clear(); }),
     {"web.test/"},
     {R"(add map /run/x/sites.map b5 60000|01aa|shop\ web.dev)", "del map /run/x/asleep.map web.test/",
      "set map /run/x/routes.map web.test/ b5"},
     {}},
    {"a title changes",
     {.site = base()},
     changed([](Site& s) { s.title = "x"; }),
     {},
     {"set map /run/x/sites.map b5 60000|01aa|x"},
     {}},
    {"a site that was leaving comes back",
     {.site = {.id = "01aa", .title = "shop web.dev"}, .retired = {"i-1"}, .leaving = true},
     base(),
     {},
     {"add server b5/i-1 10.0.0.1:80 weight 100 pool-max-conn -1 pool-purge-delay 5s",
      "set server b5/i-1 addr 10.0.0.1 port 80", "set server b5/i-1 weight 100",
      "set server b5/i-1 state ready", R"(set map /run/x/sites.map b5 60000|01aa|shop\ web.dev)",
      "add map /run/x/routes.map web.test/ b5"},
     {}},
};

TEST(PlanApply, SaysWhatHasToBeSaidInASafeOrder) {
  for (const Case& it : kCases) {
    const Change change = plan_apply("/run/x", 5, it.before, it.site,
                                     [&](const std::string& key) { return it.routed.contains(key); });
    EXPECT_EQ(change.commands, it.commands) << it.reason;
    EXPECT_EQ(change.after.retired, it.retired) << it.reason;
    EXPECT_FALSE(change.after.leaving) << it.reason;
    EXPECT_EQ(change.after.site.servers.size(), it.site.servers.size()) << it.reason;
  }
}

TEST(PlanRemove, TakesTheRoutesFirst) {
  const Change change = plan_remove("/run/x", 5, {.site = base(), .retired = {"i-0"}});
  EXPECT_EQ(change.commands, (std::vector<std::string>{"del map /run/x/routes.map web.test/",
                                                       "set server b5/i-1 state maint"}));
  EXPECT_TRUE(change.after.leaving);
  EXPECT_EQ(change.after.retired, (std::set<std::string>{"i-0", "i-1"}));
  EXPECT_EQ(plan_sweep(5, change.after),
            (std::vector<std::string>{"del server b5/i-0", "del server b5/i-1"}));
}

TEST(Reply, KnowsWhatWasDone) {
  EXPECT_EQ(reply(""), Reply::Done);
  EXPECT_EQ(reply("New server registered."), Reply::Done);
  EXPECT_EQ(reply("Already exists a server with the same name in backend."), Reply::Done);
  EXPECT_EQ(reply("no need to change the addr, no need to change the port by 'stats socket command'"),
            Reply::Done);
  EXPECT_EQ(reply("No such server."), Reply::Absent);
  EXPECT_EQ(reply("Server still has connections attached to it, cannot remove it."), Reply::Refused);
  EXPECT_EQ(reply("Unknown command, but maybe one of the following ones is a better match:"), Reply::Refused);
}

}  // namespace
}  // namespace tow::route::haproxy
