// SPDX-License-Identifier: Apache-2.0
// What is left after something was killed: HAProxy, its worker, the control side, or both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <future>

#include "base/error.hpp"
#include "base/process.hpp"
#include "route/haproxy/console.hpp"
#include "route/haproxy/daemon.hpp"
#include "route/haproxy/kernel.hpp"
#include "route/haproxy/lab.hpp"

namespace tow::route::haproxy {
namespace {

using lab::Instance;
using lab::Proxied;

struct Two {
  Instance first{"i-0"};
  Instance second{"i-1"};
  void apply(Proxied& proxied) {
    proxied.apply(lab::site("a", "a.test", {first.server()}));
    proxied.apply(lab::site("b", "b.test", {second.server()}));
  }
};

bool both_served(Proxied& proxied) {
  return lab::get(proxied.port(), "a.test").body == "i-0" && lab::get(proxied.port(), "b.test").body == "i-1";
}

TEST(Killed, AMasterIsReplacedAndEverySiteIsBack) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  const int before = proxied.master();
  lab::kill_process(before);
  EXPECT_TRUE(lab::soon([&] { return both_served(proxied); }));
  EXPECT_NE(proxied.master(), before);
}

TEST(Killed, AWorkerIsReplacedAndEverySiteIsBack) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  for (int i = 0; i < 3; ++i) {
    const int before = proxied.worker();
    lab::kill_process(before);
    EXPECT_TRUE(lab::soon([&] { return both_served(proxied); }));
    EXPECT_NE(proxied.worker(), before);
  }
}

TEST(Killed, AChangeAfterwardsIsThereWhenItReturns) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  for (int i = 0; i < 5; ++i) {
    const std::string host = std::to_string(i) + ".test";
    lab::kill_process(i % 2 == 0 ? proxied.master() : proxied.worker());
    proxied.apply(lab::site("n" + std::to_string(i), host, {sites.first.server()}));
    EXPECT_EQ(lab::get(proxied.port(), host).body, "i-0") << i;
    EXPECT_TRUE(lab::soon([&] { return both_served(proxied); }));
  }
}

TEST(Killed, AChangeThatADyingOneAcknowledgedComesBack) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  for (int i = 0; i < 5; ++i) {
    const std::string host = std::to_string(i) + ".test";
    ASSERT_EQ(::kill(i % 2 == 0 ? proxied.worker() : proxied.master(), SIGKILL), 0);
    proxied.apply(lab::site("n" + std::to_string(i), host, {sites.first.server()}));
    EXPECT_TRUE(lab::soon([&] { return lab::get(proxied.port(), host).body == "i-0"; })) << i;
    EXPECT_TRUE(lab::soon([&] { return both_served(proxied); }));
  }
}

TEST(Killed, SignalsDoNotFall) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  for (int i = 0; i < 5; ++i) lab::get(proxied.port(), "a.test");
  EXPECT_EQ(proxied.signals("a").requests, 5U);
  lab::kill_process(proxied.worker());
  ASSERT_TRUE(lab::soon([&] { return lab::get(proxied.port(), "a.test").status == 200; }));
  EXPECT_TRUE(lab::soon([&] { return proxied.signals("a").requests == 6; }));
  proxied.restart();
  lab::kill_process(proxied.master());  // while nobody watches
  proxied.start();
  sites.apply(proxied);
  EXPECT_EQ(proxied.signals("a").requests, 6U);
}

TEST(Reloaded, SignalsDoNotFall) {
  Proxied proxied{[](Settings& settings) { settings.spare_backends = 4; }};
  Two sites;
  proxied.start();
  sites.apply(proxied);
  for (int i = 0; i < 5; ++i) lab::get(proxied.port(), "a.test");
  proxied.force_reload();
  lab::get(proxied.port(), "a.test");
  EXPECT_EQ(proxied.signals("a").requests, 6U);
}

TEST(Adopted, NothingFlapsAndTheMasterStays) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  const int master = proxied.master();
  const int worker = proxied.worker();
  lab::Load load{proxied.port(), "a.test", 2, lab::Load::Connections::Fresh};
  proxied.restart();
  proxied.start();
  sites.apply(proxied);
  proxied.run(proxied.router().settle());
  load.end();
  EXPECT_THAT(load.failures(), testing::IsEmpty());
  EXPECT_EQ(proxied.master(), master);
  EXPECT_EQ(proxied.worker(), worker);
  EXPECT_TRUE(both_served(proxied));
}

TEST(Adopted, ALostControlSideLeavesWhatAStartByHandServes) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  proxied.restart();  // nobody is started now
  const int before = proxied.master();
  lab::kill_process(before);
  ASSERT_TRUE(lab::soon([&] { return lab::get(proxied.port(), "a.test").status == 0; }));
  Outcome outcome = run_blocking(run(start_command(proxied.settings())));
  EXPECT_TRUE(outcome.ok()) << outcome.err;
  EXPECT_TRUE(lab::soon([&] { return both_served(proxied); }));
}

TEST(Adopted, AProxyThatDiedMeanwhileServesBeforeAnybodyAppliesAgain) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  proxied.restart();
  lab::kill_process(proxied.master());
  ASSERT_TRUE(lab::soon([&] { return lab::get(proxied.port(), "a.test").status == 0; }));
  proxied.start();
  EXPECT_TRUE(both_served(proxied));
}

TEST(Adopted, ARuinedConfigurationIsReplaced) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  const std::uint16_t port = proxied.port();
  proxied.restart();
  lab::kill_process(proxied.master());
  ASSERT_TRUE(lab::soon([&] { return lab::get(port, "a.test").status == 0; }));
  const auto path = proxied.settings().runtime_directory / kConfiguration;
  write_file(path, read_file(path) + "\nnonsense here\n");
  proxied.start();
  sites.apply(proxied);
  EXPECT_TRUE(both_served(proxied));
}

TEST(Adopted, ChangedSettingsTakeEffectWithoutALostRequest) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  const int worker = proxied.worker();
  lab::Load load{proxied.port(), "a.test", 2, lab::Load::Connections::Kept};
  proxied.restart([](Settings& settings) { settings.unknown_hint = "Ask the platform team."; });
  proxied.start();
  load.end();
  EXPECT_THAT(load.failures(), testing::IsEmpty());
  EXPECT_NE(proxied.worker(), worker);
  EXPECT_TRUE(both_served(proxied));
  EXPECT_TRUE(lab::get(proxied.port(), "x.test").body.contains("Ask the platform team."));
}

TEST(Adopted, AProxyThatReloadsAtThatMomentStays) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  const int master = proxied.master();
  lab::Load load{proxied.port(), "a.test", 2, lab::Load::Connections::Fresh};
  for (int i = 0; i < 5; ++i) {
    proxied.restart();
    run_blocking(Console{proxied.settings().runtime_directory / kMasterSocket}.reload());
    proxied.start();
    sites.apply(proxied);
    EXPECT_EQ(proxied.master(), master) << i;
  }
  load.end();
  EXPECT_THAT(load.failures(), testing::IsEmpty());
  EXPECT_TRUE(both_served(proxied));
}

/// Takes away the socket on which the master listens.
class Unheard {
 public:
  explicit Unheard(const Proxied& proxied) : socket_{proxied.settings().runtime_directory / kMasterSocket} {
    std::filesystem::rename(socket_, away());
  }
  void end() { std::filesystem::rename(away(), socket_); }

 private:
  std::filesystem::path away() const { return socket_.string() + ".away"; }
  std::filesystem::path socket_;
};

TEST(Adopted, AProxyThatDoesNotAnswerForAMomentStays) {
  Proxied proxied;
  Two sites;
  proxied.start();
  sites.apply(proxied);
  const int master = proxied.master();
  proxied.restart();
  Unheard unheard{proxied};
  std::future<void> started = std::async(std::launch::async, [&] { proxied.start(); });
  EXPECT_EQ(started.wait_for(std::chrono::milliseconds{300}), std::future_status::timeout);
  EXPECT_TRUE(both_served(proxied));
  unheard.end();
  started.get();
  EXPECT_EQ(proxied.master(), master);
  EXPECT_TRUE(both_served(proxied));
}

TEST(Start, NamesWhoHasThePort) {
  Instance holder{"i-0"};
  Proxied proxied{[&](Settings& settings) { settings.public_port = holder.port(); }};
  try {
    proxied.start();
    FAIL() << "started";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::FailedPrecondition);
    EXPECT_TRUE(error.message().contains("127.0.0.1:" + std::to_string(holder.port()))) << error.message();
    EXPECT_TRUE(error.message().contains("pid " + std::to_string(getpid()))) << error.message();
  }
}

TEST(Start, KeepsEverythingToItself) {
  Proxied proxied;
  proxied.start();
  struct stat info{};
  ASSERT_EQ(::stat(proxied.settings().runtime_directory.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
  for (const char* socket : {"master.sock", "worker.sock"}) {
    ASSERT_EQ(::stat((proxied.settings().runtime_directory / socket).c_str(), &info), 0) << socket;
    EXPECT_EQ(info.st_mode & 0077, 0U) << socket;
  }
  if (geteuid() == 0) {
    ASSERT_EQ(::stat(("/proc/" + std::to_string(proxied.worker())).c_str(), &info), 0);
    EXPECT_NE(info.st_uid, 0U);
  }
}

TEST(TakeDown, EndsTheProxyAndLeavesNoFile) {
  Proxied proxied;
  proxied.start();
  const int master = proxied.master();
  proxied.restart();
  run_blocking(take_down(proxied.settings()));
  EXPECT_EQ(lab::get(proxied.port(), "a.test").status, 0);
  EXPECT_FALSE(std::filesystem::exists(proxied.settings().runtime_directory));
  EXPECT_TRUE(lab::soon([&] {
    return process_name(master).empty() || read_file("/proc/" + std::to_string(master) + "/cmdline").empty();
  }));
  run_blocking(take_down(proxied.settings()));
}

TEST(TakeDown, EndsAProxyThatDoesNotAnswer) {
  Proxied proxied;
  proxied.start();
  const int master = proxied.master();
  const int worker = proxied.worker();
  proxied.restart();
  Unheard unheard{proxied};
  run_blocking(take_down(proxied.settings()));
  EXPECT_FALSE(is_alive(master));
  EXPECT_FALSE(is_alive(worker));
  unheard.end();  // what a proxy never leaves
  run_blocking(take_down(proxied.settings()));
  EXPECT_FALSE(std::filesystem::exists(proxied.settings().runtime_directory));
}

TEST(TakeDown, EndsAWorkerThatIsStopped) {
  Proxied proxied;
  proxied.start();
  const int worker = proxied.worker();
  proxied.restart();
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  run_blocking(take_down(proxied.settings()));
  EXPECT_FALSE(is_alive(worker));
}

TEST(Processes, OfOneDirectoryAreNotThoseOfAnother) {
  Proxied proxied;
  Proxied other;
  proxied.start();
  other.start();
  EXPECT_THAT(processes_of(proxied.settings().runtime_directory),
              testing::UnorderedElementsAre(proxied.master(), proxied.worker()));
  EXPECT_TRUE(has_master(processes_of(proxied.settings().runtime_directory)));
  EXPECT_FALSE(has_master({proxied.worker()}));
}

}  // namespace
}  // namespace tow::route::haproxy
