// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests: source behind a real server on loopback, its hooks included, and a git that pushes to it.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "http/server.hpp"
#include "model/project.hpp"
#include "source/source.hpp"
#include "store/memory/memory.hpp"

namespace tow::source {

/// "admin" as the password may everything, "reader" may look; on the local socket everybody is root.
class PasswordGate final : public api::Gate {
 public:
  Task<api::Subject> authenticate(const http::Request& request) override {
    if (request.peer.local) {
      // The hooks' calls: a test may hold them up.
      entered.notify();
      if (holds) co_await released.wait();
      co_return api::Subject{.name = "root", .administrator = true};
    }
    const auto header = request.headers.get("Authorization").value_or("");
    const auto pair = header.starts_with("Basic ") ? base64_decode(header.substr(6)) : std::string{};
    const auto password = pair.substr(std::min(pair.size(), pair.find(':') + 1));
    if (password == "admin") co_return api::Subject{.name = "ann", .administrator = true};
    if (password == "reader") co_return api::Subject{.name = "reader"};
    throw fail(Code::Unauthenticated, "nobody known");
  }
  void authorize(const api::Subject& subject, api::Permission permission, const Key&) const override {
    if (!subject.administrator && permission != api::Permission::Read)
      throw fail(Code::Denied, "{} may not do this", subject.name);
  }

  std::atomic<bool> holds = false;
  Signal entered;
  Signal released;
};

class GitServer : public testing::Test {
 protected:
  explicit GitServer(http::ServerSettings settings = {.threads = 2}) : server_settings{settings} {
    log::set_level(log::Level::Error);
    std::filesystem::create_directories(root);
    store::Transaction transaction;
    transaction.create(draft<Project>({}, "shop", {}));
    run_blocking(store->commit(std::move(transaction)));
    start();
    wait_for("Repository", [](const Record& record) { return record.key.name == "shop"; });
  }
  ~GitServer() override {
    stop();
    std::filesystem::remove_all(root);
  }

  void start() {
    source = std::make_unique<Source>(Settings{.store = *store,
                                               .clock = clock,
                                               .gate = gate,
                                               .directory = root / "repositories",
                                               .hook_command = {own_program(), "hook"},
                                               .socket = root / "tow.sock",
                                               .push_limit = [this] { return Bytes{push_limit}; }});
    api = std::make_unique<api::Api>(
        api::Settings{.store = *store, .gate = gate, .clock = clock, .version = "test"});
    source->add_operations(*api);
    // pipeline's part, which says what a run is of and waits as long as it is told to.
    api->add(api::StreamOperation<FollowInput, Progress>{
        .name = "pipelineruns.follow",
        .target = api::Target::Entity,
        .help = "Show what a push does.",
        .permission = api::Permission::Read,
        .run = [this](api::Call call, FollowInput, std::function<Task<>(const Progress&)> emit) -> Task<> {
          const auto run = decode<PipelineRun>(store->snapshot()->get(call.target));
          Progress progress{.source = run.spec.branch, .text = "follows " + run.spec.commit.subject};
          co_await emit(progress);
          followed.notify();
          if (follow_holds) co_await follow_released.wait();
        }});
    router = std::make_unique<http::Router>();
    api->mount(*router);
    source->mount(*router);
    server = std::make_unique<http::Server>(server_settings, router->handler());
    server->listen({.host = "127.0.0.1"});
    http::Address local;
    local.socket = root / "tow.sock";
    server->listen(local);
    io = std::make_unique<boost::asio::io_context>();
    runtime = std::make_unique<control::Runtime>(
        control::Settings{.store = *store, .clock = clock, .executor = io->get_executor()});
    for (auto& controller : source->controllers()) runtime->add(std::move(controller));
    runtime->start();
    loop = std::thread{[this] {
      const auto work = boost::asio::make_work_guard(*io);
      io->run();
    }};
  }
  void stop() {
    if (!server) return;
    run_blocking(server->stop(Duration{0}));
    server.reset();
    run_blocking(runtime->stop());
    io->stop();
    loop.join();
    runtime.reset();
    io.reset();
  }

  // --- the pusher's side ---
  struct Said {
    int code = 0;
    std::string text;  // both streams
  };
  Command git_command(std::vector<std::string> arguments, const std::filesystem::path& folder) const {
    Command command;
    command.argv = {"git"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.cwd = folder;
    command.env = {{"GIT_CONFIG_NOSYSTEM", "1"},
                   {"GIT_CONFIG_GLOBAL", "/dev/null"},
                   {"GIT_TERMINAL_PROMPT", "0"},
                   {"GIT_AUTHOR_NAME", "Ann"},
                   {"GIT_AUTHOR_EMAIL", "ann@example.org"},
                   {"GIT_COMMITTER_NAME", "Ann"},
                   {"GIT_COMMITTER_EMAIL", "ann@example.org"}};
    return command;
  }
  Said git(std::vector<std::string> arguments, const std::filesystem::path& folder, std::string input = {}) {
    auto command = git_command(std::move(arguments), folder);
    command.input = std::move(input);
    const auto outcome = run_blocking(tow::run(std::move(command)));
    return {outcome.exit_code, outcome.out + outcome.err};
  }
  /// For what cannot fail unless the test is wrong. Its output without the last line's end.
  std::string sure(std::vector<std::string> arguments, const std::filesystem::path& folder,
                   std::string input = {}) {
    const auto name = arguments.front();
    auto said = git(std::move(arguments), folder, std::move(input));
    EXPECT_EQ(said.code, 0) << name << ": " << said.text;
    while (said.text.ends_with('\n')) said.text.pop_back();
    return said.text;
  }
  std::string url(const std::string& password = "admin", const std::string& path = "shop/shop.git") const {
    return fmt::format("http://{}127.0.0.1:{}/git/{}", password.empty() ? "" : "ann:" + password + "@",
                       server->port(), path);
  }
  /// A repository with a first commit on main, and the remote "tow".
  std::filesystem::path repository(const std::string& name = "work") {
    const auto folder = root / name;
    std::filesystem::create_directories(folder);
    sure({"init", "-q", "-b", "main"}, folder);
    sure({"remote", "add", "tow", url()}, folder);
    write(folder / "index.html", name);
    commit(folder, "First");
    return folder;
  }
  void write(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream{file, std::ios::binary} << text;
  }
  /// Everything as it is; the commit's id.
  std::string commit(const std::filesystem::path& folder, const std::string& subject) {
    sure({"add", "-A"}, folder);
    sure({"commit", "-q", "--allow-empty", "-m", subject}, folder);
    return sure({"rev-parse", "HEAD"}, folder);
  }
  Said push(const std::filesystem::path& folder, std::vector<std::string> what = {"main"}) {
    std::vector<std::string> arguments{"push", "tow"};
    arguments.insert(arguments.end(), what.begin(), what.end());
    return git(std::move(arguments), folder);
  }

  /// A push whose pusher is killed as soon as `moment` comes.
  void push_and_leave(const std::filesystem::path& folder, Signal& moment) {
    auto command = git_command({"push", "tow", "main"}, folder);
    command.own_session = true;
    run_blocking([](Command git, Signal& until) -> Task<> {
      const auto pusher = co_await Child::start(std::move(git));
      co_await until.wait();
      pusher->signal(SIGKILL);
      co_await pusher->wait();
    }(std::move(command), moment));
  }
  std::vector<Said> at_once(std::vector<Command> commands) {
    std::vector<Said> said(commands.size());
    run_blocking([](std::vector<Command>& all, std::vector<Said>& out) -> Task<> {
      co_await with_scope("at once", [&](Scope& scope) -> Task<> {
        for (std::size_t i = 0; i < all.size(); ++i)
          scope.spawn([&, i]() -> Task<> {
            const auto outcome = co_await tow::run(std::move(all[i]));
            out[i] = {outcome.exit_code, outcome.out + outcome.err};
          });
        co_await scope.join();
      });
    }(commands, said));
    return said;
  }

  // --- the server's side ---
  std::filesystem::path home() { return source->git("shop", "shop").path(); }
  std::map<std::string, Branch> branches() {
    return decode<Repository>(store->snapshot()->get(key<Repository>("shop", "shop"))).status.branches;
  }
  /// Branch and commit of every run, oldest first.
  using Runs = std::vector<std::pair<std::string, std::string>>;
  Runs runs() {
    std::vector<std::pair<StoreRevision, std::pair<std::string, std::string>>> found;
    for (const auto& record : store->snapshot()->list({.kind = "PipelineRun"})) {
      const auto run = decode<PipelineRun>(record);
      found.push_back({record->created_revision, {run.spec.branch, run.spec.commit.id}});
    }
    std::ranges::sort(found);
    Runs all;
    for (auto& [at, run] : found) all.push_back(std::move(run));
    return all;
  }
  /// Waits until an entity of a kind is so; fails after a minute.
  void wait_for(const std::string& kind, const std::function<bool(const Record&)>& holds) {
    run_blocking(
        [](GitServer& self, store::Filter filter, const std::function<bool(const Record&)>& good) -> Task<> {
          const auto watch = self.store->watch(0, filter);
          bool seen = false;
          co_await with_scope("wait", [&](Scope& scope) -> Task<> {
            Signal done;
            scope.spawn([&]() -> Task<> {
              while (!seen)
                for (const auto& change : co_await watch->next())
                  seen = seen || (change.type == store::Change::Type::Put && good(*change.record));
              done.notify();
            });
            const bool in_time = co_await done.wait_for(std::chrono::minutes{1});
            EXPECT_TRUE(in_time) << "nothing came to be so of " << filter.kind;
          });
        }(*this, {.kind = kind}, holds));
  }
  /// Every file that is not part of a repository as git made it: packs, loose objects, what was left behind.
  std::vector<std::string> objects() {
    std::vector<std::string> found;
    if (!std::filesystem::exists(home())) return found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{home()}) {
      const auto path = entry.path().lexically_relative(home()).string();
      if (entry.is_regular_file() && !path.starts_with("hooks/") && path != "config" && path != "HEAD" &&
          path != "description")
        found.push_back(path);
    }
    std::ranges::sort(found);
    return found;
  }

  std::filesystem::path root = std::filesystem::temp_directory_path() / ("towpath-source-" + new_uid());
  FakeClock clock;
  std::unique_ptr<store::Store> store = store::memory::open({.is_cold = &is_cold, .clock = &clock});
  PasswordGate gate;
  std::atomic<std::uint64_t> push_limit = 64 << 20;
  http::ServerSettings server_settings;
  std::atomic<bool> follow_holds = false;
  Signal followed;
  Signal follow_released;
  std::unique_ptr<Source> source;
  std::unique_ptr<api::Api> api;
  std::unique_ptr<http::Router> router;
  std::unique_ptr<http::Server> server;
  std::unique_ptr<boost::asio::io_context> io;
  std::unique_ptr<control::Runtime> runtime;
  std::thread loop;

 private:
  static std::string own_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }
};

}  // namespace tow::source
