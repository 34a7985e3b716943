// SPDX-License-Identifier: Apache-2.0
// What one request meets: headers, pages, limits of time, and redirected traffic of internal addresses.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <future>

#include "base/error.hpp"
#include "base/process.hpp"
#include "route/haproxy/lab.hpp"

namespace tow::route::haproxy {
namespace {

using namespace std::chrono_literals;
using lab::Answer;
using lab::Client;
using lab::Instance;
using lab::Proxied;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kForged =
    "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: "
    "for=6.6.6.6\r\n"
    "X-Real-IP: 6.6.6.6\r\nX-Forwarded-Prefix: /evil\r\n";

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

TEST(Headers, OfAClientAreNotBelieved) {
  Proxied proxied;
  proxied.start();
  Instance instance{"i-0"};
  proxied.apply(lab::site("a", "web.test", {instance.server()}));
  const std::string head = lower(lab::get(proxied.port(), "Web.test:81", "/head", kForged).body);
  EXPECT_THAT(head, HasSubstr("\r\nx-forwarded-for: 127.0.0.1\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nx-forwarded-proto: http\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nx-forwarded-host: web.test:81\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nhost: web.test:81\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("6.6.6.6")));
  EXPECT_THAT(head, Not(HasSubstr("evil")));
}

TEST(Headers, OfATrustedProxyAreKept) {
  Proxied proxied{[](Settings& settings) { settings.trusted = {"10.0.0.0/8", "127.0.0.1"}; }};
  proxied.start();
  Instance instance{"i-0"};
  proxied.apply(lab::site("a", "web.test", {instance.server()}));
  const std::string head = lower(lab::get(proxied.port(), "web.test", "/head", kForged).body);
  EXPECT_THAT(head, HasSubstr("\r\nx-forwarded-for: 6.6.6.6, 127.0.0.1\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nx-forwarded-proto: https\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nx-forwarded-host: evil\r\n"));
}

TEST(Pages, SayInHtmlOrTextThatAHostIsUnknown) {
  Proxied proxied;
  proxied.start();
  proxied.apply(lab::site("a", "secret.test", {}));
  const Answer text = lab::get(proxied.port(), "nobody.test");
  EXPECT_EQ(text.status, 404);
  EXPECT_THAT(text.header("Content-Type"), HasSubstr("text/plain"));
  EXPECT_THAT(text.body, HasSubstr("The host nobody.test is not known"));
  EXPECT_THAT(text.body, HasSubstr("tow status"));
  EXPECT_THAT(text.body, Not(HasSubstr("secret")));
  const Answer html = lab::get(proxied.port(), "nobody.test", "/", "Accept: text/html,*/*;q=0.8\r\n");
  EXPECT_EQ(html.status, 404);
  EXPECT_THAT(html.header("Content-Type"), HasSubstr("text/html"));
  EXPECT_THAT(html.body, HasSubstr("<b>nobody.test</b>"));
}

TEST(Pages, ShowNothingOfARequestThatCouldDoHarm) {
  Proxied proxied;
  proxied.start();
  for (const char* host : {"<script>alert(1)</script>", "a\"b", "%[env(PATH)]", "", "a b", "\xc3\xbc.test"}) {
    const Answer html = lab::get(proxied.port(), host, "/", "Accept: text/html\r\n");
    EXPECT_TRUE(html.status == 404 || html.status == 400) << host << " " << html.status;
    if (html.status == 404 && *host != '\0') {
      EXPECT_THAT(html.body, Not(HasSubstr(host)));
    }
    EXPECT_THAT(html.body, Not(HasSubstr("<script>")));
  }
}

TEST(Pages, SayWhatHasNothingReady) {
  Proxied proxied;
  proxied.start();
  proxied.apply(lab::site("a", "web.test", {}));
  const Answer text = lab::get(proxied.port(), "web.test");
  EXPECT_EQ(text.status, 503);
  EXPECT_EQ(text.header("Retry-After"), "5");
  EXPECT_THAT(text.body, HasSubstr("shop web.development has no instance"));
  const Answer html = lab::get(proxied.port(), "web.test", "/", "Accept: text/html\r\n");
  EXPECT_EQ(html.status, 503);
  EXPECT_EQ(html.header("Retry-After"), "5");
  EXPECT_THAT(html.body, HasSubstr("<b>shop web.development</b>"));
  EXPECT_EQ(proxied.signals("a").responses[5], 2U);
}

TEST(Pages, SayWhatDoesNotAnswer) {
  Proxied proxied;
  proxied.start();
  Instance gone{"i-0"};
  Instance silent{"i-1"};
  proxied.apply(lab::site("a", "gone.test", {gone.server()}));
  Site slow = lab::site("b", "slow.test", {silent.server()});
  slow.request_limit = 200ms;
  proxied.apply(slow);
  gone.crash();
  const Answer unreachable = lab::get(proxied.port(), "gone.test");
  EXPECT_EQ(unreachable.status, 503);
  EXPECT_EQ(unreachable.header("Retry-After"), "5");
  EXPECT_THAT(unreachable.body, HasSubstr("shop web.development does not take connections"));
  const Answer late = lab::get(proxied.port(), "slow.test", "/silent");
  EXPECT_EQ(late.status, 504);
  EXPECT_THAT(late.body, HasSubstr("shop web.development took too long"));
  EXPECT_EQ(silent.requests(), 1);  // and is not asked again
  const Answer broken = Client{proxied.port()}.request("slow.test", "/break", {}, "POST", "x");
  EXPECT_EQ(broken.status, 502);
  EXPECT_THAT(broken.body, HasSubstr("shop web.development gave no valid answer"));
}

TEST(Signals, SaySessionsAndTimes) {
  Proxied proxied;
  proxied.start();
  Instance instance{"i-0"};
  proxied.apply(lab::site("a", "web.test", {instance.server()}));
  EXPECT_EQ(lab::get(proxied.port(), "web.test", "/slow").status, 200);
  Client events{proxied.port()};
  events.send("GET /events HTTP/1.1\r\nHost: web.test\r\nAccept: text/event-stream\r\n\r\n");
  EXPECT_THAT(events.receive("data: i-0"), HasSubstr("data: i-0"));
  const route::Signals signals = proxied.signals("a");
  EXPECT_EQ(signals.sessions, 1U);
  EXPECT_GE(signals.average_total_ms, 200);
  EXPECT_GE(signals.average_response_ms, 200);
  EXPECT_GT(signals.bytes_in, 40U);
  EXPECT_GT(signals.bytes_out, 40U);
}

TEST(Signals, BeginAtNothingForWhoeverGetsAUsedBackend) {
  Proxied proxied{[](Settings& settings) { settings.spare_backends = 1; }};
  proxied.start();
  Instance instance{"i-0"};
  for (int i = 0; i < 4; ++i) {
    const std::string id = fmt::format("s{}", i);
    proxied.apply(lab::site(id, "web.test", {instance.server()}));
    for (int request = 0; request <= i; ++request)
      EXPECT_EQ(lab::get(proxied.port(), "web.test").status, 200);
    if (i == 2) {
      EXPECT_EQ(proxied.signals(id).requests, 3U);
      EXPECT_EQ(lab::get(proxied.port(), "web.test").status, 200);
    }
    if (i == 3) {
      EXPECT_EQ(proxied.signals(id).requests, 4U);
    }
    proxied.run(proxied.router().remove(id));
  }
}

TEST(Connections, ToAnInstanceAreUsedAgainByOtherClients) {
  Proxied proxied;
  proxied.start();
  Instance instance{"i-0"};
  proxied.apply(lab::site("a", "web.test", {instance.server()}));
  for (int i = 0; i < 20; ++i) {
    Client client{proxied.port()};
    for (int request = 0; request < 5; ++request) EXPECT_EQ(client.request("web.test").status, 200);
  }
  EXPECT_LE(instance.connections(), 21);  // a client's first request may want a fresh one
  Client kept{proxied.port()};
  const int before = instance.connections();
  for (int request = 0; request < 50; ++request) EXPECT_EQ(kept.request("web.test").status, 200);
  EXPECT_LE(instance.connections(), before + 1);
}

TEST(Limits, ARequestLimitChangesWithoutAReload) {
  Proxied proxied;
  proxied.start();
  Instance instance{"i-0"};
  Site site = lab::site("a", "web.test", {instance.server()});
  site.request_limit = 100ms;
  proxied.apply(site);
  const int worker = proxied.worker();
  EXPECT_EQ(lab::get(proxied.port(), "web.test", "/slow").status, 504);
  site.request_limit = 10s;
  proxied.apply(site);
  EXPECT_EQ(lab::get(proxied.port(), "web.test", "/slow").status, 200);
  EXPECT_EQ(proxied.worker(), worker);
}

TEST(Limits, StreamsMayBeSilentForLongerThanRequests) {
  Proxied proxied{[](Settings& settings) { settings.idle_limit = 300ms; }};
  proxied.start();
  Instance instance{"i-0"};
  Site site = lab::site("a", "web.test", {instance.server()});
  site.request_limit = 300ms;
  proxied.apply(site);
  Client events{proxied.port()};
  events.send("GET /events HTTP/1.1\r\nHost: web.test\r\nAccept: text/event-stream\r\n\r\n");
  EXPECT_THAT(events.receive("data: i-0"), HasSubstr("data: i-0"));
  Client socket{proxied.port()};
  socket.send(fmt::format("GET / HTTP/1.1\r\nHost: web.test\r\n{}\r\n", lab::kUpgrade));
  EXPECT_THAT(socket.receive("\r\n\r\n"), HasSubstr(" 101 "));
  EXPECT_EQ(events.receive("", 1s), "");  // a second of silence, and still open:
  EXPECT_EQ(proxied.sessions("a", "i-0"), 2U);
  socket.send("after the silence");
  EXPECT_EQ(socket.receive("silence"), "after the silence");
}

TEST(Limits, AHeadThatDoesNotComeEndsTheConnection) {
  Proxied proxied{[](Settings& settings) { settings.header_limit = 200ms; }};
  proxied.start();
  Client slow{proxied.port()};
  slow.send("GET / HTTP/1.1\r\nHost: web.");
  EXPECT_THAT(slow.receive("", 5s), HasSubstr(" 408 "));
}

TEST(Limits, TooManyConnectionsWaitAndAreServed) {
  Proxied proxied{[](Settings& settings) { settings.max_connections = 4; }};
  proxied.start();
  Instance instance{"i-0"};
  proxied.apply(lab::site("a", "web.test", {instance.server()}));
  lab::Load load{proxied.port(), "web.test", 12, lab::Load::Connections::Fresh};
  EXPECT_TRUE(lab::soon([&] { return load.asked() > 48; }));
  load.end();
  EXPECT_THAT(load.failures(), testing::IsEmpty());
}

/// A network of its own for the calling thread, with traffic to 10.90.3.7:80 redirected to a port.
class Network {
 public:
  explicit Network(const std::string& name) : name_{name} {
    run_blocking(run_checked({.argv = {"ip", "netns", "add", name_}}));
    command({"ip", "link", "set", "lo", "up"});
    command({"ip", "route", "add", "local", "10.90.0.0/16", "dev", "lo"});
  }
  ~Network() { run_blocking(run_checked({.argv = {"ip", "netns", "delete", name_}})); }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  void command(std::vector<std::string> argv, std::string input = {}) {
    argv.insert(argv.begin(), {"ip", "netns", "exec", name_});
    run_blocking(run_checked({.argv = std::move(argv), .input = std::move(input)}));
  }
  void enter() const {
    const int descriptor = ::open(("/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || ::setns(descriptor, CLONE_NEWNET) != 0) throw system_error("setns", errno);
    ::close(descriptor);
  }

 private:
  std::string name_;
};

TEST(Internal, RedirectedTrafficFindsItsServiceByOriginalDestination) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, for a network namespace";
  const std::string name = fmt::format("route-{}", getpid());
  Network network{name};
  std::string answer;
  std::string other;
  std::async(std::launch::async, [&] {
    network.enter();
    Proxied proxied{[&](Settings& settings) {
      settings.internal_address = "0.0.0.0";
      settings.launcher = {"ip", "netns", "exec", name};
    }};
    proxied.start();
    network.command({"nft", "-f", "-"},
                    fmt::format("table ip test {{ chain output {{ type nat hook output priority -100; "
                                "ip daddr 10.90.3.0/24 tcp dport 80 redirect to :{}; }}; }}",
                                proxied.router().internal_port()));
    Instance instance{"i-0"};
    Site site = lab::site("a", "web.test", {instance.server()});
    site.matches = {{.address = "10.90.3.7", .port = 80}};
    proxied.apply(site);
    answer = Client{80, "10.90.3.7"}.request("api", "/").body;
    other = std::to_string(Client{80, "10.90.3.8"}.request("api", "/").status);
  }).get();
  EXPECT_EQ(answer, "i-0");
  EXPECT_EQ(other, "404");
}

}  // namespace
}  // namespace tow::route::haproxy
