// SPDX-License-Identifier: Apache-2.0
// The hooks' side of a push. What is printed here reaches the pusher as "remote: …".
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "client/client.hpp"
#include "source/source.hpp"

namespace tow::source {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

void say(std::string_view line) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  std::fflush(stderr);
}

// The branches that git is about to move, or has moved: lines "OLD NEW refs/heads/NAME" on standard input.
std::vector<std::string> pushed_branches() {
  constexpr std::string_view kPrefix = "refs/heads/";
  std::vector<std::string> branches;
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto at = line.rfind(' ');
    if (at == std::string::npos) continue;
    const auto reference = std::string_view{line}.substr(at + 1);
    if (reference.starts_with(kPrefix)) branches.emplace_back(reference.substr(kPrefix.size()));
  }
  return branches;
}

Task<> follow(client::Client& client, const std::string& project, const std::string& run) {
  const std::function<bool(const Progress&)> show = [](const Progress& progress) {
    say(progress.source.empty() ? progress.text : fmt::format("{:<12} {}", progress.source, progress.text));
    return true;
  };
  co_await client.stream<Progress>("pipelineruns.follow", project, run, FollowInput{}, show);
}

Task<> tell_pushed(client::Client& client, const std::string& project, const std::string& repository,
                   const std::string& by) {
  const auto output =
      co_await client.call<PushedOutput>("repositories.pushed", project, repository, PushedInput{.by = by});
  for (const auto& note : output.notes) say(note);
  for (const auto& run : output.runs) co_await follow(client, project, run);
}

Task<> ask_may_push(client::Client& client, const std::string& project, const std::string& repository,
                    const std::vector<std::string>& branches) {
  co_await client.call<Accepted>("repositories.maypush", project, repository,
                                 MayPushInput{.branches = branches});
}

}  // namespace

int run_hook(const std::string& name) {
  const auto project = variable("TOWPATH_PROJECT");
  const auto repository = variable("TOWPATH_REPOSITORY");
  const auto branches = pushed_branches();
  if (branches.empty() || project.empty()) return 0;
  const bool before = name == "pre-receive";
  for (const auto& branch : branches) {
    if (!before || is_utf8(branch)) continue;
    say("towpath: the name of a branch must be UTF-8");
    return 1;
  }
  const auto work = [&]() -> Task<> {
    const auto executor = co_await boost::asio::this_coro::executor;
    client::Client client{executor, {.url = "unix://" + variable("TOWPATH_SOCKET"), .token = {}}};
    if (before)
      co_await ask_may_push(client, project, repository, branches);
    else
      co_await tell_pushed(client, project, repository, variable("REMOTE_USER"));
  };
  try {
    run_blocking(work());
  } catch (const Error& error) {
    if (before && error.code() == Code::FailedPrecondition) {
      say("towpath: " + error.message());
      return 1;
    }
    // What git has stored is stored; the server takes it up when it can.
    if (!before) say("towpath: the push is stored; its progress cannot be shown: " + error.message());
  } catch (const std::exception& error) {
    if (!before)
      say(fmt::format("towpath: the push is stored; its progress cannot be shown: {}", error.what()));
  }
  return 0;
}

}  // namespace tow::source
