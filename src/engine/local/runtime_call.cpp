// SPDX-License-Identifier: Apache-2.0
#include "engine/local/runtime_call.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/node.hpp"
#include "engine/local/launch.hpp"
#include "engine/local/records.hpp"

namespace tow::engine::local {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

Spoken run_runtime(const Runtime& runtime, const std::vector<std::string>& command, Duration limit,
                   const std::function<void()>& at_limit) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("making a pipe", errno);
  const Descriptor reading{ends[0]};
  Descriptor writing{ends[1]};
  std::optional<PrivateMounts> view;
  if (!runtime.hidden.empty()) view = PrivateMounts{.hidden = runtime.hidden};
  const auto launched = launch({.argv = command,
                                .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                                .descriptors = {{1, writing.get()}, {2, writing.get()}},
                                .mounts = view});
  writing.reset();
  Spoken spoken;
  const auto end = steady_clock::now() + limit;
  for (bool open = true; open;) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now()).count();
    pollfd entry{reading.get(), POLLIN, 0};
    const int ready = left > 0 ? ::poll(&entry, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      if (at_limit) at_limit();
      if (!at_limit || !wait_for_end(launched.process, 1000)) signal(launched.process, SIGKILL);
      spoken.text += " (ended after " + tow::to_string(limit) + ")";
      wait_for_end(launched.process, -1);
      return spoken;
    }
    char buffer[4096];
    const auto n = ::read(reading.get(), buffer, sizeof buffer);
    open = n > 0;
    if (n > 0 && spoken.text.size() < 65536) spoken.text.append(buffer, static_cast<std::size_t>(n));
  }
  pollfd ended{launched.process.get(), POLLIN, 0};
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  spoken.exit_code = reap(launched.process).value_or(255);
  return spoken;
}

std::string plainly(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (const auto at = text.find("msg=\""); at != std::string::npos)
    text = text.substr(at + 5, text.size() - at - 6);
  return text.substr(0, 2000);
}

std::optional<int> run_probe(const Workshop& shop, const RunRecord& run, const std::string& default_runtime,
                             const std::vector<std::string>& command, Duration limit) {
  const auto text = read_text(shop.place.instance(run.id) / "exec.json");
  if (!text) return 255;
  Node process = parse_json(*text);
  Node::List arguments;
  for (const auto& argument : command) arguments.emplace_back(argument);
  process.set("args", std::move(arguments));
  const Runtime runtime = choose_runtime(run.runtime.empty() ? default_runtime : run.runtime,
                                         shop.place.runtimes(), shop.cgroups);
  // Of its own: two probes of an instance may run at once.
  const fs::path file = shop.place.instance(run.id) / ("probe-" + new_uid());
  const fs::path number = file.string() + ".pid";
  write_file(file, to_json(process), 0600, Safety::Volatile);
  // The runtime's end alone would leave the command running. Ended first, it is reaped by the runtime.
  const auto end_command = [&] {
    const pid_t pid = std::atoi(read_text(number).value_or("").c_str());
    for (const pid_t member : shop.cgroups.processes(shop.place.cgroup(run.id)))
      if (member == pid) signal(open_process(pid), SIGKILL);
  };
  const auto spoken =
      run_runtime(runtime, exec_command(runtime, run.id, file, number, false), limit, end_command);
  std::error_code ignored;
  for (const auto& path : {file, number}) fs::remove(path, ignored);
  return spoken.exit_code;
}

}  // namespace tow::engine::local
