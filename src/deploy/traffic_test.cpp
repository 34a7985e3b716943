// SPDX-License-Identifier: Apache-2.0
#include "deploy/traffic.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "deploy/differences.hpp"

namespace tow::deploy {
namespace {

using engine::Phase;

engine::InstanceView instance(std::string id, int ordinal, Phase phase) {
  return {.id = std::move(id),
          .group = {},
          .ordinal = ordinal,
          .phase = phase,
          .address = phase == Phase::Starting ? "" : fmt::format("10.90.0.{}", ordinal + 2)};
}

Revision::Spec web(std::uint16_t target = 8080) {
  Revision::Spec spec;
  spec.ports = {{.name = "admin", .port = 70, .target = 7070, .http = true},
                {.name = "http", .port = 80, .target = target, .http = true},
                {.name = "raw", .port = 90, .target = 9090}};
  spec.routes = {{.host = "web.localhost", .path = "/", .port = 80}};
  return spec;
}

TrafficInput input(const Revision::Spec& front) {
  return {.deployment_uid = "d1",
          .title = "shop web.development",
          .service = "web",
          .environment = "e1",
          .address = "10.90.3.7",
          .front = &front,
          .routes = front.routes,
          .sides = {}};
}

std::string show(const route::Site& site) {
  auto text = site.id + ":";
  for (const auto& match : site.matches)
    text += match.host.empty() ? fmt::format(" {}:{}", match.address, match.port)
                               : fmt::format(" {}{}", match.host, match.path);
  text += " ->";
  for (const auto& server : site.servers)
    text += fmt::format(" {}={}:{}*{}", server.id, server.address, server.port, server.weight);
  return text;
}

TEST(Traffic, APortWithARouteComesFirstAndIsCalledByTheDeploymentAlone) {
  const auto front = web();
  auto in = input(front);
  in.sides = {{.revision = &front,
               .instances = {instance("r1-0", 0, Phase::Ready)},
               .count = 1,
               .share = 100,
               .plain = true}};
  const auto sites = sites_of(in);
  ASSERT_EQ(sites.size(), 2u) << "plain TCP goes past the proxy";
  EXPECT_EQ(show(sites[0]), "d1: web.localhost/ 10.90.3.7:80 -> r1-0=10.90.0.2:8080*100");
  EXPECT_EQ(show(sites[1]), "d1p70: 10.90.3.7:70 -> r1-0=10.90.0.2:7070*100");
  EXPECT_EQ(site_ids("d1", front), (std::vector<std::string>{"d1", "d1p70"}));
}

TEST(Traffic, OnlyReadyInstancesGetAnythingNew) {
  const auto front = web(), old = web(3000);
  auto in = input(front);
  in.sides = {{.revision = &front,
               .instances = {instance("r2-0", 0, Phase::Ready), instance("r2-1", 1, Phase::Unready),
                             instance("r2-2", 2, Phase::Starting), instance("r2-3", 3, Phase::Backoff),
                             instance("r2-4", 4, Phase::Ready)},
               .count = 4,
               .share = 100,
               .plain = true},
              {.revision = &old, .instances = {instance("r1-0", 0, Phase::Ready)}, .count = 1, .share = 0}};
  EXPECT_EQ(show(sites_of(in)[0]),
            "d1: web.localhost/ 10.90.3.7:80 -> r2-0=10.90.0.2:8080*100 r2-1=10.90.0.3:8080*0 "
            "r2-4=10.90.0.6:8080*0 r1-0=10.90.0.2:3000*0");
  const auto service = service_of(in);
  ASSERT_TRUE(service);
  EXPECT_EQ(service->endpoints, std::vector<std::string>{"10.90.0.2"});
  EXPECT_EQ(service->ports.size(), 3u);
}

TEST(Traffic, ADrainingRevisionWithoutThatPortIsLeftOut) {
  const auto front = web();
  Revision::Spec old;
  auto in = input(front);
  in.sides = {{.revision = &old, .instances = {instance("r1-0", 0, Phase::Ready)}, .count = 1, .share = 0}};
  EXPECT_TRUE(sites_of(in)[0].servers.empty());
}

TEST(Traffic, AWorkerHasNoSiteAndNoService) {
  const Revision::Spec worker;
  const auto in = input(worker);
  EXPECT_TRUE(sites_of(in).empty());
  EXPECT_FALSE(service_of(in));
}

TEST(Traffic, FingerprintsTellSitesApart) {
  const auto front = web();
  auto in = input(front);
  const auto before = fingerprint(sites_of(in)[0]);
  EXPECT_EQ(before, fingerprint(sites_of(in)[0]));
  in.sides = {{.revision = &front,
               .instances = {instance("r1-0", 0, Phase::Ready)},
               .count = 1,
               .share = 100,
               .plain = true}};
  const auto open = fingerprint(sites_of(in)[0]);
  EXPECT_NE(before, open);
  in.sides[0].share = 0;
  in.sides[0].plain = false;
  EXPECT_NE(open, fingerprint(sites_of(in)[0]));
}

TEST(Differences, AreSaidInWordsWithoutValues) {
  Revision::Spec before, after;
  before.release = "web.1";
  before.configuration = {{"A", {.value = "1"}},
                          {"B", {.value = "1"}},
                          {"S", {.secret = "s", .version = 1}},
                          {"T", {.secret = "t", .version = 1}}};
  after.release = "web.2";
  after.configuration = {
      {"A", {.value = "hidden value"}}, {"C", {.value = "1"}}, {"S", {.secret = "s", .version = 2}}};
  after.restarted = TimePoint{Duration{1}};
  const auto yaml = [](const char* text) { return parse_yaml(text); };
  const Release::Spec old{.commit = Commit{.id = "aaaaaaaaaa"},
                          .image = "i1",
                          .score = yaml("{containers: {main: {image: ., args: [a]}}}")};
  const Release::Spec now{.commit = Commit{.id = "bbbbbbbbbb"},
                          .image = "i2",
                          .score = yaml("{containers: {main: {image: ., args: [b]}}, service: {ports: {}}}")};
  EXPECT_EQ(differences({&before, &old}, {&after, &now}),
            (std::vector<std::string>{"commit bbbbbbb", "image", "score containers.main.args",
                                      "score service", "config A changed", "config C set",
                                      "secret S version 2", "config B unset", "secret T unset", "restart"}));
  EXPECT_EQ(differences({&before, nullptr}, {&after, &now})[0], "release web.2") << "a release that is gone";
}

}  // namespace
}  // namespace tow::deploy
