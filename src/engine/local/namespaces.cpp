// SPDX-License-Identifier: Apache-2.0
#include "engine/local/namespaces.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/error.hpp"
#include "engine/local/clone.hpp"

namespace tow::engine::local {
namespace {

/// The holder: shares our memory, so it may touch none of it. Every signal is blocked; SIGKILL ends it, also
/// when the thread that made it is gone.
__attribute__((no_sanitize("address", "thread", "undefined"))) int hold(void* parent) {
  ::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  while (::syscall(SYS_getppid) == reinterpret_cast<long>(parent)) ::syscall(SYS_pause);
  ::syscall(SYS_exit, 0);
  return 0;
}

class Holder {
 public:
  explicit Holder(int more) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_ = ::__clone(hold, stack_.data() + stack_.size(),
                     CLONE_VM | CLONE_NEWUSER | CLONE_NEWNET | more | SIGCHLD,
                     reinterpret_cast<void*>(static_cast<long>(::getpid())));
    const int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid_ < 0) throw system_error("making a user and a network namespace", error);
  }
  ~Holder() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) {
    }
  }
  std::string path(const char* entry) const { return "/proc/" + std::to_string(pid_) + "/" + entry; }

 private:
  alignas(64) std::array<char, 16384> stack_;
  pid_t pid_ = -1;
};

Descriptor open_at(const std::string& path, int flags) {
  Descriptor file{::open(path.c_str(), flags | O_CLOEXEC)};
  if (!file) throw system_error("opening " + path, errno);
  return file;
}

void write_map(const std::string& path, const std::string& text) {
  const Descriptor file = open_at(path, O_WRONLY);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw system_error("mapping users " + text, errno);
}

}  // namespace

Namespaces make_namespaces(std::uint32_t user_base, Ipc ipc) {
  const Holder holder{ipc == Ipc::Shared ? CLONE_NEWIPC : 0};
  const std::string map = "0 " + std::to_string(user_base) + " " + std::to_string(kUserRange);
  write_map(holder.path("uid_map"), map);
  write_map(holder.path("gid_map"), map);
  Namespaces made{.user = open_at(holder.path("ns/user"), O_RDONLY),
                  .network = open_at(holder.path("ns/net"), O_RDONLY)};
  if (ipc == Ipc::Shared) made.ipc = open_at(holder.path("ns/ipc"), O_RDONLY);
  return made;
}

std::string join_path(const Descriptor& held) {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(held.get());
}

}  // namespace tow::engine::local
