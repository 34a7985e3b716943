// SPDX-License-Identifier: Apache-2.0
#include "base/process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace tow {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

Command sh(std::string script) { return {.argv = {"sh", "-c", std::move(script)}}; }

Outcome run_now(Command command, LineSink sink = {}) {
  return run_blocking(run(std::move(command), std::move(sink)));
}

std::set<std::string> open_descriptors() {
  std::set<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"})
    all.insert(entry.path().filename().string());
  return all;
}

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

bool gone(int pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }

// For a process whose parent is not ours to wait for: its end comes, or the test hangs.
void wait_until_gone(int pid) {
  const auto state = [pid] {
    std::ifstream stat{fmt::format("/proc/{}/stat", pid)};
    std::string number, name, letter;
    stat >> number >> name >> letter;
    return letter;
  };
  for (auto now = state(); !now.empty() && now != "Z"; now = state()) std::this_thread::yield();
}

TEST(Run, SeparatesStreamsAndReportsTheExit) {
  const auto outcome = run_now(sh("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.out, "out\n");
  EXPECT_EQ(outcome.err, "err\n");
  EXPECT_FALSE(outcome.ok());
}

TEST(Run, ReportsASignalAs128AndItsNumber) { EXPECT_EQ(run_now(sh("kill -9 $$")).exit_code, 137); }

TEST(Run, GivesArgumentsAsTheyAre) {
  const auto outcome = run_now({.argv = {"printf", "%s|", "a b", "$HOME", "", "it's;"}});
  EXPECT_EQ(outcome.out, "a b|$HOME||it's;|");
}

TEST(Run, MovesALotInBothDirections) {
  const std::string input(3'000'000, 'x');
  const auto outcome = run_now({.argv = {"cat"}, .input = input, .output_limit = 4 << 20});
  EXPECT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome.out == input);
  EXPECT_FALSE(outcome.truncated);
}

TEST(Run, SurvivesAChildThatDoesNotReadItsInput) {
  EXPECT_TRUE(run_now({.argv = {"true"}, .input = std::string(3'000'000, 'x')}).ok());
}

TEST(Run, WithoutInputTheChildFindsItsEnd) { EXPECT_TRUE(run_now({.argv = {"cat"}}).ok()); }

TEST(Run, KeepsTheBeginningUpToTheLimit) {
  auto command = sh("head -c 300000 /dev/zero | tr '\\0' a; echo the end");
  command.output_limit = 1000;
  const auto outcome = run_now(command);
  EXPECT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.out, std::string(1000, 'a'));
  EXPECT_TRUE(outcome.truncated);
}

TEST(Run, WithASinkKeepsTheEnd) {
  auto command = sh("seq 1 10000");
  command.output_limit = 11;
  int lines = 0;
  const auto outcome = run_now(command, [&](Stream, std::string_view) { ++lines; });
  EXPECT_EQ(lines, 10000);
  EXPECT_EQ(outcome.out, "9999\n10000\n");
  EXPECT_TRUE(outcome.truncated);
}

TEST(Run, GivesTheSinkWholeLines) {
  std::vector<std::string> lines;
  const auto sink = [&](Stream stream, std::string_view line) {
    lines.push_back((stream == Stream::Out ? "out:" : "err:") + std::string{line});
  };
  run_now(sh("printf 'one\\ntw'; printf 'o\\n\\nlast'"), sink);
  EXPECT_THAT(lines, ElementsAre("out:one", "out:two", "out:", "out:last"));
  lines.clear();
  run_now(sh("echo wrong >&2"), sink);
  EXPECT_THAT(lines, ElementsAre("err:wrong"));
}

TEST(Run, CutsAnEndlessLineIntoPieces) {
  std::vector<std::size_t> sizes;
  run_now(sh("head -c 150000 /dev/zero | tr '\\0' a"),
          [&](Stream, std::string_view line) { sizes.push_back(line.size()); });
  EXPECT_THAT(sizes, ElementsAre(65536, 65536, 18928));
}

TEST(Run, EndsTheChildWhenTheSinkThrows) {
  EXPECT_THROW(run_now(sh("echo a; exec sleep 1000"),
                       [](Stream, std::string_view) { throw std::runtime_error{"full"}; }),
               std::runtime_error);
  EXPECT_FALSE(has_children());
}

TEST(Run, SaysWhichProgramIsMissing) {
  const auto before = open_descriptors();
  for (const std::string program : {"towpath-no-such-program", "/towpath/no/such/program"}) {
    try {
      run_now({.argv = {program}});
      ADD_FAILURE() << program << " was found";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::NotFound);
      EXPECT_THAT(error.message(), HasSubstr(program));
      EXPECT_THAT(error.message(), HasSubstr("tow doctor"));
    }
  }
  EXPECT_FALSE(has_children());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Run, SaysWhatElseCannotBeStarted) {
  const struct {
    std::string_view reason;
    Command command;
    Code code;
    std::string_view says;
  } cases[] = {
      {"a folder is no program", {.argv = {"/etc"}}, Code::FailedPrecondition, "/etc is not executable"},
      {"no permission to run", {.argv = {"/etc/passwd"}}, Code::FailedPrecondition, "not executable"},
      {"a working folder that is missing", {.argv = {"true"}, .cwd = "/no/such"}, Code::NotFound, "/no/such"},
      {"a descriptor that is not open",
       {.argv = {"true"}, .descriptors = {{3, 987}}},
       Code::Internal,
       "descriptors"},
      {"no program at all", {}, Code::Internal, "without a program"},
  };
  for (const auto& [reason, command, code, says] : cases) {
    try {
      run_now(command);
      ADD_FAILURE() << reason;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << reason << ": " << error.message();
      EXPECT_THAT(error.message(), HasSubstr(says)) << reason;
    }
  }
}

TEST(Run, GivesACleanEnvironment) {
  ::setenv("TOWPATH_TEST_SECRET", "x", 1);
  const auto outcome = run_now({.argv = {"env"}, .env = {{"B", "2"}, {"A", "1 2"}, {"TZ", "UTC"}}});
  ::unsetenv("TOWPATH_TEST_SECRET");
  std::set<std::string> names;
  std::istringstream lines{outcome.out};
  for (std::string line; std::getline(lines, line);) names.insert(line.substr(0, line.find('=')));
  EXPECT_THAT(names, ElementsAre("A", "B", "HOME", "LANG", "PATH", "TZ"));
  EXPECT_THAT(outcome.out, HasSubstr("A=1 2\n"));
  EXPECT_THAT(outcome.out, HasSubstr("LANG=C.UTF-8\n"));
}

TEST(Run, SearchesThePathOfTheChild) {
  EXPECT_THROW(run_now({.argv = {"true"}, .env = {{"PATH", "/etc:/nowhere"}}}), Error);
  EXPECT_TRUE(run_now({.argv = {"true"}, .env = {{"PATH", "/nowhere:/etc/passwd:/bin"}}}).ok());
}

TEST(Run, StandsInItsFolder) { EXPECT_EQ(run_now({.argv = {"pwd"}, .cwd = "/usr"}).out, "/usr\n"); }

TEST(Run, GivesNoDescriptorButTheNamedOnes) {
  const int leak = ::open("/etc/passwd", O_RDONLY);  // NOLINT: without CLOEXEC on purpose
  const int given = ::open("/etc/hostname", O_RDONLY | O_CLOEXEC);
  Command command{.argv = {"readlink", "/proc/self/fd/7"}, .descriptors = {{7, given}}};
  EXPECT_EQ(run_now(command).out, "/etc/hostname\n");
  command.argv = {"sh", "-c", "ls /proc/$$/fd; true"};
  EXPECT_EQ(run_now(command).out, "0\n1\n2\n7\n");
  ::close(leak);
  ::close(given);
}

TEST(Run, ExchangesOverlappingDescriptors) {
  const int a = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  const int b = ::open("/etc/group", O_RDONLY | O_CLOEXEC);
  Command command = sh(fmt::format("readlink /proc/$$/fd/{} /proc/$$/fd/{}", a, b));
  command.descriptors = {{a, b}, {b, a}};
  EXPECT_EQ(run_now(command).out, "/etc/group\n/etc/passwd\n");
  ::close(a);
  ::close(b);
}

TEST(Run, AStreamMayBeSomethingOfOurs) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  Command command = sh("echo hidden; echo seen >&2");
  command.descriptors = {{1, null}};
  const auto outcome = run_now(command);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "seen\n");
  ::close(null);
}

TEST(Run, StartsWithStandardSignals) {
  ::signal(SIGUSR1, SIG_IGN);
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto outcome = run_now({.argv = {"cat", "/proc/self/status"}});
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGUSR1, SIG_DFL);
  for (const char* name : {"SigBlk", "SigIgn", "SigCgt"})
    EXPECT_THAT(outcome.out, HasSubstr(fmt::format("{}:\t0000000000000000\n", name)));
}

TEST(Run, EndsTheChildAtItsDeadline) {
  auto command = sh("trap 'echo bye; exit 9' TERM; echo started; while :; do sleep 0.01; done");
  command.deadline = 200ms;
  const auto outcome = run_now(command);
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 9);
  EXPECT_EQ(outcome.out, "started\nbye\n");
}

TEST(Run, KillsAChildThatIgnoresTheDeadline) {
  auto command = sh("trap '' TERM; while :; do sleep 0.01; done");
  command.deadline = command.grace = 50ms;
  const auto outcome = run_now(command);
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 137);
}

TEST(Run, TheDeadlineOfASessionEndsItsWholeGroup) {
  auto command = sh("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.01; done' & echo $$; wait");
  command.own_session = true;
  command.deadline = 200ms;
  command.linger = 1h;  // it is the group's end that ends the output, not a limit
  std::vector<int> pids;
  run_now(command, [&](Stream, std::string_view line) { pids.push_back(std::stoi(std::string{line})); });
  ASSERT_EQ(pids.size(), 2U);
  for (const int pid : pids) wait_until_gone(pid);
}

TEST(Run, CancellationEndsAndReapsTheChild) {
  int pid = 0;
  run_blocking([](int& child) -> Task<> {
    Signal started;
    Scope scope{co_await asio::this_coro::executor, "test"};
    scope.spawn([](Signal& up, int& out) -> Task<> {
      const auto sink = [&](Stream, std::string_view line) {
        out = std::stoi(std::string{line});
        up.notify();
      };
      try {
        co_await run(sh("echo $$; exec sleep 1000"), sink);
        ADD_FAILURE() << "a cancelled run must throw";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::Cancelled);
      }
    }(started, child));
    co_await started.wait();
    scope.cancel();
    co_await scope.join();
    EXPECT_TRUE(gone(child));
  }(pid));
  EXPECT_GT(pid, 0);
  EXPECT_FALSE(has_children());
}

TEST(Run, EndsTheChildWhenTheLoopIsTornDown) {
  int pid = 0;
  std::optional<Scope> scope;
  {
    asio::io_context context;
    scope.emplace(context.get_executor(), "test");
    scope->spawn([](int& child) -> Task<> {
      const auto sink = [&](Stream, std::string_view line) { child = std::stoi(std::string{line}); };
      co_await run(sh("echo $$; exec sleep 1000"), sink);
    }(pid));
    while (pid == 0) context.run_one();  // NOLINT(bugprone-infinite-loop): the sink changes it
  }
  EXPECT_TRUE(gone(pid));
}

TEST(Run, DoesNotWaitForWhatTheChildLeftBehind) {
  auto command = sh("sleep 1000 & echo $!; echo done");
  command.linger = 0ms;
  const auto outcome = run_now(command);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, testing::EndsWith("done\n"));
  EXPECT_EQ(::kill(std::stoi(outcome.out), SIGKILL), 0) << "a daemon must go on";
}

TEST(Run, CutsOffAChattyLeftoverToo) {
  auto command = sh("yes & echo $! >&2");
  command.linger = 10ms;
  command.output_limit = 100;
  const auto outcome = run_now(command);
  EXPECT_EQ(outcome.exit_code, 0);
  ::kill(std::stoi(outcome.err), SIGKILL);
}

TEST(Run, WaitsForOutputThatComesAfterTheExit) {
  auto command = sh("(sleep 0.1; echo late) & echo early");
  command.linger = 1h;
  EXPECT_EQ(run_now(command).out, "early\nlate\n");
}

TEST(Run, LeavesNoDescriptorAndNoZombie) {
  run_now({.argv = {"true"}});
  const auto before = open_descriptors();
  run_blocking([]() -> Task<> {
    const auto worker = [](int kind) -> Task<> {
      for (int i = 0; i < 100; ++i) {
        const auto outcome = co_await run({.argv = {i % 2 ? "true" : "cat"}, .input = kind ? "x" : ""});
        EXPECT_TRUE(outcome.ok());
      }
    };
    Scope scope{co_await asio::this_coro::executor, "test"};
    for (int i = 0; i < 10; ++i) scope.spawn(worker(i % 2));
    co_await scope.join();
  }());
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_FALSE(has_children());
}

TEST(Run, MayBeCancelledAtAnyMoment) {
  run_now({.argv = {"true"}});
  const auto before = open_descriptors();
  run_blocking([]() -> Task<> {
    for (int steps = 0; steps < 60; ++steps) {
      Scope scope{co_await asio::this_coro::executor, "test"};
      for (const std::string script : {"exec sleep 1000", "echo x", "exit 1"})
        scope.spawn([script]() -> Task<> { co_await run(sh(script)); });
      for (int i = 0; i < steps; ++i) co_await yield_now();
      scope.cancel();
      co_await scope.join();
    }
  }());
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_FALSE(has_children());
}

TEST(Run, WorksOnAPoolOfThreads) {
  asio::io_context context;
  Scope scope{context.get_executor(), "test"};
  const auto worker = []() -> Task<> {
    for (int i = 0; i < 50; ++i) {
      const auto outcome = co_await run({.argv = {"cat"}, .input = "hello"});
      EXPECT_EQ(outcome.out, "hello");
    }
  };
  for (int i = 0; i < 4; ++i) scope.spawn(worker());
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run(); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(scope.running(), 0U);
}

TEST(RunChecked, ThrowsWithTheEndOfWhatWasSaid) {
  try {
    run_blocking(run_checked(sh("echo noise; echo 'the reason' >&2; exit 4")));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::Internal);
    EXPECT_EQ(
        error.message(),
        "`sh -c 'echo noise; echo '\\''the reason'\\'' >&2; exit 4'` ended with exit code 4: the reason");
  }
  auto slow = sh("exec sleep 1000");
  slow.deadline = 20ms;
  try {
    run_blocking(run_checked(slow));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::Timeout);
    EXPECT_THAT(error.message(), HasSubstr("did not end within 20ms"));
  }
  EXPECT_EQ(run_blocking(run_checked({.argv = {"echo", "fine"}})).out, "fine\n");
}

TEST(Describe, QuotesWhatAShellWouldRead) {
  Command command{.argv = {"git", "--git-dir=/a/b.git", "a b", "", "it's", "$x"},
                  .env = {{"TOKEN", "secret"}},
                  .input = "secret"};
  EXPECT_EQ(describe(command), R"(git --git-dir=/a/b.git 'a b' '' 'it'\''s' '$x')");
}

TEST(Child, IsTalkedTo) {
  run_blocking([]() -> Task<> {
    auto child = co_await Child::start({.argv = {"cat"}});
    EXPECT_GT(child->pid(), 0);
    co_await child->write("hello");
    EXPECT_EQ(co_await child->read(), "hello");
    child->close_input();
    EXPECT_EQ(co_await child->read(), "");
    EXPECT_EQ(co_await child->read(Stream::Err), "");
    EXPECT_EQ(co_await child->wait(), 0);
    EXPECT_EQ(co_await child->wait(), 0);
    child->signal(SIGTERM);  // nothing happens
  }());
}

TEST(Child, IsSignalled) {
  run_blocking([]() -> Task<> {
    auto child = co_await Child::start({.argv = {"sleep", "1000"}});
    child->signal(SIGTERM);
    EXPECT_EQ(co_await child->wait(), 128 + SIGTERM);
  }());
}

TEST(Child, SaysThatItReadsNoMore) {
  run_blocking([]() -> Task<> {
    auto child = co_await Child::start({.argv = {"true"}});
    co_await child->wait();
    try {
      co_await child->write("hello");
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Unavailable);
    }
  }());
}

TEST(Child, IsEndedWithItsOwner) {
  const auto before = open_descriptors();
  int pid = 0;
  run_blocking([](int& out) -> Task<> {
    auto child = co_await Child::start({.argv = {"sleep", "1000"}});
    out = child->pid();
  }(pid));
  EXPECT_TRUE(gone(pid));
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Child, AWaitCanBeCancelledAndRepeated) {
  run_blocking([]() -> Task<> {
    auto child = co_await Child::start({.argv = {"cat"}});
    Scope scope{co_await asio::this_coro::executor, "test"};
    scope.spawn([](Child& it) -> Task<> {
      try {
        co_await it.wait();
        ADD_FAILURE() << "a cancelled wait must throw";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::Cancelled);
      }
    }(*child));
    co_await yield_now();
    scope.cancel();
    co_await scope.join();
    child->close_input();
    EXPECT_EQ(co_await child->wait(), 0);
  }());
}

// A process of its own starts a child and is killed: the child must follow, unless it was told to go on.
bool child_survives_us(bool outlives_us) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const int middle = ::fork();
  if (middle == 0) {
    Command command{.argv = {"sleep", "1000"}, .outlives_us = outlives_us};
    run_blocking([](Command what, int out) -> Task<> {
      auto child = co_await Child::start(std::move(what));
      const int pid = child->pid();
      if (::write(out, &pid, sizeof pid) == sizeof pid) ::kill(::getpid(), SIGKILL);
    }(command, ends[1]));
    ::_exit(1);
  }
  ::close(ends[1]);
  int pid = 0;
  EXPECT_EQ(::read(ends[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  ::close(ends[0]);
  ::waitpid(middle, nullptr, 0);
  // It is our grandchild, and we its reaper: its end, if it comes, is an event.
  if (!outlives_us) return ::waitpid(pid, nullptr, 0) != pid;
  const bool lives = ::kill(pid, 0) == 0;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return lives;
}

TEST(Child, DiesWithUsUnlessToldOtherwise) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  EXPECT_FALSE(child_survives_us(false));
  EXPECT_TRUE(child_survives_us(true));
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace
}  // namespace tow
