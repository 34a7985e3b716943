// SPDX-License-Identifier: Apache-2.0
// What runs inside the containers of the engine's tests: one static program, so that an image is one file.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace {

bool healthy = true;

void end(int) { _exit(0); }

std::string request_path(int client) {
  char text[2048];
  const auto n = read(client, text, sizeof text - 1);
  if (n <= 0) return "";
  text[n] = 0;
  const char* from = strchr(text, ' ');
  const char* to = from ? strchr(from + 1, ' ') : nullptr;
  return to ? std::string(from + 1, to) : "";
}

void answer(int client, int status, const std::string& body) {
  dprintf(client, "HTTP/1.1 %d Fine\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
          body.size(), body.c_str());
}

std::string own_name() {
  char name[256] = "";
  gethostname(name, sizeof name);
  return name;
}

int serve(int port, const char* address) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address, &at.sin_addr);
  if (bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || listen(listener, 128) != 0) {
    perror("listen");
    return 1;
  }
  printf("listening on %d\n", port);
  for (;;) {
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    const int client = accept(listener, reinterpret_cast<sockaddr*>(&peer), &length);
    if (client < 0) continue;
    const std::string path = request_path(client);
    if (path.rfind("/env/", 0) == 0) {
      const char* value = getenv(path.c_str() + 5);
      answer(client, value ? 200 : 404, value ? value : "");
    } else if (path == "/source") {
      char text[64];
      answer(client, 200, inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text));
    } else if (path == "/break") {
      healthy = false;
      answer(client, 200, "broken");
    } else if (path == "/health") {
      answer(client, healthy ? 200 : 503, healthy ? "fine" : "broken");
    } else if (path.rfind("/exit/", 0) == 0) {
      answer(client, 200, "bye");
      close(client);
      _exit(atoi(path.c_str() + 6));
    } else {
      answer(client, 200, own_name());
    }
    close(client);
  }
}

/// An A record through the first name server of resolv.conf; static programs have no resolver of their own.
bool resolve(const char* name, in_addr& out) {
  if (inet_pton(AF_INET, name, &out) == 1) return true;
  FILE* file = fopen("/etc/resolv.conf", "r");
  char server[64] = "";
  if (!file || fscanf(file, "nameserver %63s", server) != 1) return false;
  fclose(file);
  unsigned char query[512] = {0x12, 0x34, 1, 0, 0, 1};
  size_t size = 12;
  for (const char* label = name; *label;) {
    const size_t length = strcspn(label, ".");
    query[size++] = static_cast<unsigned char>(length);
    memcpy(query + size, label, length);
    size += length;
    label += length + (label[length] == '.' ? 1 : 0);
  }
  const unsigned char tail[] = {0, 0, 1, 0, 1};
  memcpy(query + size, tail, sizeof tail);
  size += sizeof tail;
  const int s = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(53);
  inet_pton(AF_INET, server, &at.sin_addr);
  const timeval limit{2, 0};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  unsigned char reply[512];
  sendto(s, query, size, 0, reinterpret_cast<sockaddr*>(&at), sizeof at);
  const auto n = recv(s, reply, sizeof reply, 0);
  close(s);
  if (n < 12 || (reply[3] & 15) != 0 || reply[7] == 0) return false;
  memcpy(&out, reply + n - 4, 4);  // one question, and the last record's data ends the answer
  return true;
}

int connect_to(const char* host, int port, int type) {
  in_addr address{};
  if (!resolve(host, address)) {
    printf("unknown host %s\n", host);
    return -1;
  }
  const int s = socket(AF_INET, type, 0);
  const timeval limit{3, 0};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(port));
  at.sin_addr = address;
  if (connect(s, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
    printf("%s\n", errno == EINPROGRESS || errno == EAGAIN ? "timed out" : strerror(errno));
    close(s);
    return -1;
  }
  return s;
}

int fetch(const char* host, int port, const char* path) {
  const int s = connect_to(host, port, SOCK_STREAM);
  if (s < 0) return 1;
  dprintf(s, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
  std::string all;
  char text[4096];
  for (ssize_t n; (n = read(s, text, sizeof text)) > 0;) all.append(text, static_cast<size_t>(n));
  const auto body = all.find("\r\n\r\n");
  printf("%s\n", body == std::string::npos ? "no answer" : all.c_str() + body + 4);
  return body == std::string::npos ? 1 : 0;
}

int echo_udp(int port) {
  const int s = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(port));
  if (bind(s, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) return 1;
  puts("echoing");
  for (;;) {
    char text[512];
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    if (recvfrom(s, text, sizeof text, 0, reinterpret_cast<sockaddr*>(&peer), &length) < 0) continue;
    const std::string name = own_name();
    sendto(s, name.data(), name.size(), 0, reinterpret_cast<sockaddr*>(&peer), length);
  }
}

int ask_udp(const char* host, int port) {
  const int s = connect_to(host, port, SOCK_DGRAM);
  if (s < 0) return 1;
  char text[512];
  if (send(s, "x", 1, 0) != 1) return puts(strerror(errno)), 1;
  const auto n = recv(s, text, sizeof text - 1, 0);
  if (n < 0) return puts(strerror(errno)), 1;
  text[n] = 0;
  puts(text);
  return 0;
}

int show(const char* path) {
  const int file = open(path, O_RDONLY);
  if (file < 0) return puts(strerror(errno)), 1;
  char text[65536];
  for (ssize_t n; (n = read(file, text, sizeof text)) > 0;) fwrite(text, 1, static_cast<size_t>(n), stdout);
  return 0;
}

int write_to(const char* path, const char* text) {
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file < 0 || write(file, text, strlen(text)) < 0) return puts(strerror(errno)), 1;
  return 0;
}

/// Megabytes into a file; how many there was room for, and what was said then.
int fill(const char* path, int megabytes) {
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  static char block[1 << 20];
  ssize_t done = 0, n = 0;
  const ssize_t all = ssize_t{megabytes} << 20;
  while (file >= 0 && done < all && (n = write(file, block, sizeof block)) > 0) done += n;
  if (done >= all) return printf("all of %d MiB\n", megabytes), 0;
  printf("%zd bytes, then: %s\n", done, strerror(errno));
  return 0;
}

int allocate(size_t megabytes) {
  printf("allocating %zu MiB\n", megabytes);
  for (size_t i = 0; i < megabytes; ++i) {
    auto* block = static_cast<volatile char*>(malloc(1 << 20));
    if (!block) return 3;
    for (size_t at = 0; at < 1 << 20; at += 4096) block[at] = 1;
  }
  puts("allocated");
  pause();
  return 0;
}

int speak(int lines, int length) {
  const std::string filler(static_cast<size_t>(length), 'x');
  for (int i = 0; i < lines; ++i) printf("%d %s\n", i, filler.c_str());
  return 0;
}

void said(const char* what, long result) {
  printf("%s: %s\n", what, result < 0 ? strerror(errno) : "POSSIBLE");
}

/// Opening alone says little of what is masked by an empty file: a byte must go through.
long try_to_write(const char* path, const char* text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return -1;
  const ssize_t n = write(file, text, strlen(text));
  const int error = errno;
  close(file);
  errno = error;
  return n;
}
long try_to_read(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  char byte;
  const ssize_t n = read(file, &byte, 1);
  const int error = n == 0 ? ENODATA : errno;
  close(file);
  errno = error;
  return n > 0 ? 0 : -1;
}

/// A copy of this program that belongs to root and says so: whoever runs it must stay who they are.
long become_root() {
  const char* path = "/tmp/setuid";
  const int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
  if (from < 0 || to < 0) return -1;
  char text[65536];
  for (ssize_t n; (n = read(from, text, sizeof text)) > 0;)
    if (write(to, text, static_cast<size_t>(n)) != n) return -1;
  close(from);
  close(to);
  if (chmod(path, 04755) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(1000) != 0 || setuid(1000) != 0) _exit(9);
    execl(path, "/p", "am-i-root", nullptr);
    _exit(8);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 3) return errno = EPERM, -1;  // it is not
  if (WIFEXITED(status) && WEXITSTATUS(status) != 4)
    printf("setuid binary: did not run, %d\n", WEXITSTATUS(status));
  return 0;
}

/// Each line is one thing that a container must not be able to do, and what it said.
int attack() {
  said("unshare user", unshare(CLONE_NEWUSER));
  said("unshare net", unshare(CLONE_NEWNET));
  said("unshare mounts", unshare(CLONE_NEWNS));
  said("clone with a user namespace",
       syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  said("join a namespace", setns(open("/proc/self/ns/user", O_RDONLY), 0));

  said("mount", mount("x", "/tmp", "tmpfs", 0, nullptr));
  said("mount proc anew", mount("proc", "/tmp", "proc", 0, nullptr));
  said("make /proc/sys writable", mount(nullptr, "/proc/sys", nullptr, MS_REMOUNT | MS_BIND, nullptr));
  said("unmask", umount2("/proc/kcore", MNT_DETACH));
  said("clone a mount", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
  said("open a file system", syscall(SYS_fsopen, "tmpfs", 0));
  said("change the root", syscall(SYS_pivot_root, ".", "."));
  said("open by handle", syscall(SYS_open_by_handle_at, AT_FDCWD, nullptr, 0));

  said("block device", mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0)));
  said("memory device", mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)));
  said("kernel log", open("/dev/kmsg", O_RDONLY));
  said("another's terminal", open("/dev/tty1", O_RDWR));

  said("raw socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  said("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
  said("the hypervisor's socket", socket(AF_VSOCK, SOCK_STREAM, 0));
  said("the kernel's ciphers", socket(AF_ALG, SOCK_SEQPACKET, 0));
  said("a family in the upper half", syscall(SYS_socket, 0x100000000ul | AF_VSOCK, SOCK_STREAM, 0));

  said("keyctl", syscall(SYS_keyctl, 0, -3, 1));
  said("bpf", syscall(SYS_bpf, 0, nullptr, 0));
  said("perf events", syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0));
  said("userfaultfd", syscall(SYS_userfaultfd, 0));
  said("io_uring", syscall(SYS_io_uring_setup, 1, nullptr));
  said("load a module", syscall(SYS_init_module, nullptr, 0, ""));
  said("load a kernel", syscall(SYS_kexec_load, 0, 0, nullptr, 0));
  said("set the clock", syscall(SYS_clock_settime, 0, nullptr));
  said("swap", syscall(SYS_swapoff, "/x"));
  said("reboot", syscall(SYS_reboot, 0, 0, 0, nullptr));

  said("trace what is not there to it", syscall(SYS_ptrace, 0x4206 /* SEIZE */, 2'000'000'000, 0, 0));
  said("write sysctl", try_to_write("/proc/sys/kernel/core_pattern", "|/bin/false"));
  said("write its own sysctl", try_to_write("/proc/sys/kernel/hostname", "x"));
  said("sysrq", try_to_write("/proc/sysrq-trigger", "h"));
  said("write /sys", try_to_write("/sys/kernel/uevent_helper", "/bin/false"));
  said("leave its limits", try_to_write("/sys/fs/cgroup/cgroup.procs", "0"));
  said("leave its limits (v1)", try_to_write("/sys/fs/cgroup/pids/pids.max", "max"));
  said("be spared when memory is short", try_to_write("/proc/self/oom_score_adj", "-1000"));
  said("kcore", try_to_read("/proc/kcore"));
  said("keys", try_to_read("/proc/keys"));
  said("firmware", try_to_read("/sys/firmware/acpi/tables/DSDT"));
  said("timers", try_to_read("/proc/timer_list"));
  said("files without limit", [] {
    const rlimit all{1 << 20, 1 << 20};
    return setrlimit(RLIMIT_NOFILE, &all);
  }());
  if (getuid() == 0) said("setuid binary", become_root());
  return 0;
}

/// As many processes as there may be; they are gone when it ends.
int fork_bomb() {
  int count = 0;
  for (; count < 100'000; ++count) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) pause();
    }
    if (child < 0) break;
  }
  printf("%d processes, then: %s\n", count, strerror(errno));
  return 0;
}

int open_many() {
  int count = 0;
  while (count < 1'000'000 && open("/dev/null", O_RDONLY) >= 0) ++count;
  printf("%d files, then: %s\n", count, strerror(errno));
  return 0;
}

int terminal() {
  winsize size{};
  if (ioctl(0, TIOCGWINSZ, &size) != 0) return puts("no terminal"), 1;
  printf("terminal %dx%d %s\n", size.ws_col, size.ws_row, ttyname(0) ? ttyname(0) : "?");
  char line[256];
  while (fgets(line, sizeof line, stdin)) {
    if (strncmp(line, "size", 4) == 0) {
      ioctl(0, TIOCGWINSZ, &size);
      printf("%dx%d\n", size.ws_col, size.ws_row);
    } else if (strncmp(line, "exit", 4) == 0) {
      return 7;
    } else {
      printf("you said %s", line);
    }
  }
  return 0;
}

}  // namespace

int main(int count, char** words) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto word = [&](int i) { return i < count ? words[i] : ""; };
  const std::string verb = word(1);
  if (verb != "stubborn") signal(SIGTERM, end);
  if (verb == "stubborn") signal(SIGTERM, SIG_IGN);
  if (verb == "serve") return serve(atoi(word(2)), count > 3 ? word(3) : "0.0.0.0");
  if (verb == "serve-slowly")
    return usleep(static_cast<useconds_t>(atoi(word(3))) * 1000), serve(atoi(word(2)), "0.0.0.0");
  if (verb == "sleep" || verb == "stubborn")
    return puts("sleeping"), [] {
      for (;;) pause();
      return 0;
    }();
  if (verb == "exit") return puts("exiting"), atoi(word(2));
  if (verb == "abort") abort();
  if (verb == "fetch") return fetch(word(2), atoi(word(3)), count > 4 ? word(4) : "/");
  if (verb == "udp-echo") return echo_udp(atoi(word(2)));
  if (verb == "udp-ask") return ask_udp(word(2), atoi(word(3)));
  if (verb == "cat") return show(word(2));
  if (verb == "write") return write_to(word(2), word(3));
  if (verb == "echo") {
    for (int i = 2; i < count; ++i) printf("%s%s", words[i], i + 1 < count ? " " : "\n");
    return 0;
  }
  if (verb == "ticks") {  // COUNT MILLISECONDS [LENGTH]
    const std::string filler(count > 4 ? static_cast<size_t>(atoi(words[4])) : 0, '.');
    for (int i = 0; i < atoi(word(2)); ++i) {
      printf("tick %d%s%s\n", i, filler.empty() ? "" : " ", filler.c_str());
      if (const int gap = atoi(word(3)); gap > 0 || i % 40 == 39)
        usleep(static_cast<useconds_t>(gap > 0 ? gap * 1000 : 2000));
    }
    for (;;) pause();
  }
  if (verb == "lines") {
    for (int i = 2; i < count; ++i) puts(words[i]);
    return 0;
  }
  if (verb == "complain") return fprintf(stderr, "%s\n", word(2)), 0;
  if (verb == "env") return puts(getenv(word(2)) ? getenv(word(2)) : "(unset)"), 0;
  if (verb == "whoami") return printf("%d:%d\n", getuid(), getgid()), 0;
  if (verb == "allocate") return allocate(static_cast<size_t>(atoi(word(2))));
  if (verb == "speak") return speak(atoi(word(2)), atoi(word(3)));
  if (verb == "attack") return attack();
  if (verb == "am-i-root") return geteuid() == 0 ? 4 : 3;
  if (verb == "fork-bomb") return fork_bomb();
  if (verb == "open-many") return open_many();
  if (verb == "link") return symlink(word(2), word(3)) == 0 ? 0 : (puts(strerror(errno)), 1);
  if (verb == "fill") return fill(word(2), atoi(word(3)));
  if (verb == "terminal") return terminal();
  fprintf(stderr, "unknown verb %s\n", verb.c_str());
  return 64;
}
