// SPDX-License-Identifier: Apache-2.0
// Requests under changes: a real HAProxy between real sockets.
#include <gmock/gmock.h>

#include <gtest/gtest.h>
#include <thread>

#include <fmt/format.h>

#include "base/error.hpp"
#include "route/haproxy/lab.hpp"

namespace tow::route::haproxy {
namespace {

using namespace std::chrono_literals;
using lab::Client;
using lab::Instance;
using lab::Load;
using lab::Proxied;
using testing::IsEmpty;

void few_spares(Settings& settings) { settings.spare_backends = 4; }

/// A rollout as the deploy controller does it: the new one joins, the old one drains, leaves and ends.
std::unique_ptr<Instance> replace(Proxied& proxied, std::unique_ptr<Instance> old, const std::string& id) {
  auto fresh = std::make_unique<Instance>(id);
  proxied.apply(lab::site("a", "web.test", {old->server(), fresh->server()}));
  EXPECT_TRUE(lab::soon([&] { return fresh->requests() > 0; })) << id;
  proxied.apply(lab::site("a", "web.test", {old->server(0), fresh->server()}));
  const std::string leaving = old->server().id;
  EXPECT_TRUE(lab::soon([&] { return proxied.sessions("a", leaving) == 0; })) << id;
  proxied.apply(lab::site("a", "web.test", {fresh->server()}));
  old->crash();
  return fresh;
}

struct Way {
  const char* name;
  Load::Connections connections;
  const char* method;
};

class Rollouts : public testing::TestWithParam<Way> {};

TEST_P(Rollouts, LoseNoRequest) {
  Proxied proxied{few_spares};
  proxied.start();
  auto instance = std::make_unique<Instance>("i-0");
  proxied.apply(lab::site("a", "web.test", {instance->server()}));
  Load load{proxied.port(), "web.test", 4, GetParam().connections, GetParam().method};
  for (int i = 1; i <= 20; ++i) {
    instance = replace(proxied, std::move(instance), fmt::format("i-{}", i));
    if (i % 7 == 0) proxied.force_reload();
  }
  load.end();
  EXPECT_THAT(load.failures(), IsEmpty());
  EXPECT_GT(load.asked(), 200);
  EXPECT_EQ(load.answers().size(), 21U);  // every instance served
}

INSTANTIATE_TEST_SUITE_P(Haproxy, Rollouts,
                         testing::Values(Way{"GetsKeptAlive", Load::Connections::Kept, "GET"},
                                         Way{"GetsOnFreshConnections", Load::Connections::Fresh, "GET"},
                                         Way{"PostsKeptAlive", Load::Connections::Kept, "POST"},
                                         Way{"PostsOnFreshConnections", Load::Connections::Fresh, "POST"}),
                         [](const auto& info) { return info.param.name; });

TEST(Drain, AWebSocketIsCountedAcrossAReloadUntilItEnds) {
  Proxied proxied{few_spares};
  proxied.start();
  Instance old{"i-0"};
  Instance fresh{"i-1"};
  proxied.apply(lab::site("a", "web.test", {old.server()}));
  Client socket{proxied.port()};
  socket.send(fmt::format("GET / HTTP/1.1\r\nHost: web.test\r\n{}\r\n", lab::kUpgrade));
  ASSERT_TRUE(socket.receive("\r\n\r\n").contains(" 101 "));
  EXPECT_EQ(proxied.sessions("a", "i-0"), 1U);

  proxied.force_reload();
  EXPECT_EQ(proxied.old_workers().size(), 1U);
  EXPECT_EQ(proxied.sessions("a", "i-0"), 1U);
  proxied.apply(lab::site("a", "web.test", {fresh.server()}));
  EXPECT_EQ(proxied.sessions("a", "i-0"), 1U);
  proxied.force_reload();
  EXPECT_EQ(proxied.sessions("a", "i-0"), 1U);
  socket.send("still here");
  EXPECT_EQ(socket.receive("here"), "still here");
  proxied.restart();
  proxied.start();
  proxied.apply(lab::site("a", "web.test", {fresh.server()}));
  EXPECT_EQ(proxied.sessions("a", "i-0"), 1U);

  old.end_streams();
  EXPECT_TRUE(lab::soon([&] { return proxied.sessions("a", "i-0") == 0; }));
  EXPECT_TRUE(lab::soon([&] { return proxied.old_workers().empty(); }));
  EXPECT_EQ(lab::get(proxied.port(), "web.test").body, "i-1");
}

TEST(Drain, AnEventStreamIsCountedUntilItEnds) {
  Proxied proxied;
  proxied.start();
  Instance old{"i-0"};
  proxied.apply(lab::site("a", "web.test", {old.server()}));
  Client stream{proxied.port()};
  stream.send("GET /events HTTP/1.1\r\nHost: web.test\r\nAccept: text/event-stream\r\n\r\n");
  ASSERT_TRUE(stream.receive("data: i-0").contains("data: i-0"));
  proxied.apply(lab::site("a", "web.test", {old.server(0)}));
  EXPECT_EQ(proxied.sessions("a", "i-0"), 1U);
  old.end_streams();
  EXPECT_TRUE(lab::soon([&] { return proxied.sessions("a", "i-0") == 0; }));
}

TEST(Drain, AnIdleConnectionOfAnOldWorkerFollowsLaterChanges) {
  Proxied proxied{few_spares};
  proxied.start();
  Instance first{"i-0"};
  Instance second{"i-1"};
  proxied.apply(lab::site("a", "web.test", {first.server()}));
  Client idle{proxied.port()};
  EXPECT_EQ(idle.request("web.test").body, "i-0");
  proxied.force_reload();
  proxied.apply(lab::site("a", "web.test", {second.server()}));
  first.crash();
  const lab::Answer answer = idle.request("web.test", "/", {}, "POST", "x");
  EXPECT_EQ(answer.body, "i-1");
  EXPECT_EQ(answer.header("Connection"), "close");
}

TEST(Drain, AnIdleConnectionOfAnOldWorkerFindsWhatThatWorkerNeverKnew) {
  Proxied proxied{few_spares};
  proxied.start();
  Instance first{"i-0"};
  Instance second{"i-1"};
  proxied.apply(lab::site("a", "web.test", {first.server()}));
  Client idle{proxied.port()};
  Client silent{proxied.port()};
  EXPECT_EQ(idle.request("web.test").status, 200);
  EXPECT_EQ(silent.request("web.test").status, 200);
  proxied.force_reload();
  for (int i = 0; i < 8; ++i) {  // past the backends that the old worker has, too
    proxied.apply(lab::site(fmt::format("n{}", i), fmt::format("n{}.test", i), {second.server()}));
  }
  const lab::Answer answer =
      idle.request("n7.test", "/head", "X-Number: 1\r\nX-Forwarded-For: 9.9.9.9\r\n", "POST", "x");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body.contains("\r\nx-forwarded-for: 127.0.0.1\r\n")) << answer.body;
  EXPECT_EQ(second.arrivals("1"), 1);
  EXPECT_EQ(proxied.signals("n7").requests, 1U);
  EXPECT_EQ(silent.request("unknown.test").status, 404);
  EXPECT_TRUE(lab::soon([&] { return proxied.old_workers().empty(); }));
}

TEST(Crash, OfAnInstanceCostsNoGet) {
  Proxied proxied;
  proxied.start();
  Instance first{"i-0"};
  Instance second{"i-1"};
  proxied.apply(lab::site("a", "web.test", {first.server(), second.server()}));
  Load kept{proxied.port(), "web.test", 3, Load::Connections::Kept};
  Load fresh{proxied.port(), "web.test", 3, Load::Connections::Fresh};
  ASSERT_TRUE(lab::soon([&] { return kept.asked() > 100 && fresh.asked() > 100; }));
  first.crash();
  const int then = kept.asked();
  ASSERT_TRUE(lab::soon([&] { return kept.asked() > then + 200; }));
  proxied.apply(lab::site("a", "web.test", {second.server()}));
  kept.end();
  fresh.end();
  EXPECT_THAT(kept.failures(), IsEmpty());
  EXPECT_THAT(fresh.failures(), IsEmpty());
}

TEST(Crash, OfAnInstanceBringsNoPostTwice) {
  Proxied proxied;
  proxied.start();
  Instance breaking{"i-0"};
  Instance second{"i-1"};
  proxied.apply(lab::site("a", "web.test", {breaking.server(), second.server()}));
  std::map<int, int> statuses;
  for (int i = 0; i < 20; ++i) {
    const std::string number = std::to_string(i);
    Client client{proxied.port()};
    ++statuses[client.request("web.test", "/break", "X-Number: " + number + "\r\n", "POST", "x").status];
    EXPECT_LE(breaking.arrivals(number) + second.arrivals(number), 1) << number;
  }
  EXPECT_EQ(statuses[502], 20);
  // The same with GET is tried again, elsewhere.
  Client client{proxied.port()};
  client.request("web.test", "/break", "X-Number: get\r\n");
  EXPECT_GT(breaking.arrivals("get") + second.arrivals("get"), 1);
}

TEST(Crash, OfAConnectionToASingleInstanceCostsNoGetUnlessItIsBusy) {
  Proxied proxied;
  proxied.start();
  Instance only{"i-0"};
  proxied.apply(lab::site("a", "web.test", {only.server()}));
  int next = 0;
  const auto arrivals = [&] {
    const std::string number = std::to_string(next++);
    Client{proxied.port()}.request("web.test", "/break", "X-Number: " + number + "\r\n");
    return only.arrivals(number);
  };
  EXPECT_GT(arrivals(), 1);
  Load load{proxied.port(), "web.test", 4, Load::Connections::Kept};
  EXPECT_TRUE(lab::soon([&] { return arrivals() == 1; }));
  load.end();
  EXPECT_THAT(load.failures(), IsEmpty());
  EXPECT_TRUE(lab::soon([&] {
    // A test that asks without a pause would itself be what keeps the instance busy.
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    return arrivals() > 1;
  }));
}

TEST(Crash, BeforeAnInstanceWasReachedCostsNoPost) {
  Proxied proxied;
  proxied.start();
  Instance gone{"i-0"};
  Instance second{"i-1"};
  proxied.apply(lab::site("a", "web.test", {gone.server(), second.server()}));
  gone.crash();
  for (int i = 0; i < 20; ++i) {
    const std::string number = std::to_string(i);
    Client client{proxied.port()};
    EXPECT_EQ(client.request("web.test", "/", "X-Number: " + number + "\r\n", "POST", "x").status, 200);
    EXPECT_EQ(second.arrivals(number), 1) << number;
  }
  EXPECT_GT(proxied.signals("a").connection_errors + proxied.signals("a").retries, 0U);
}

}  // namespace
}  // namespace tow::route::haproxy
