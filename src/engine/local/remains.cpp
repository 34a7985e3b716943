// SPDX-License-Identifier: Apache-2.0
#include "engine/local/remains.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/node.hpp"
#include "engine/local/at_once.hpp"
#include "engine/local/diagnosis.hpp"
#include "engine/local/processes.hpp"
#include "engine/local/runtime_call.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

/// Ends of instances that go on at once: each is mostly a wait for the kernel.
constexpr std::size_t kAtOnce = 8;

template <class Number>
std::optional<Number> read_number(const fs::path& path) {
  const auto text = read_text(path);
  Number number{};
  if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc{})
    return std::nullopt;
  return number;
}

}  // namespace

std::map<std::string, Descriptor> find_monitors(const Workshop& shop) {
  std::map<std::string, Descriptor> all;
  for (const auto& found : find_processes("conmon", shop.place.bundle()))
    if (found.option("--bundle") == shop.place.bundle()) all[found.option("--cid")] = open_process(found.pid);
  return all;
}

std::optional<Running> adopt(Workshop& shop, const std::string& id,
                             std::map<std::string, Descriptor>& monitors) {
  const fs::path directory = shop.place.instance(id);
  const auto text = read_text(directory / "run.json");
  const auto pid = read_number<pid_t>(directory / "init.pid");
  const auto monitor = monitors.find(id);
  if (!text || !pid || monitor == monitors.end()) return std::nullopt;
  Running running{
      .record = from_node<RunRecord>(parse_json(*text)), .monitor = std::move(monitor->second), .pid = *pid};
  monitors.erase(monitor);
  // A number may have been given to another process since: ours is in its control group.
  for (const pid_t member : shop.cgroups.processes(shop.place.cgroup(id)))
    if (member == *pid) running.init = open_process(*pid);
  return running;
}

std::optional<int> exit_code(const Workshop& shop, const std::string& id) {
  return read_number<int>(shop.place.instance(id) / "exit" / id);
}

std::optional<Ended> find_end(const Workshop& shop, const std::string& key, const ContainerSpec& container) {
  const fs::path directory = shop.place.instance(key);
  const auto text = read_text(directory / "run.json");
  const auto code = exit_code(shop, key);
  struct stat written{};
  if (!text || !code || ::stat((directory / "exit" / key).c_str(), &written) != 0) return std::nullopt;
  Ended found{.record = from_node<RunRecord>(parse_json(*text)), .end = {}};
  const auto since_epoch =
      std::chrono::seconds{written.st_mtim.tv_sec} + std::chrono::nanoseconds{written.st_mtim.tv_nsec};
  const TimePoint time{std::chrono::duration_cast<Duration>(since_epoch)};
  const bool out_of_memory = *code != 0 && shop.cgroups.out_of_memory_kills(shop.place.cgroup(key)) > 0;
  found.end = {.time = time,
               .exit_code = code,
               .out_of_memory = out_of_memory,
               .reason = diagnose_end({.exit_code = code,
                                       .out_of_memory = out_of_memory,
                                       .memory_limit = container.limits.memory,
                                       .after = std::max(time - found.record.started, Duration{0}),
                                       .stopped_because = {}})};
  return found;
}

std::vector<std::string> leftovers(const Workshop& shop) {
  std::vector<std::string> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{shop.place.instances(), ignored})
    all.push_back(entry.path().filename());
  return all;
}

void unmake(Workshop& shop, const std::string& id, const Runtime& runtime, const std::string& link,
            const Descriptor& monitor) {
  const fs::path directory = shop.place.instance(id);
  std::string host_end = link;
  if (host_end.empty())
    if (const auto text = read_text(directory / "run.json"))
      host_end = from_node<RunRecord>(parse_json(*text)).link;

  // First conmon: what it still waits for must not be reported as the instance's end. Then all that is in the
  // group.
  if (monitor) {
    signal(monitor, SIGKILL);
    wait_for_end(monitor, 5000);
  }
  fault_point("engine.monitor-ended");
  const std::string group = shop.place.cgroup(id);
  if (fs::exists(runtime.root / id)) {
    if (!runtime.program.empty()) {  // without, its group is ended below, and what it kept goes
      const auto spoken = run_runtime(runtime, delete_command(runtime, id), seconds{30});
      if (spoken.exit_code != 0)
        log::warning("engine", "{} cannot remove {}: {}", runtime.name, id, plainly(spoken.text));
    }
    fs::remove_all(runtime.root / id);
  }
  for (int attempt = 0; !shop.cgroups.remove(group) && attempt < 200; ++attempt) {
    shop.cgroups.kill(group);
    ::usleep(5000);  // the kernel takes a moment to let go of what was killed
  }
  fault_point("engine.container-ended");
  shop.networks.disconnect(host_end);
  fault_point("engine.network-disconnected");
  fs::remove_all(directory);
  fs::remove_all(shop.place.root(id));
}

void remove_remains(Workshop& shop, const std::set<std::string>& ids,
                    const std::map<std::string, Descriptor>& monitors, const std::string& default_runtime) {
  std::vector<Runtime> runtimes;
  std::error_code none_yet;
  for (const auto& entry : fs::directory_iterator{shop.place.runtimes(), none_yet})
    runtimes.push_back(maker(entry.path().filename(), shop.place.runtimes(), shop.cgroups));
  if (runtimes.empty())
    runtimes.push_back(choose_runtime(default_runtime, shop.place.runtimes(), shop.cgroups));
  const Descriptor none;
  for_each_at_once(std::vector<std::string>{ids.begin(), ids.end()}, kAtOnce, [&](const std::string& id) {
    const auto knows = [&](const Runtime& runtime) { return fs::exists(runtime.root / id); };
    const auto made_it = std::ranges::find_if(runtimes, knows);
    const auto monitor = monitors.find(id);
    unmake(shop, id, made_it == runtimes.end() ? runtimes.front() : *made_it, {},
           monitor == monitors.end() ? none : monitor->second);
  });
}

}  // namespace tow::engine::local
