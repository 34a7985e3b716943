// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/render.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.hpp"
#include "route/haproxy/daemon.hpp"

namespace tow::route::haproxy {
namespace {

using namespace std::chrono_literals;

Frame frame() {
  return {.settings = {.runtime_directory = "/run/towpath/haproxy",
                       .public_address = "0.0.0.0",
                       .trusted = {"10.0.0.0/8", "fd00::1"},
                       .unknown_hint = "100% of <hosts> are shown by \"tow status\"."},
          .user = "haproxy",
          .group = "haproxy"};
}

Sites sites() {
  Sites out;
  out.claimed[0] = {.id = "01aa",
                    .title = "shop web.development",
                    .matches = {{.host = "web.localhost"}, {.address = "10.90.3.7", .port = 8080}},
                    .servers = {{.id = "i-1", .address = "10.90.3.2", .port = 80, .weight = 90},
                                {.id = "i-2", .address = "fd00::2", .port = 81, .weight = 0}}};
  out.claimed[7] = {.id = "01bb",
                    .title = "shop api.production",
                    .matches = {{.host = "web.localhost", .path = "/api"}},
                    .request_limit = 5min};
  out.claimed[8] = {.id = "01cc",
                    .title = "shop admin.development",
                    .matches = {{.host = "admin.localhost"}, {.address = "10.90.3.8", .port = 80}},
                    .hold = Hold{}};
  out.spare = {1, 2, 9};
  return out;
}

/// TOW_UPDATE_GOLDEN=1 writes what is rendered now.
TEST(Render, GivesWhatTheGoldenFileSays) {
  std::string rendered;
  for (const auto& [name, contents] : render(frame(), sites())) {
    rendered += fmt::format("==== {}\n{}", name, contents);
  }
  const std::string path = TOW_SOURCE_DIR "/src/route/haproxy/testdata/rendered.txt";
  if (std::getenv("TOW_UPDATE_GOLDEN") != nullptr) std::ofstream{path, std::ios::binary} << rendered;
  std::stringstream golden;
  golden << std::ifstream{path, std::ios::binary}.rdbuf();
  EXPECT_EQ(rendered, golden.str());
}

TEST(Render, EndsWithTheConfigurationWhichBeginsWithThePreamble) {
  const auto files = render(frame(), sites());
  EXPECT_EQ(files.back().first, kConfiguration);
  EXPECT_TRUE(files.back().second.starts_with(preamble(frame())));
}

TEST(Preamble, ChangesWithSettingsAndPagesButNotWithSites) {
  Frame other = frame();
  other.settings.unknown_hint = "Ask somebody.";
  EXPECT_NE(preamble(frame()), preamble(other));
  other = frame();
  other.settings.public_port = 81;
  EXPECT_NE(preamble(frame()), preamble(other));
}

TEST(Described, ComesBackAsItWas) {
  const Site site = sites().claimed.at(7);
  const auto back = parse_described(described(site));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, site.id);
  EXPECT_EQ(back->title, site.title);
  EXPECT_EQ(back->request_limit, site.request_limit);
  EXPECT_FALSE(back->hold);
  Site sleeper = site;
  sleeper.hold = Hold{.limit = std::chrono::seconds{7}, .most = 3};
  const auto held = parse_described(described(sleeper));
  ASSERT_TRUE(held);
  EXPECT_EQ(held->title, site.title);
  EXPECT_EQ(held->hold, sleeper.hold);
  for (const char* bad : {"", "1|2", "x|a|b", "|a|b", "99999999999999999999|a|b", "1|a|b|", "1|a|b|5|x|awake",
                          "1|a|b|5|awake"}) {
    EXPECT_FALSE(parse_described(bad)) << bad;
  }
}

TEST(BackendNumber, IsReadFromNamesOfOursAlone) {
  EXPECT_EQ(backend_number(backend_name(17)), 17);
  for (const char* bad : {"", "b", "b-1", "b1x", "public", "17", "b99999999999"}) {
    EXPECT_FALSE(backend_number(bad)) << bad;
  }
}

TEST(CheckSettings, RefusesWhatCannotStandInAConfiguration) {
  struct Bad {
    const char* reason;
    std::function<void(Settings&)> spoil;
  };
  const Bad cases[] = {
      {"a directory is absolute", [](Settings& s) { s.runtime_directory = "run"; }},
      {"a directory has no spaces", [](Settings& s) { s.runtime_directory = "/run/a b"; }},
      {"a directory has no newlines", [](Settings& s) { s.runtime_directory = "/run/a\nb"; }},
      {"a socket's path is short", [](Settings& s) { s.runtime_directory = "/" + std::string(91, 'a'); }},
      {"networks are networks", [](Settings& s) { s.trusted = {"10.0.0.0/8 0.0.0.0/0"}; }},
      {"prefixes are numbers", [](Settings& s) { s.trusted = {"10.0.0.0/x"}; }},
      {"an address is none of many", [](Settings& s) { s.public_address = "10.0.0.0/8"; }},
      {"a name is not an address", [](Settings& s) { s.internal_address = "localhost"; }},
      {"a hint is a line", [](Settings& s) { s.unknown_hint = "a\nb"; }},
      {"there is a spare backend", [](Settings& s) { s.spare_backends = 0; }},
  };
  check(frame().settings);
  for (const Bad& bad : cases) {
    Settings settings = frame().settings;
    bad.spoil(settings);
    EXPECT_THROW(check(settings), Error) << bad.reason;
  }
}

TEST(ListeningInodes, AreFoundByPort) {
  const char* table =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 "
      "100 0\n"
      "   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 "
      "100 0\n"
      "   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 "
      "100 0\n"
      "short line\n";
  EXPECT_EQ(listening_inodes(table, 8080), std::vector<std::uint64_t>{4711});
  EXPECT_EQ(listening_inodes(table, 80), std::vector<std::uint64_t>{4713});
  EXPECT_TRUE(listening_inodes(table, 81).empty());
  EXPECT_TRUE(listening_inodes("", 80).empty());
}

TEST(Resolve, KeepsThePortsOfBefore) {
  Settings settings = frame().settings;
  settings.public_address = "127.0.0.1";
  settings.public_port = 0;
  settings.internal_port = 0;
  const Frame first = resolve(settings, "");
  EXPECT_NE(first.settings.public_port, 0);
  EXPECT_NE(first.settings.internal_port, first.settings.public_port);
  const Frame second = resolve(settings, preamble(first));
  EXPECT_EQ(second.settings.public_port, first.settings.public_port);
  EXPECT_EQ(second.settings.internal_port, first.settings.internal_port);
}

}  // namespace
}  // namespace tow::route::haproxy
