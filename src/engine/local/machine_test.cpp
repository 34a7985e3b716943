// SPDX-License-Identifier: Apache-2.0
#include "engine/local/machine.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <thread>

#include "base/ids.hpp"
#include "base/process.hpp"
#include "engine/local/cgroup.hpp"
#include "engine/local/engine.hpp"
#include "engine/local/netlink.hpp"
#include "engine/local/processes.hpp"
#include "engine/local/records.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Names of this run alone: tests of several build folders may run at once.
const std::string& run_name() {
  static const std::string name = [] {
    const char* given = std::getenv("TOW_ENGINE_NAME");  // a process of its own for the same machine
    return given ? std::string{given} : "tow-test-" + new_uid().substr(18);
  }();
  return name;
}

void enter_own_namespaces() {
  static const bool done = [] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // what a lost parent leaves becomes ours, and is counted
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return false;
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    Netlink{}.up(1);
    return true;
  }();
  if (!done) std::cerr << "no namespaces of its own: the test works on the machine's network\n";
}

/// The image storage: one for each content of the payload, kept between runs.
fs::path image_storage() {
  const std::string content = sha256_hex(read_text(ENGINE_PAYLOAD).value_or(""));
  const fs::path folder = fs::temp_directory_path() / ("tow-engine-images2-" + content.substr(0, 16));
  const fs::path ready = folder / "ready";
  const int lock = ::open((folder.string() + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  while (::lockf(lock, F_LOCK, 0) != 0 && errno == EINTR) {
  }
  if (!fs::exists(ready)) {
    fs::remove_all(folder);
    fs::create_directories(folder / "context");
    fs::copy_file(ENGINE_PAYLOAD, folder / "context/p");
    std::ofstream{folder / "context/passwd"} << "root:x:0:0::/:/\nnode:x:1000:1000::/home/node:/\n";
    std::ofstream{folder / "context/Containerfile"}
        << "FROM scratch\nCOPY p /p\nCOPY passwd /etc/passwd\nWORKDIR /tmp\nENV FROM_IMAGE=yes\n"
           "ENTRYPOINT [\"/p\"]\nCMD [\"sleep\"]\n";
    const std::vector<std::string> buildah{
        "buildah", "--root", folder / "storage", "--runroot", folder / "run", "--storage-driver", "overlay"};
    fs::create_directories(folder / "context/links");
    fs::create_directory_symlink("/", folder / "context/links/absolute");
    fs::create_directory_symlink("../../../../../../..", folder / "context/links/up");
    const struct {
      const char *suffix, *line;
    } images[] = {{"", "USER 0"}, {"-links", "COPY links /"}, {"-node", "USER node"}};
    for (const auto& [suffix, line] : images) {
      std::ofstream{folder / "context/Containerfile", std::ios::app} << line << "\n";
      Command build{.argv = buildah, .deadline = seconds{60}};
      for (const auto& word : {std::string{"bud"}, std::string{"--layers"}, std::string{"--isolation=oci"},
                               std::string{"--network=host"}, std::string{"-t"}, std::string{kImage} + suffix,
                               (folder / "context").string()})
        build.argv.push_back(word);
      run_blocking(run_checked(build));
    }
    std::ofstream{ready} << "yes";
  }
  ::close(lock);
  return folder / "storage";
}

std::string read_all(const fs::path& path) { return read_text(path).value_or(""); }

}  // namespace

std::ostream& operator<<(std::ostream& out, const Census& census) {
  const auto list = [&](const char* what, const std::vector<std::string>& all) {
    out << what << " (" << all.size() << ")\n";
    for (const auto& one : all) out << "  " << one << "\n";
  };
  list("links", census.links);
  list("mounts", census.mounts);
  list("control groups", census.cgroups);
  list("processes", census.processes);
  list("tables", census.tables);
  return out;
}

Census Machine::census() {
  Census all;
  all.links = Netlink{}.links("");
  std::istringstream mounts{read_all("/proc/self/mountinfo")};
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words{line};
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    if (word.starts_with(root_.string())) all.mounts.push_back(word);  // others' come and go
  }
  for (const auto& one : Cgroups{}.children("/" + run_name())) all.cgroups.push_back(one);
  for (const auto& entry : fs::directory_iterator{"/proc/self/task"}) {
    std::istringstream children{read_all(entry.path() / "children")};
    for (std::string pid; children >> pid;) {
      std::string command = read_all("/proc/" + pid + "/cmdline");
      std::ranges::replace(command, '\0', ' ');
      if (!command.empty()) all.processes.push_back(command);  // else it has ended, and is not reaped yet
    }
  }
  const auto tables = run_blocking(tow::run({.argv = {"nft", "list", "tables"}}));
  std::istringstream in{tables.out};
  for (std::string line; std::getline(in, line);) all.tables.push_back(line);
  return all;
}

bool Machine::usable() { return ::geteuid() == 0; }

void Machine::open() {
  enter_own_namespaces();
  root_ = fs::temp_directory_path() / ("tow-engine-" + new_uid());
  fs::create_directories(root_);
  image_storage();
  before_ = census();
  threads_ = std::make_unique<boost::asio::thread_pool>(3);
  start_engine();
}

Settings Machine::settings(const fs::path& root, Executor executor) {
  Settings s;
  s.state_directory = root / "state";
  s.runtime_directory = root / "run";
  s.log_directory = root / "logs";
  s.volume_directory = root / "volumes";
  s.image_storage = image_storage();
  s.name = run_name();
  s.link_prefix = "twt";
  s.stop_grace = seconds{2};
  s.executor = std::move(executor);
  s.clock = std::make_shared<SystemClock>();
  return s;
}

Settings Machine::settings() {
  Settings s = settings(root_, threads_->get_executor());
  s.runtime = runtime_;
  s.log_file_size = log_file_size_;
  s.internal_proxy_port = [this] { return proxy_port_; };
  s.open_secret = [this](std::string reference) -> Task<std::string> { co_return secrets_.at(reference); };
  return s;
}

void Machine::start_engine() {
  engine_ = make(settings());
  run_blocking(engine_->start());
}

void Machine::stop_engine() {
  run_blocking(engine_->stop());
  engine_.reset();
}

void Machine::kill_all(const char* program) {
  for (const auto& found : find_processes(program, root_.string())) {
    const auto process = open_process(found.pid);
    signal(process, SIGKILL);
    wait_for_end(process, 2000);
  }
}

void Machine::lose_everything_but_disks() {
  stop_engine();
  const Place place{settings()};
  for (const char* program : {"conmon", "dnsmasq"}) kill_all(program);
  const Cgroups groups;
  for (int attempt = 0; !groups.children(place.cgroups()).empty() && attempt < 500; ++attempt) {
    for (const auto& id : groups.children(place.cgroups())) {
      groups.kill(place.cgroup(id));
      groups.remove(place.cgroup(id));
    }
    std::this_thread::sleep_for(milliseconds{10});
  }
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  place.remove_runtime();
  Netlink netlink;
  for (const auto& link : netlink.links("twt")) netlink.remove(link);
  run_blocking(tow::run({.argv = {"nft", "flush", "ruleset"}}));
}

void Machine::close() {
  if (engine_) stop_engine();
  run_blocking(tear_down(settings()));
  threads_->join();
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  EXPECT_EQ(before_, census()) << "the engine left something behind";
  EXPECT_TRUE(fs::is_empty(root_ / "state"));
  fs::remove_all(root_);
}

Workload Machine::workload(std::vector<std::string> words, std::vector<Port> ports) {
  Workload w;
  w.project = "shop";
  w.environment_name = "development";
  w.component = "web";
  w.environment = "e1";
  w.user_base = 1'000'000;
  w.containers = {{.image = kImage, .args = std::move(words)}};
  w.ports = std::move(ports);
  return w;
}

GroupView Machine::ensure(const std::string& id, Workload workload, int count) {
  run_blocking(engine_->ensure({.id = id, .workload = std::move(workload), .count = count}));
  return engine_->group(id).value();
}

void Machine::eventually(const std::string& what, const std::function<bool()>& holds, Duration limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) {
      std::string state;
      for (const auto& group : engine_ ? engine_->groups() : std::vector<GroupView>{})
        for (const auto& one : group.instances)
          state += one.id + ": " + std::string{name(one.phase)} + " " + one.reason + "\n";
      FAIL() << "not in time: " << what << "\n" << state;
    }
    std::this_thread::sleep_for(milliseconds{5});
  }
}

void Machine::wait_ready(const std::string& id, int count) {
  eventually(std::to_string(count) + " instances of " + id + " are ready", [&] {
    const auto group = engine_->group(id);
    return group && std::ranges::count(group->instances, Phase::Ready, &InstanceView::phase) == count;
  });
}

void Machine::wait_gone(const std::string& id) {
  eventually(id + " is gone", [&] { return !engine_->group(id); });
}

std::string Machine::run(std::vector<std::string> words, std::function<void(Workload&)> change) {
  const std::string id = "job" + std::to_string(++jobs_);
  JobSpec job{.id = id, .workload = workload({}), .deadline = seconds{20}};
  job.command = {"/p"};
  job.command.insert(job.command.end(), words.begin(), words.end());
  if (change) change(job.workload);
  run_blocking(engine_->run_job(job));
  eventually(
      "job " + words.at(0) + " ends", [&] { return engine_->job(id)->phase != JobView::Phase::Running; },
      seconds{25});
  std::string all;
  for (const auto& line : lines({.source = id})) all += (all.empty() ? "" : "\n") + line;
  if (all.empty()) all = engine_->job(id)->reason;
  return all;
}

std::pair<std::string, int> Machine::exec(const InstanceId& instance, std::vector<std::string> command) {
  return run_blocking(
      [](Engine& engine, InstanceId id, std::vector<std::string> words) -> Task<std::pair<std::string, int>> {
        const auto terminal = co_await engine.exec(std::move(id), std::move(words), false);
        terminal->close_input();
        std::string all;
        for (std::string part; !(part = co_await terminal->read()).empty();) all += part;
        const int code = co_await terminal->wait();
        co_return std::pair{all, code};
      }(*engine_, instance, std::move(command)));
}

std::vector<std::string> Machine::lines(const LogQuery& query) {
  std::vector<std::string> all;
  run_blocking(engine_->logs(query, [&](const LogLine& line) -> Task<> {
    all.push_back(line.text);
    co_return;
  }));
  return all;
}

}  // namespace tow::engine::local
