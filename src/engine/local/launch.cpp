// SPDX-License-Identifier: Apache-2.0
#include "engine/local/launch.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <vector>

#include "base/error.hpp"
#include "engine/local/clone.hpp"

namespace tow::engine::local {
namespace {

/// All that the child needs, made before it exists: it shares our memory while this thread stands still, and
/// does nothing but system calls.
struct Plan {
  const PrivateMounts* mounts = nullptr;
  std::vector<char*> argv, environment;
  std::vector<std::pair<int, int>> descriptors;  // ours (moved out of the way) -> child's
  const char* cwd = "/";
  int null = -1;
  pid_t must_live = 0;           // the parent, when the child is to die with it
  const char* failed = nullptr;  // the step, set by the child
  int error = 0;
};

#define RAW __attribute__((no_sanitize("address", "thread", "undefined")))

RAW bool failed(Plan& plan, const char* step, long result) {
  if (result >= 0) return false;
  plan.failed = step;
  plan.error = errno;
  return true;
}

RAW bool mount_all(Plan& plan) {
  const PrivateMounts& m = *plan.mounts;
  if (failed(plan, "unshare mounts", ::syscall(SYS_unshare, CLONE_NEWNS))) return false;
  // Slave, not private: what the host unmounts later is not held here.
  if (failed(plan, "separate mounts",
             ::syscall(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr)))
    return false;
  if (!m.hidden.empty()) {
    if (::syscall(SYS_umount2, m.hidden.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
      return !failed(plan, "hide the second cgroup hierarchy", -1);
    // crun makes groups there all the same, as plain directories: where they go away with it. What lies below
    // belongs to the whole machine, and systemd leaves it read-only.
    if (::syscall(SYS_mount, "towpath", m.hidden.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  "mode=0755") != 0 &&
        errno != ENOENT)
      return !failed(plan, "cover the second cgroup hierarchy", -1);
  }
  if (!m.dropped.empty() && ::syscall(SYS_umount2, m.dropped.c_str(), MNT_DETACH) != 0 && errno != EINVAL &&
      errno != ENOENT)
    return !failed(plan, "leave the sandboxes", -1);
  if (m.bind &&
      failed(plan, "bind the bundle",
             ::syscall(SYS_mount, m.bind->from.c_str(), m.bind->to.c_str(), nullptr, MS_BIND, nullptr)))
    return false;
  if (!m.directory.empty() && failed(plan, "enter the bundle", ::syscall(SYS_chdir, m.directory.c_str())))
    return false;
  for (const auto& one : m.attach)
    if (failed(plan, "attach a mount",
               ::syscall(SYS_move_mount, one.mount, "", AT_FDCWD, one.to.c_str(), MOVE_MOUNT_F_EMPTY_PATH)))
      return false;
  return !m.overlay || !failed(plan, "mount the root",
                               ::syscall(SYS_mount, "overlay", m.overlay->to.c_str(), "overlay", 0,
                                         m.overlay->options.c_str()));
}

/// As the kernel reads it: the library's sigaction is not only a system call where a sanitizer watches.
struct KernelAction {
  void (*handler)(int) = SIG_DFL;
  unsigned long flags = 0;
  void (*restorer)() = nullptr;
  unsigned long mask = 0;
};

RAW int child(void* argument) {
  Plan& plan = *static_cast<Plan*>(argument);
  ::syscall(SYS_setsid);
  if (plan.must_live) {
    ::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::syscall(SYS_getppid) != plan.must_live) return 1;
  }
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  if (plan.mounts && !mount_all(plan)) return 1;
  for (int number = 0; number < 3; ++number)
    if (failed(plan, "open /dev/null", ::syscall(SYS_dup3, plan.null, number, 0))) return 1;
  for (const auto& [ours, theirs] : plan.descriptors)
    if (failed(plan, "pass a descriptor", ::syscall(SYS_dup3, ours, theirs, 0))) return 1;
  if (failed(plan, "enter the working directory", ::syscall(SYS_chdir, plan.cwd))) return 1;
  // Handlers are reset by exec, but what we ignore would stay ignored.
  const KernelAction standard;
  for (const int number : {SIGPIPE, SIGCHLD, SIGHUP, SIGINT, SIGTERM})
    ::syscall(SYS_rt_sigaction, number, &standard, nullptr, sizeof standard.mask);
  const unsigned long none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
  ::syscall(SYS_execve, plan.argv[0], plan.argv.data(), plan.environment.data());
  failed(plan, "start the program", -1);
  return 1;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const auto& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

}  // namespace

Launched launch(const Launch& what) {
  Plan plan;
  plan.mounts = what.mounts ? &*what.mounts : nullptr;
  plan.argv = pointers(what.argv);
  plan.environment = pointers(what.environment);
  plan.cwd = what.cwd.c_str();
  plan.must_live = what.dies_with_us ? ::getpid() : 0;
  const Descriptor null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  plan.null = null.get();
  // Copies above every number that the child uses, so that none is overwritten before it is passed.
  int above = 3;
  for (const auto& entry : what.descriptors) above = std::max(above, entry.first + 1);
  std::vector<Descriptor> copies;
  for (const auto& [theirs, ours] : what.descriptors) {
    copies.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, above));
    if (!copies.back()) throw system_error("passing a descriptor to " + what.argv.at(0), errno);
    plan.descriptors.emplace_back(copies.back().get(), theirs);
  }

  std::vector<char> stack(64 * 1024);
  int process = -1;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const pid_t pid = ::__clone(child, stack.data() + (stack.size() & ~std::size_t{63}),
                              CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &process);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) throw system_error("starting " + what.argv.at(0), error);
  Launched launched{pid, Descriptor{process}};
  if (!plan.failed) return launched;
  wait_for_end(launched.process, -1);
  if (plan.error == ENOENT && std::string_view{plan.failed} == "start the program")
    throw fail(Code::NotFound, "{} is not installed", what.argv.at(0));
  throw system_error("starting " + what.argv.at(0) + ": " + plan.failed, plan.error);
}

Descriptor detach(const Descriptor& directory, int user_namespace, Access access) {
  Descriptor tree{static_cast<int>(
      ::syscall(SYS_open_tree, directory.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
  if (!tree) throw system_error("copying a mount", errno);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP | (access == Access::ReadOnly ? MOUNT_ATTR_RDONLY : 0);
  attributes.userns_fd = static_cast<std::uint64_t>(user_namespace);
  if (::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    throw system_error("mapping the owners of a mount", errno);
  return tree;
}

Descriptor detach(const std::filesystem::path& directory, int user_namespace, Access access) {
  const Descriptor opened{::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!opened) throw system_error("opening " + directory.string(), errno);
  return detach(opened, user_namespace, access);
}

Descriptor open_process(pid_t pid) {
  return Descriptor{pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1};
}

bool wait_for_end(const Descriptor& process, int milliseconds) {
  pollfd entry{process.get(), POLLIN, 0};
  int result;
  while ((result = ::poll(&entry, 1, milliseconds)) < 0 && errno == EINTR) {
  }
  if (result <= 0) return false;
  reap(process);
  return true;
}

std::optional<int> reap(const Descriptor& process) {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(process.get()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
    return std::nullopt;
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

void signal(const Descriptor& process, int number) {
  if (process) ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0);
}

}  // namespace tow::engine::local
