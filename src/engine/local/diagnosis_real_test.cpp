// SPDX-License-Identifier: Apache-2.0
// What people are told about instances that do not do what was wished.
#include <gmock/gmock.h>

#include "engine/local/machine.hpp"

namespace tow::engine::local {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::MatchesRegex;

class DiagnosisReal : public OnMachine {
 protected:
  InstanceView first() {
    const auto group = engine_->group("g1");
    return group && !group->instances.empty() ? group->instances[0] : InstanceView{};
  }
  void reason_becomes(const std::string& text) {
    eventually(text, [&] { return first().reason == text; });
  }
  void reason_matches(const std::string& pattern) {
    eventually(pattern, [&] { return testing::Value(first().reason, MatchesRegex(pattern)); });
  }
};

TEST_F(DiagnosisReal, AnotherPortIsNamed) {
  ensure("g1", workload({"serve", "3000"}, {{.name = "http", .port = 8080}}));
  reason_becomes("listens on 3000, not on the declared 8080");
  EXPECT_EQ(first().phase, Phase::Starting);
}

TEST_F(DiagnosisReal, ListeningForItselfAloneIsNamed) {
  ensure("g1", workload({"serve", "8080", "127.0.0.1"}, {{.name = "http", .port = 8080}}));
  reason_becomes("listens on 127.0.0.1:8080 only; let it listen on 0.0.0.0:8080");
}

TEST_F(DiagnosisReal, ListeningOnNothingIsNamedAndEndsTheStart) {
  auto w = workload({"sleep"}, {{.name = "http", .port = 8080}});
  w.start_limit = seconds{4};
  ensure("g1", w);
  reason_becomes("listens on no port; 8080 is declared");
  EXPECT_EQ(first().phase, Phase::Starting);
  reason_becomes("it was not ready within 4s: listens on no port; 8080 is declared");
}

TEST_F(DiagnosisReal, KilledForMemoryNamesTheLimit) {
  auto w = workload({"allocate", "256"}, {{.name = "http", .port = 8080}});
  w.main().limits.memory = Bytes{32 << 20};
  ensure("g1", w);
  reason_becomes("killed for memory: the limit is 32Mi");
  EXPECT_TRUE(first().out_of_memory);
}

TEST_F(DiagnosisReal, AProbeCommandThatHangsIsEnded) {
  auto w = workload({"sleep"});
  w.main().readiness = Probe{.kind = Probe::Kind::Exec,
                             .command = {"/p", "sleep"},
                             .period = milliseconds{100},
                             .timeout = milliseconds{300}};
  ensure("g1", w);
  reason_becomes("its probe command does not end within 300ms");
  eventually("none is left behind", [&] { return engine_->usage("g1-0")->processes == 1; });
  EXPECT_EQ(first().restarts, 0);
}

TEST_F(DiagnosisReal, AProbeThatFailsIsNamed) {
  auto w = workload({"serve", "8080"}, {{.name = "http", .port = 8080}});
  w.main().readiness = Probe{
      .kind = Probe::Kind::Http, .port = 8080, .path = "/health", .period = milliseconds{50}, .failures = 2};
  ensure("g1", w);
  wait_ready("g1");
  EXPECT_EQ(run({"fetch", first().address, "8080", "/break"}), "broken");
  eventually("it is unready", [&] { return first().phase == Phase::Unready; });
  EXPECT_EQ(first().reason, "answers 503 at http :8080/health");
}

TEST_F(DiagnosisReal, FailedLivenessStartsItAnew) {
  auto w = workload({"serve", "8080"}, {{.name = "http", .port = 8080}});
  w.main().liveness = Probe{
      .kind = Probe::Kind::Http, .port = 8080, .path = "/health", .period = milliseconds{50}, .failures = 2};
  ensure("g1", w);
  wait_ready("g1");
  EXPECT_EQ(run({"fetch", first().address, "8080", "/break"}), "broken");
  eventually("it was started anew", [&] { return first().restarts == 1 && first().phase == Phase::Ready; });
}

TEST_F(DiagnosisReal, AnExecProbeDecides) {
  auto w = workload({"sleep"});
  w.main().readiness = Probe{.kind = Probe::Kind::Exec,
                             .command = {"/p", "exit", "0"},
                             .period = milliseconds{100},
                             .timeout = seconds{5}};
  ensure("g1", w);
  wait_ready("g1");
  w.main().readiness->command = {"/p", "exit", "1"};
  ensure("g2", w);
  eventually("the reason is told", [&] {
    return engine_->group("g2")->instances.at(0).reason == "its probe command exits with 1";
  });
}

TEST_F(DiagnosisReal, AnEndIsExplained) {
  ensure("g1", workload({"exit", "7"}));
  reason_matches("exited with 7 after [0-9]\\.[0-9]s");
  EXPECT_EQ(first().exit_code, 7);
  run_blocking(engine_->retire("g1", seconds{1}));
  wait_gone("g1");
  ensure("g1", workload({"abort"}));
  reason_matches("ended by signal 11 \\(SIGSEGV\\) after [0-9]\\.[0-9]s");
}

TEST_F(DiagnosisReal, WhatCannotStartIsExplained) {
  auto w = workload({});
  w.main().command = {"/nothing"};
  ensure("g1", w);
  reason_matches("the container could not be made: .*/nothing.*");
  w.main().image = "localhost/nothing";
  ensure("g2", w);
  eventually("the image is named", [&] {
    return engine_->group("g2")->instances.at(0).reason.find(
               "image localhost/nothing is not in the image store") == 0;
  });
  EXPECT_EQ(engine_->group("g2")->instances.at(0).phase, Phase::Backoff);
}

TEST_F(DiagnosisReal, ATerminalTellsItsSizeAndEndsWithItsCode) {
  ensure("g1", workload({"sleep"}));
  wait_ready("g1");
  std::string said;
  int code = -1;
  run_blocking([](Engine& engine, std::string& all, int& end) -> Task<> {
    const auto terminal = co_await engine.exec("g1-0", {"/p", "terminal"}, true);
    terminal->resize(100, 30);
    const auto until = [&](std::string_view text) -> Task<> {
      while (all.find(text) == std::string::npos) {
        const auto part = co_await terminal->read();
        if (part.empty()) co_return;
        all += part;
      }
    };
    co_await until("terminal ");
    terminal->resize(90, 20);
    co_await terminal->write("hello\n");
    co_await until("you said hello");
    co_await terminal->write("size\n");
    co_await until("90x20");
    co_await terminal->write("exit\n");
    end = co_await terminal->wait();
  }(*engine_, said, code));
  EXPECT_THAT(said, HasSubstr("/dev/pts/"));
  EXPECT_THAT(said, HasSubstr("90x20"));
  EXPECT_EQ(code, 7);
}

TEST_F(DiagnosisReal, AClosedTerminalEndsItsCommand) {
  ensure("g1", workload({"sleep"}));
  wait_ready("g1");
  run_blocking([](Engine& engine) -> Task<> {
    const auto terminal = co_await engine.exec("g1-0", {"/p", "sleep"}, false);
    co_await terminal->read();  // it runs
  }(*engine_));
  eventually("only its own process is left", [&] { return engine_->usage("g1-0")->processes == 1; });
}

}  // namespace
}  // namespace tow::engine::local
