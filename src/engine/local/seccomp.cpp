// SPDX-License-Identifier: Apache-2.0
#include "engine/local/seccomp.hpp"

#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <optional>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "engine/local/descriptor.hpp"

namespace tow::engine::local {
namespace {

constexpr const char* kAllowed[] = {
    // files
    "access",
    "chdir",
    "chmod",
    "chown",
    "chroot",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fremovexattr",
    "fsetxattr",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futimesat",
    "getcwd",
    "getdents",
    "getdents64",
    "getxattr",
    "ioctl",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "llistxattr",
    "lremovexattr",
    "lseek",
    "lsetxattr",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pipe",
    "pipe2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "removexattr",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "setxattr",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync",
    "sync_file_range",
    "syncfs",
    "tee",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "vmsplice",
    "write",
    "writev",
    "memfd_create",
    "cachestat",
    // waiting
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_ctl_old",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "epoll_wait_old",
    "eventfd",
    "eventfd2",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "poll",
    "ppoll",
    "pselect6",
    "select",
    "signalfd",
    "signalfd4",
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "io_pgetevents",
    "io_setup",
    "io_submit",
    // network
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socketpair",
    // memory
    "brk",
    "madvise",
    "membarrier",
    "mincore",
    "mlock",
    "mlock2",
    "mlockall",
    "mmap",
    "mprotect",
    "mremap",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "remap_file_pages",
    "get_mempolicy",
    "mbind",
    "set_mempolicy",
    "process_mrelease",
    "map_shadow_stack",
    // processes and threads (clone has a rule of its own)
    "alarm",
    "arch_prctl",
    "capget",
    "capset",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "vfork",
    "futex",
    "futex_wake",
    "futex_wait",
    "futex_requeue",
    "futex_waitv",
    "get_robust_list",
    "get_thread_area",
    "getcpu",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getitimer",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettid",
    "getuid",
    "ioprio_get",
    "ioprio_set",
    "kill",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "pause",
    "pidfd_getfd",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "prlimit64",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_tgsigqueueinfo",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "seccomp",
    "set_robust_list",
    "set_thread_area",
    "set_tid_address",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setitimer",
    "setpgid",
    "setpriority",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setrlimit",
    "setsid",
    "setuid",
    "sigaltstack",
    "tgkill",
    "times",
    "tkill",
    "wait4",
    "waitid",
    // time and the system
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "getrandom",
    "gettimeofday",
    "nanosleep",
    "sysinfo",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    "uname",
    // System V and POSIX IPC
    "mq_getsetattr",
    "mq_notify",
    "mq_open",
    "mq_timedreceive",
    "mq_timedsend",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
};

/// Known and refused: EPERM rather than ENOSYS, so that a program says "not permitted".
constexpr const char* kRefused[] = {
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "quotactl_fd",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "iopl",
    "ioperm",
    "syslog",
    "vhangup",
    "lookup_dcookie",
    "nfsservctl",
    "open_by_handle_at",
    "name_to_handle_at",
    "fanotify_init",
    "fanotify_mark",
    "kcmp",
    "personality",
    "move_pages",
    "migrate_pages",
};

constexpr std::uint64_t kNewNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
/// What `personality` may be: Linux as it is, and the flags that only widen compatibility.
constexpr std::uint64_t kPersonalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

/// What a server talks by. Others (the hypervisor's, the kernel's ciphers) are a way to kernel code that it
/// does not need. Compared as the kernel reads it: 32 bits of the argument.
constexpr std::uint64_t kSocketFamilies[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
constexpr std::uint64_t kInt = 0xffffffff;

class Filter {
 public:
  Filter() : context_{seccomp_init(SCMP_ACT_ERRNO(ENOSYS))} {
    if (!context_) throw Error{Code::Internal, "libseccomp cannot make a filter"};
    seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a binary tree instead of a list
    seccomp_attr_set(context_, SCMP_FLTATR_CTL_NNP, 0);
  }
  ~Filter() { seccomp_release(context_); }
  Filter(const Filter&) = delete;

  void add(std::uint32_t action, const char* name, std::initializer_list<scmp_arg_cmp> arguments = {}) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number < 0) return;  // newer than this libseccomp, or of another architecture
    const int result =
        seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(arguments.size()),
                               arguments.size() ? arguments.begin() : nullptr);
    if (result != 0) throw system_error(std::string{"the seccomp rule of "} + name, -result);
  }

  std::string program() const {
    const Descriptor file{::memfd_create("seccomp", MFD_CLOEXEC)};
    if (const int result = seccomp_export_bpf(context_, file.get()); result != 0)
      throw system_error("compiling the seccomp profile", -result);
    std::string bytes(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
    if (::pread(file.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
      throw system_error("reading the seccomp program", errno);
    return bytes;
  }

 private:
  scmp_filter_ctx context_;
};

std::string compile() {
  Filter filter;
  for (const char* name : kAllowed) filter.add(SCMP_ACT_ALLOW, name);
  for (const char* name : kRefused)
    if (std::string_view{name} != "personality") filter.add(SCMP_ACT_ERRNO(EPERM), name);
  filter.add(SCMP_ACT_ALLOW, "clone", {scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, kNewNamespaces, 0}});
  for (const auto value : kPersonalities)
    filter.add(SCMP_ACT_ALLOW, "personality", {scmp_arg_cmp{0, SCMP_CMP_EQ, value, 0}});
  for (const auto family : kSocketFamilies)
    filter.add(SCMP_ACT_ALLOW, "socket", {scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, kInt, family}});
  return base64(filter.program());
}

Node rule(Node::List names, const char* action, std::optional<int> error, Node::List arguments = {}) {
  Node node;
  node.set("names", std::move(names));
  node.set("action", action);
  if (error) node.set("errnoRet", *error);
  if (!arguments.empty()) node.set("args", std::move(arguments));
  return node;
}

Node argument(std::uint64_t value, std::uint64_t second, const char* comparison) {
  Node node;
  node.set("index", 0);
  node.set("value", static_cast<std::int64_t>(value));
  node.set("valueTwo", static_cast<std::int64_t>(second));
  node.set("op", comparison);
  return node;
}

}  // namespace

const std::string& seccomp_program() {
  static const std::string program = compile();
  return program;
}

Node seccomp_document() {
  Node::List allowed, refused, rules;
  for (const char* name : kAllowed) allowed.emplace_back(name);
  for (const char* name : kRefused)
    if (std::string_view{name} != "personality") refused.emplace_back(name);
  rules.push_back(rule(std::move(allowed), "SCMP_ACT_ALLOW", {}));
  rules.push_back(rule(std::move(refused), "SCMP_ACT_ERRNO", EPERM));
  rules.push_back(rule({"clone"}, "SCMP_ACT_ALLOW", {}, {argument(kNewNamespaces, 0, "SCMP_CMP_MASKED_EQ")}));
  for (const auto value : kPersonalities)
    rules.push_back(rule({"personality"}, "SCMP_ACT_ALLOW", {}, {argument(value, 0, "SCMP_CMP_EQ")}));
  for (const auto family : kSocketFamilies)
    rules.push_back(rule({"socket"}, "SCMP_ACT_ALLOW", {}, {argument(kInt, family, "SCMP_CMP_MASKED_EQ")}));
  Node node;
  node.set("defaultAction", "SCMP_ACT_ERRNO");
  node.set("defaultErrnoRet", ENOSYS);
  // The native architecture alone: what calls by another (32-bit) interface is killed.
#if defined(__x86_64__)
  node.set("architectures", Node::List{"SCMP_ARCH_X86_64"});
#elif defined(__aarch64__)
  node.set("architectures", Node::List{"SCMP_ARCH_AARCH64"});
#endif
  node.set("syscalls", std::move(rules));
  return node;
}

}  // namespace tow::engine::local
