// SPDX-License-Identifier: Apache-2.0
#include "base/spawn.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>

#include "base/error.hpp"

namespace tow {

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) Descriptor{std::exchange(number_, other.release())};
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Descriptor Descriptor::copy() const {
  const int number = ::fcntl(number_, F_DUPFD_CLOEXEC, 0);
  if (number < 0) throw system_error("cannot copy a descriptor", errno);
  return Descriptor{number};
}

namespace {

struct Pipe {
  Descriptor read, write;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("cannot make a pipe", errno);
  return {Descriptor{ends[0]}, Descriptor{ends[1]}};
}

std::string ours(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

std::vector<std::string> environment(const Command& command) {
  auto values = command.env;
  values.try_emplace("PATH", ours("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  values.try_emplace("HOME", ours("HOME", "/"));
  values.try_emplace("LANG", "C.UTF-8");
  if (const char* zone = std::getenv("TZ")) values.try_emplace("TZ", zone);
  std::vector<std::string> lines;
  for (const auto& [name, value] : values) lines.push_back(name + "=" + value);
  return lines;
}

// Where the program may be, in the order of the child's PATH.
std::vector<std::string> candidates(const std::string& program, const std::vector<std::string>& environment) {
  if (program.find('/') != program.npos) return {program};
  std::vector<std::string> paths;
  for (std::string_view line : environment) {
    if (!line.starts_with("PATH=")) continue;
    line.remove_prefix(5);
    for (std::size_t at = 0; at <= line.size();) {
      const auto end = std::min(line.find(':', at), line.size());
      const auto folder = line.substr(at, end - at);
      if (!folder.empty()) paths.push_back(std::string{folder} + "/" + program);
      at = end + 1;
    }
  }
  return paths;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const auto& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

enum class Step : int { Descriptors, Folder, Program };
struct Failure {
  Step step;
  int number;
};

// All that the child needs, made before it exists: it shares our memory and must not allocate.
struct Plan {
  std::vector<char*> argv, env, paths;
  std::vector<std::pair<int, int>> descriptors;  // child's -> ours, ascending
  std::vector<int> copies;                       // room for the child
  const char* cwd;
  int report;  // where a Failure goes
  pid_t parent;
  bool own_session, outlives_us;
};

// The child's first and only steps. It runs in our memory, on a stack of its own, while the starting thread
// stands still: nothing but system calls.
__attribute__((no_sanitize("address", "thread", "undefined"))) int child(void* argument) {
  auto& plan = *static_cast<Plan*>(argument);
  const auto give_up = [&plan](Step step, int number) __attribute__((no_sanitize("address", "thread"))) {
    const Failure failure{step, number};
    [[maybe_unused]] const auto written = ::write(plan.report, &failure, sizeof failure);
    ::_exit(127);
  };
  if (!plan.outlives_us) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != plan.parent) ::_exit(127);  // it died before the line above
  }
  if (plan.own_session) ::setsid();

  // Handlers go with exec, but what we ignore would stay ignored.
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < 65; ++number)
    if (number != SIGKILL && number != SIGSTOP) ::sigaction(number, &standard, nullptr);

  // First out of the way, then to their places: ours and the child's numbers may overlap.
  const int first_free = plan.descriptors.back().first + 1;
  const int report = ::fcntl(plan.report, F_DUPFD_CLOEXEC, first_free);
  if (report < 0) give_up(Step::Descriptors, errno);
  plan.report = report;
  for (std::size_t i = 0; i < plan.descriptors.size(); ++i) {
    plan.copies[i] = ::fcntl(plan.descriptors[i].second, F_DUPFD_CLOEXEC, first_free);
    if (plan.copies[i] < 0) give_up(Step::Descriptors, errno);
  }
  unsigned next = 0;
  for (std::size_t i = 0; i < plan.descriptors.size(); ++i) {
    const int number = plan.descriptors[i].first;
    if (::dup2(plan.copies[i], number) < 0) give_up(Step::Descriptors, errno);
    if (static_cast<unsigned>(number) > next)
      ::close_range(next, static_cast<unsigned>(number) - 1, CLOSE_RANGE_CLOEXEC);
    next = static_cast<unsigned>(number) + 1;
  }
  ::close_range(next, ~0U, CLOSE_RANGE_CLOEXEC);

  if (::chdir(plan.cwd) != 0) give_up(Step::Folder, errno);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  int error = ENOENT;
  for (std::size_t i = 0; plan.paths[i]; ++i) {
    ::execve(plan.paths[i], plan.argv.data(), plan.env.data());
    // As the shells do: one that may not be run does not hide one that may, further down the path.
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) break;
  }
  give_up(Step::Program, error);
  return 127;
}

// As vfork does, the calling thread waits until the child has exec'ed: no copy of a large heap's page tables.
std::pair<int, Descriptor> start(Plan& plan) {
  int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
#if __has_feature(thread_sanitizer)
  flags &= ~CLONE_VM;  // it takes every clone for a fork
#endif
  alignas(16) char stack[32 * 1024];
  // No handler of ours may run in the child, which has our memory.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int handle = -1;
  const int pid = ::clone(child, stack + sizeof stack, flags, &plan, &handle);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0 && error == EAGAIN)
    throw Error{Code::Exhausted, "cannot start a process: the limit of processes is reached"};
  if (pid < 0) throw system_error("cannot start a process", error);
  return {pid, Descriptor{handle}};
}

// By the number, which is its own until it is reaped: waiting on the handle fails once that does not block.
std::optional<siginfo_t> wait_for(int pid, int options) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, options) != 0)
    if (errno != EINTR) return {};
  return info;
}

[[noreturn]] void refuse(const Command& command, const Failure& failure) {
  const auto& program = command.argv.front();
  if (failure.step == Step::Folder)
    throw system_error(fmt::format("cannot start {} in {}", program, command.cwd.string()), failure.number);
  if (failure.step == Step::Descriptors)
    throw system_error(fmt::format("cannot give {} its descriptors", program), failure.number);
  if (failure.number == ENOENT)
    throw fail(Code::NotFound, "the program {} is not installed; run `tow doctor`", program);
  if (failure.number == EACCES)
    throw fail(Code::FailedPrecondition, "the program {} is not executable; run `tow doctor`", program);
  throw system_error(fmt::format("cannot start {}", program), failure.number);
}

// Signals whose inherited settings would break what follows: SIGPIPE ends us when a child does not read its
// input, and an ignored SIGCHLD makes the kernel drop exit codes.
void prepare_signals() {
  for (const int number : {SIGPIPE, SIGCHLD}) {
    struct sigaction now{};
    ::sigaction(number, nullptr, &now);
    if (now.sa_flags & SA_SIGINFO) continue;
    if (number == SIGPIPE && now.sa_handler == SIG_DFL) ::signal(number, SIG_IGN);
    if (number == SIGCHLD && now.sa_handler == SIG_IGN) ::signal(number, SIG_DFL);
  }
}

}  // namespace

Process::Process(const Command& command, Input input) : own_session_{command.own_session} {
  static std::once_flag once;
  std::call_once(once, prepare_signals);
  if (command.argv.empty() || command.argv.front().empty())
    throw Error{Code::Internal, "a command without a program"};

  Descriptor child_in, child_out, child_err;
  auto descriptors = command.descriptors;
  if (!descriptors.contains(0) && input == Input::Nothing) {
    child_in = Descriptor{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    if (!child_in) throw system_error("cannot open /dev/null", errno);
    descriptors[0] = child_in.number();
  }
  const auto connect = [&](int number, Descriptor Pipe::* theirs, Descriptor Pipe::* mine, Descriptor& kept) {
    if (descriptors.contains(number)) return Descriptor{};
    auto pipe = make_pipe();
    kept = std::move(pipe.*mine);
    descriptors[number] = (pipe.*theirs).number();
    return std::move(pipe.*theirs);
  };
  if (input == Input::Pipe) child_in = connect(0, &Pipe::read, &Pipe::write, in);
  child_out = connect(1, &Pipe::write, &Pipe::read, out);
  child_err = connect(2, &Pipe::write, &Pipe::read, err);

  const auto env = environment(command);
  const auto paths = candidates(command.argv.front(), env);
  const auto cwd = command.cwd.string();
  auto report = make_pipe();
  Plan plan{.argv = pointers(command.argv),
            .env = pointers(env),
            .paths = pointers(paths),
            .descriptors = {descriptors.begin(), descriptors.end()},
            .copies = std::vector<int>(descriptors.size()),
            .cwd = cwd.c_str(),
            .report = report.write.number(),
            .parent = ::getpid(),
            .own_session = command.own_session,
            .outlives_us = command.outlives_us};
  auto [pid, handle] = start(plan);
  pid_ = pid;
  handle_ = std::move(handle);
  report.write = Descriptor{};
  Failure failure{};
  ssize_t size = 0;
  do size = ::read(report.read.number(), &failure, sizeof failure);
  while (size < 0 && errno == EINTR);
  if (size == 0) return;  // closed by exec
  wait_for(pid_, WEXITED);
  code_ = 127;
  refuse(command, failure);
}

Process::~Process() {
  if (pid_ < 0 || code_) return;
  signal(SIGKILL);
  wait_for(pid_, WEXITED);
}

void Process::signal(int number) const {
  const std::lock_guard lock{mutex_};
  if (code_) return;
  signalled_ = true;
  if (own_session_)
    ::kill(-pid_, number);  // not reaped: the number is still its own
  else
    ::syscall(SYS_pidfd_send_signal, handle_.number(), number, nullptr, 0);  // glibc's header is not for C++
}

std::optional<int> Process::reap() {
  const std::lock_guard lock{mutex_};
  if (code_) return code_;
  const auto ended = wait_for(pid_, WEXITED | WNOHANG | WNOWAIT);
  if (ended && ended->si_pid == 0) return {};
  if (own_session_ && signalled_) ::kill(-pid_, SIGKILL);  // whoever of its group did not follow
  if (ended) wait_for(pid_, WEXITED);
  if (!ended)
    code_ = 255;  // somebody else reaped it, and nobody knows
  else
    code_ = ended->si_code == CLD_EXITED ? ended->si_status : 128 + ended->si_status;
  return code_;
}

}  // namespace tow
