// SPDX-License-Identifier: Apache-2.0
#include "route/check.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::route {
namespace {

using namespace std::chrono_literals;

Site good() {
  return {.id = "01j9zk",
          .title = "shop web.development",
          .matches = {{.host = "web.localhost"}, {.address = "10.90.3.7", .port = 8080}},
          .servers = {{.id = "i-1", .address = "10.90.3.2", .port = 80}}};
}

TEST(Admitted, SpellsWhatItTakesInOneWay) {
  Site site = good();
  site.matches = {{.host = "Web.LocalHost.", .path = "/api/"}, {.address = "fd00:0:0::7", .port = 80}};
  const Site out = admitted(site);
  EXPECT_EQ(out.matches[0].host, "web.localhost");
  EXPECT_EQ(out.matches[0].path, "/api");
  EXPECT_EQ(out.matches[1].address, "fd00::7");
}

TEST(Key, EndsAtASegment) {
  EXPECT_EQ(key({.host = "a.b"}), "a.b/");
  EXPECT_EQ(key({.host = "a.b", .path = "/api"}), "a.b/api/");
  EXPECT_EQ(key({.address = "10.0.0.1", .port = 80}), "10.0.0.1:80");
}

struct Bad {
  const char* reason;
  const char* path;  // of the fault
  std::function<void(Site&)> spoil;
};

TEST(Admitted, RefusesWhatCouldBeAnythingElseInAConfigurationOrACommand) {
  const Bad cases[] = {
      {"a newline begins another line of the configuration", "id", [](Site& s) { s.id = "a\nglobal"; }},
      {"a semicolon begins another command", "id", [](Site& s) { s.id = "a;shutdown"; }},
      {"an id is never empty", "id", [](Site& s) { s.id = ""; }},
      {"upper case is not in the alphabet", "id", [](Site& s) { s.id = "ABC"; }},
      {"a title is shown on a page", "title", [](Site& s) { s.title = "<script>"; }},
      {"a title is part of a command", "title", [](Site& s) { s.title = "a;b"; }},
      {"a title is part of a line", "title", [](Site& s) { s.title = "a\nb"; }},
      {"quotes end an argument", "title", [](Site& s) { s.title = "a\"b"; }},
      {"a backslash escapes what follows", "title", [](Site& s) { s.title = "a\\b"; }},
      {"percent begins a variable", "title", [](Site& s) { s.title = "%[env(HOME)]"; }},
      {"a page without a title says nothing", "title", [](Site& s) { s.title = ""; }},
      {"no newline in a host", "matches[0].host", [](Site& s) { s.matches[0].host = "a\nb"; }},
      {"no NUL in a host", "matches[0].host", [](Site& s) { s.matches[0].host = std::string{"a\0b", 3}; }},
      {"no space in a host", "matches[0].host", [](Site& s) { s.matches[0].host = "a b"; }},
      {"a host has no path", "matches[0].host", [](Site& s) { s.matches[0].host = "a/b"; }},
      {"a host has no port", "matches[0].host", [](Site& s) { s.matches[0].host = "a:80"; }},
      {"a comment sign hides a map's line", "matches[0].host", [](Site& s) { s.matches[0].host = "#a"; }},
      {"no wildcard", "matches[0].host", [](Site& s) { s.matches[0].host = "*.b"; }},
      {"no empty label", "matches[0].host", [](Site& s) { s.matches[0].host = "a..b"; }},
      {"a label is at most 63 long", "matches[0].host",
       [](Site& s) { s.matches[0].host = std::string(64, 'a'); }},
      {"only ASCII", "matches[0].host", [](Site& s) { s.matches[0].host = "b\xc3\xbc"; }},
      {"a path begins at the root", "matches[0].path", [](Site& s) { s.matches[0].path = "api"; }},
      {"no space in a path", "matches[0].path", [](Site& s) { s.matches[0].path = "/a b"; }},
      {"no semicolon in a path", "matches[0].path", [](Site& s) { s.matches[0].path = "/a;b"; }},
      {"no newline in a path", "matches[0].path", [](Site& s) { s.matches[0].path = "/a\nb"; }},
      {"no way up in a path", "matches[0].path", [](Site& s) { s.matches[0].path = "/a/../b"; }},
      {"no empty segment in a path", "matches[0].path", [](Site& s) { s.matches[0].path = "/a//b"; }},
      {"nor at its end", "matches[0].path", [](Site& s) { s.matches[0].path = "//"; }},
      {"an address is an address", "matches[1].address", [](Site& s) { s.matches[1].address = "localhost"; }},
      {"of one machine", "matches[1].address", [](Site& s) { s.matches[1].address = "0.0.0.0"; }},
      {"a port is given", "matches[1].port", [](Site& s) { s.matches[1].port = 0; }},
      {"host or address, not both", "matches[1]", [](Site& s) { s.matches[1].host = "a"; }},
      {"host or address, not neither", "matches[0]", [](Site& s) { s.matches[0].host = ""; }},
      {"a match stands there once", "matches[1]", [](Site& s) { s.matches[1] = {.host = "WEB.localhost"}; }},
      {"a server is not an option", "servers[0].id", [](Site& s) { s.servers[0].id = "a b"; }},
      {"nor another backend's", "servers[0].id", [](Site& s) { s.servers[0].id = "a/b"; }},
      {"a server has an address", "servers[0].address",
       [](Site& s) { s.servers[0].address = "1.2.3.4 check"; }},
      {"and a port", "servers[0].port", [](Site& s) { s.servers[0].port = 0; }},
      {"weights end at 256", "servers[0].weight", [](Site& s) { s.servers[0].weight = 257; }},
      {"and begin at 0", "servers[0].weight", [](Site& s) { s.servers[0].weight = -1; }},
      {"a server stands there once", "servers[1].id", [](Site& s) { s.servers.push_back(s.servers[0]); }},
      {"a limit of nothing", "request_limit", [](Site& s) { s.request_limit = 0ms; }},
  };
  for (const Bad& bad : cases) {
    Site site = good();
    bad.spoil(site);
    try {
      admitted(site);
      ADD_FAILURE() << "admitted: " << bad.reason;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid) << bad.reason;
      ASSERT_EQ(error.faults().size(), 1U) << bad.reason << "\n" << error.message();
      EXPECT_EQ(error.faults()[0].path, bad.path) << bad.reason;
      EXPECT_FALSE(error.message().contains('\0')) << bad.reason;
    }
  }
}

TEST(Admitted, ReportsEveryFaultAtOnce) {
  Site site = good();
  site.id = "";
  site.title = "\n";
  site.servers[0].weight = 1000;
  try {
    admitted(site);
    FAIL() << "admitted";
  } catch (const Error& error) {
    EXPECT_EQ(error.faults().size(), 3U);
  }
}

}  // namespace
}  // namespace tow::route
