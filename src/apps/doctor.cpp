// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/local/local.hpp"
#include "http/server.hpp"

namespace tow::apps {
namespace {

namespace fs = std::filesystem;
using Verdict = Finding::Verdict;

struct Program {
  std::vector<const char*> names;  // any of them
  const char* package;
  const char* purpose;
  Verdict without = Verdict::Missing;
};

const std::vector<Program>& programs() {
  static const std::vector<Program> all{
      {{"git"}, "git", "repositories and pushes"},
      {{"buildah"}, "buildah", "building images"},
      {{"skopeo"}, "skopeo", "images of registries", Verdict::Warning},
      {{"crun", "runc"}, "crun", "starting containers"},
      {{"conmon"}, "conmon", "watching over containers"},
      {{"haproxy"}, "haproxy", "routes"},
      {{"nft"}, "nftables", "looking at the firewall by hand", Verdict::Warning},
      {{"dnsmasq"}, "dnsmasq-base", "names inside environments"},
      {{"mmdebstrap"}, "mmdebstrap", "making base images"},
      {{"pasta"}, "passt", "the network of builds"},
  };
  return all;
}

std::string find_program(std::string_view name) {
  for (const char* directory :
       {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"})
    if (const auto path = std::string{directory}.append(name); access(path.c_str(), X_OK) == 0) return path;
  return {};
}

std::string read_line(const fs::path& path) {
  std::ifstream in{path};
  std::string line;
  std::getline(in, line);
  return line;
}

std::string read_all(const fs::path& path) {
  std::ifstream in{path};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void examine_programs(std::vector<Finding>& all) {
  for (const auto& program : programs()) {
    std::string names, path;
    for (const char* name : program.names) {
      names += (names.empty() ? "" : " or ") + std::string{name};
      if (path.empty()) path = find_program(name);
    }
    if (!path.empty())
      all.push_back({names, Verdict::Fine, path, {}});
    else
      all.push_back({names, program.without, fmt::format("not installed; needed for {}", program.purpose),
                     fmt::format("apt-get install {}", program.package)});
  }
  // git's server side is a program of its own.
  if (!find_program("git").empty() && access("/usr/lib/git-core/git-http-backend", X_OK) != 0)
    all.push_back(
        {"git http-backend", Verdict::Missing, "not installed; needed for pushes", "apt-get install git"});
}

bool answers(const fs::path& socket) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
  socket.string().copy(name.sun_path, sizeof name.sun_path - 1);
  const bool there = ::connect(descriptor, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0;
  close(descriptor);
  return there;
}

void examine_ports(std::vector<Finding>& all, const ServerSettings& settings) {
  const bool runs = answers(settings.socket());
  all.push_back({"tow server", Verdict::Fine, runs ? "runs" : "does not run", {}});
  for (const auto& text : {settings.listen, settings.http}) {
    bool free = true;
    std::string problem;
    try {
      auto address = http::Address::parse(text);
      http::Server trial{{.threads = 1}, [](http::Request&, http::Responder&) -> Task<> { co_return; }};
      trial.listen(address);
    } catch (const Error& error) {
      if (error.code() == Code::FailedPrecondition)
        free = false;
      else
        problem = error.message();
    }
    if (problem.empty())
      all.push_back(judge_port(text, free, runs));
    else
      all.push_back({"address " + text, Verdict::Missing, problem, "name another by --listen or --http"});
  }
}

void examine_kernel(std::vector<Finding>& all) {
  utsname names{};
  uname(&names);
  all.push_back(judge_kernel(names.release));
  all.push_back(judge_overlay(read_all("/proc/filesystems")));
  all.push_back(judge_user_namespaces(read_line("/proc/sys/user/max_user_namespaces")));
  if (fs::exists("/sys/fs/cgroup/cgroup.controllers"))
    all.push_back({"control groups", Verdict::Fine, "v2", {}});
  else if (fs::exists("/sys/fs/cgroup/memory"))
    all.push_back({"control groups", Verdict::Fine, "v1", {}});
  else
    all.push_back({"control groups", Verdict::Missing, "not mounted at /sys/fs/cgroup",
                   "mount -t cgroup2 none /sys/fs/cgroup, or start the machine with systemd"});
}

std::optional<struct statvfs> file_system_of(fs::path path) {
  std::error_code ignored;
  while (!fs::exists(path, ignored) && path.has_relative_path()) path = path.parent_path();
  struct statvfs about{};
  if (statvfs(path.c_str(), &about) != 0) return {};
  return about;
}

// Images are what is large; where they have a place of their own, that is judged, too.
void examine_space(std::vector<Finding>& all, const ServerSettings& settings) {
  const auto look = [&](std::string_view what, const fs::path& path, std::string_view option) {
    const auto subject = fmt::format("{} {}", what, path.string());
    if (const auto about = file_system_of(path))
      all.push_back(judge_space(subject, std::uint64_t{about->f_bavail} * about->f_frsize, about->f_favail,
                                about->f_files, option));
    else
      all.push_back({subject, Verdict::Missing, "cannot be looked at",
                     fmt::format("name another directory by {}", option)});
  };
  look("data", settings.data, "--data");
  if (!settings.images.empty()) look("images", settings.images, "--images");
}

void examine_firewall(std::vector<Finding>& all, const ServerSettings& settings) {
  if (geteuid() != 0) {
    all.push_back({"firewall", Verdict::Warning, "only root can look at it", "sudo tow doctor"});
    return;
  }
  try {
    // An engine that is never started: it only looks.
    boost::asio::io_context idle;
    engine::local::Settings made;
    made.state_directory = settings.data / "engine";
    made.runtime_directory = settings.runtime / "engine";
    made.log_directory = settings.data / "logs";
    made.volume_directory = settings.data / "volumes";
    made.name = settings.name;
    made.link_prefix = settings.links;
    made.network = settings.network;
    made.executor = idle.get_executor();
    made.clock = std::make_shared<SystemClock>();
    const auto obstacles = engine::local::make(std::move(made))->obstacles();
    for (const auto& each : obstacles) {
      const auto cut = each.find("; ");
      all.push_back({"firewall", Verdict::Warning, each.substr(0, cut),
                     cut == std::string::npos ? std::string{} : each.substr(cut + 2)});
    }
    if (obstacles.empty()) all.push_back({"firewall", Verdict::Fine, "nothing drops forwarded packets", {}});
  } catch (const Error& error) {
    all.push_back({"firewall", Verdict::Warning, "cannot be looked at: " + error.message(),
                   "load the kernel's module nf_tables"});
  }
}

void examine_clock(std::vector<Finding>& all) {
  timex state{};
  const int answer = adjtimex(&state);
  const auto year =
      std::chrono::year_month_day{std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now())}
          .year();
  if (static_cast<int>(year) < 2025)
    all.push_back({"clock", Verdict::Missing, fmt::format("says that it is {}", static_cast<int>(year)),
                   "set it: tokens and certificates end by it"});
  else if (answer == TIME_ERROR || (state.status & STA_UNSYNC))
    all.push_back({"clock", Verdict::Warning, "is not kept in time by anything",
                   "apt-get install systemd-timesyncd (or chrony)"});
  else
    all.push_back({"clock", Verdict::Fine, "is kept in time", {}});
}

std::string_view word(Verdict verdict) {
  switch (verdict) {
    case Verdict::Fine:
      return "fine";
    case Verdict::Warning:
      return "warning";
    case Verdict::Missing:
      return "missing";
  }
  return "";
}

}  // namespace

Finding judge_kernel(std::string_view release) {
  int major = 0, minor = 0;
  const auto* end = release.data() + release.size();
  const auto first = std::from_chars(release.data(), end, major);
  if (first.ptr != end && *first.ptr == '.') std::from_chars(first.ptr + 1, end, minor);
  if (std::pair{major, minor} >= std::pair{5, 19}) return {"kernel", Verdict::Fine, std::string{release}, {}};
  return {"kernel", Verdict::Missing, fmt::format("{}: overlayfs cannot be idmapped", release),
          "boot a kernel of 5.19 or later (Debian 12 has 6.1)"};
}

Finding judge_overlay(std::string_view filesystems) {
  std::istringstream in{std::string{filesystems}};
  for (std::string line; std::getline(in, line);)
    if (line.ends_with("\toverlay")) return {"overlayfs", Verdict::Fine, "there", {}};
  return {"overlayfs", Verdict::Missing, "the kernel does not have it loaded", "modprobe overlay"};
}

Finding judge_user_namespaces(std::string_view limit) {
  std::uint64_t count = 0;
  std::from_chars(limit.data(), limit.data() + limit.size(), count);
  if (count > 0) return {"user namespaces", Verdict::Fine, fmt::format("at most {}", count), {}};
  return {"user namespaces", Verdict::Missing, limit.empty() ? "the kernel lacks them" : "forbidden",
          "sysctl -w user.max_user_namespaces=10000"};
}

Finding judge_space(std::string_view subject, std::uint64_t bytes, std::uint64_t inodes,
                    std::uint64_t all_inodes, std::string_view option) {
  constexpr double kGib = 1024.0 * 1024 * 1024;
  Finding made{std::string{subject},
               Verdict::Fine,
               fmt::format("{:.1f} GiB free", static_cast<double>(bytes) / kGib),
               {}};
  if (all_inodes > 0 && inodes < 50'000) {  // some file systems do not count them
    made.verdict = inodes < 5'000 ? Verdict::Missing : Verdict::Warning;
    made.found += fmt::format(", {} inodes", inodes);
    made.remedy = fmt::format(
        "free inodes (an image has tens of thousands of files), or name another directory by {}", option);
  }
  if (static_cast<double>(bytes) < 5 * kGib) {
    made.verdict = static_cast<double>(bytes) < kGib  ? Verdict::Missing
                   : made.verdict == Verdict::Missing ? Verdict::Missing
                                                      : Verdict::Warning;
    made.remedy = fmt::format(
        "free some (5 GiB hold the base images and a few applications), or name another directory by {}",
        option);
  }
  return made;
}

Finding judge_port(const std::string& address, bool free, bool server_runs) {
  const auto subject = "address " + address;
  if (free) return {subject, Verdict::Fine, "free", {}};
  if (server_runs) return {subject, Verdict::Fine, "in use, by tow server or its proxy", {}};
  return {subject, Verdict::Missing, "in use by another program",
          "find it by `ss -ltnp`, or name another address by --listen or --http"};
}

std::vector<Finding> examine(const ServerSettings& settings) {
  std::vector<Finding> all;
  if (geteuid() == 0)
    all.push_back({"user", Verdict::Fine, "root", {}});
  else
    all.push_back({"user", Verdict::Warning, "not root, whom `tow server` needs", "run the server as root"});
  examine_programs(all);
  examine_kernel(all);
  examine_ports(all, settings);
  examine_space(all, settings);
  examine_firewall(all, settings);
  examine_clock(all);
  return all;
}

int exit_code(const std::vector<Finding>& findings) {
  for (const auto& each : findings)
    if (each.verdict == Verdict::Missing) return 1;
  return 0;
}

std::string table(const std::vector<Finding>& findings) {
  std::size_t width = 0;
  for (const auto& each : findings) width = std::max(width, each.subject.size());
  std::string text;
  for (const auto& each : findings) {
    text += fmt::format("{:<8} {:<{}}  {}\n", word(each.verdict), each.subject, width, each.found);
    if (!each.remedy.empty()) text += fmt::format("{:<8} {:<{}}  -> {}\n", "", "", width, each.remedy);
  }
  return text;
}

Node document(const std::vector<Finding>& findings) {
  Node::List all;
  for (const auto& each : findings) {
    Node one = Node::Map{{"subject", each.subject}, {"verdict", word(each.verdict)}, {"found", each.found}};
    if (!each.remedy.empty()) one.set("remedy", each.remedy);
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace tow::apps
