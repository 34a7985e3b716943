// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/proxy.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "route/haproxy/kernel.hpp"
#include "route/haproxy/plan.hpp"

namespace tow::route::haproxy {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kArea = "route";
constexpr std::chrono::seconds kAnswerLimit{10};

Task<> pause(Duration duration) {
  asio::steady_timer timer{co_await asio::this_coro::executor, duration};
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

Proxy::Proxy(Frame frame, Scope& scope, std::function<Task<>(int pid)> lost)
    : frame_{std::move(frame)},
      scope_{scope},
      lost_{std::move(lost)},
      console_{frame_.settings.runtime_directory / kMasterSocket} {}

std::filesystem::path Proxy::path(std::string_view file) const {
  return frame_.settings.runtime_directory / file;
}

Task<> Proxy::watch(int pid) {
  try {
    ProcessHandle handle{co_await asio::this_coro::executor, pid};
    co_await handle.ended();
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
  }
  watched_.erase(pid);
  std::erase(processes_.old, pid);
  if (pid == processes_.master || pid == processes_.worker) co_await lost_(pid);
}

void Proxy::see(Processes processes) {
  processes_ = std::move(processes);
  std::vector<int> all = processes_.old;
  all.push_back(processes_.master);
  if (processes_.worker != 0) all.push_back(processes_.worker);
  for (const int pid : all) {
    if (watched_.insert(pid).second) scope_.spawn(watch(pid));
  }
}

Task<bool> Proxy::find() {
  for (const auto until = std::chrono::steady_clock::now() + kAnswerLimit;;) {
    const std::optional<Processes> found = co_await console_.processes();
    if (found && found->worker != 0) {
      see(*found);
      co_return true;
    }
    // A master that starts, reloads or ends does not answer for a moment, or names no worker.
    const bool is_there = has_master(processes_of(frame_.settings.runtime_directory));
    if (!is_there || std::chrono::steady_clock::now() > until) break;
    co_await pause(Duration{2});
  }
  processes_ = {};
  co_return false;
}

/// Whoever is just ending keeps it for another moment; anybody else keeps it.
Task<> Proxy::free_port(const std::string& address, std::uint16_t port) {
  for (int attempt = 0;; ++attempt) {
    const int pid = port_holder(address, port);
    if (pid == 0) co_return;
    if (attempt >= 50 || (pid > 0 && is_alive(pid))) check_port(address, port);  // throws, by name
    co_await pause(Duration{10});
  }
}

Task<> Proxy::launch() {
  const Settings& settings = frame_.settings;
  processes_ = {};
  co_await end_all(settings.runtime_directory);
  co_await free_port(settings.public_address, settings.public_port);
  co_await free_port(settings.internal_address, settings.internal_port);
  const Outcome outcome = co_await run(start_command(settings));
  if (!outcome.ok()) {
    throw fail(Code::Internal, "HAProxy did not start ({}): {}", describe(start_command(settings)),
               alerts(outcome.err));
  }
  // It listens by now, but the master executes itself once more before it answers.
  const bool found = co_await find();
  if (!found) {
    const bool gone = !has_master(processes_of(settings.runtime_directory));
    throw fail(Code::Unavailable, "HAProxy was started, but {}: {}", gone ? "has ended" : "does not answer",
               alerts(outcome.err));
  }
}

Task<> Proxy::reload() {
  const Processes before = processes_;
  co_await console_.reload();
  // The master answers again when it has forked the new worker, or has failed to.
  for (const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{30};;) {
    const std::optional<Processes> now = co_await console_.processes();
    if (now && now->worker != 0 && now->worker != before.worker) {
      see(*now);
      break;
    }
    if (now && now->failed_reloads != before.failed_reloads) {
      see(*now);
      const Outcome outcome = co_await run(check_command(frame_.settings));
      throw fail(Code::Internal, "HAProxy refused its new configuration and goes on with the old one: {}",
                 alerts(outcome.err));
    }
    if (!now && !is_alive(before.master)) throw Error{Code::Unavailable, "HAProxy has ended"};
    if (std::chrono::steady_clock::now() > until) {
      throw Error{Code::Unavailable, "HAProxy did not come back from a reload in time"};
    }
    co_await pause(Duration{2});
  }
  const std::vector<std::string> ready = co_await console_.ask(processes_.worker, {"show version"});
  if (ready.empty()) throw Error{Code::Unavailable, "HAProxy's new worker ended at once"};
  // From when the old one knows that it stops, it decides nothing any more.
  while (true) {
    const std::vector<std::string> info = co_await console_.ask(before.worker, {"show info"});
    if (info.empty() || info[0].contains("Stopping: 1")) co_return;
    co_await pause(Duration{1});
  }
}

void Proxy::write(const Files& files) {
  for (const auto& [name, contents] : files) {
    auto [last, fresh] = written_.try_emplace(name);
    if (!fresh && last->second == contents) continue;
    write_file(path(name), contents);
    last->second = contents;
  }
}

Task<bool> Proxy::tell(std::vector<std::string> commands) {
  if (commands.empty()) co_return true;
  Console::Heard heard = co_await console_.ask_with_processes(processes_.worker, commands);
  if (heard.processes.worker != processes_.worker) {
    // Somebody else reloaded it. What it was started from may be older than what it was told since.
    log::warning(kArea, "HAProxy was reloaded by somebody else");
    see(heard.processes);
    co_return false;
  }
  see(heard.processes);
  bool done = heard.answers.size() == commands.size();
  for (std::size_t i = 0; i < heard.answers.size(); ++i) {
    const Reply said = reply(heard.answers[i]);
    if (said == Reply::Done || (said == Reply::Absent && commands[i].starts_with("del "))) continue;
    log::warning(kArea, "HAProxy refused \"{}\": {}", commands[i], heard.answers[i]);
    done = false;
  }
  co_return done;
}

Task<std::map<int, std::vector<std::string>>> Proxy::ask_all(std::vector<std::string> commands) {
  const Processes asked = processes_;
  std::map<int, std::vector<std::string>> out;
  out[asked.worker] = co_await ask(commands);
  for (const int pid : asked.old) {
    std::vector<std::string> answers = co_await console_.ask(pid, commands);
    if (answers.size() == commands.size()) out[pid] = std::move(answers);
  }
  co_return out;
}

Task<std::vector<std::string>> Proxy::ask(std::vector<std::string> commands) {
  if (processes_.worker == 0) throw Error{Code::Unavailable, "HAProxy does not run"};
  std::vector<std::string> answers = co_await console_.ask(processes_.worker, commands);
  if (answers.size() < commands.size()) throw Error{Code::Unavailable, "HAProxy's worker did not answer"};
  co_return answers;
}

}  // namespace tow::route::haproxy
