// SPDX-License-Identifier: Apache-2.0
#include "cli/context.hpp"

#include <unistd.h>

#include <cstdlib>

#include "cli/credentials.hpp"
#include "cli/exit.hpp"

namespace tow::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

constexpr const char* kDefaultUrl = "http://127.0.0.1:8690";

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

std::string local_socket() {
  const auto named = variable("TOWPATH_SOCKET");
  const std::string path = named.empty() ? "/run/towpath/tow.sock" : named;
  return access(path.c_str(), W_OK) == 0 ? path : std::string{};
}

}  // namespace

const Workspace& Context::workspace() {
  if (!workspace_) workspace_ = look(std::filesystem::current_path());
  return *workspace_;
}

std::string Context::project() {
  if (!project_option.empty()) return project_option;
  if (!workspace().project.empty()) return workspace().project;
  if (const auto named = variable("TOWPATH_PROJECT"); !named.empty()) return named;
  throw fail(Code::Invalid, "which project? Name it by -p PROJECT, or run `tow init` in your repository");
}

DeploymentName Context::deployment(const std::string& given) {
  DeploymentName name;
  const auto dot = given.find('.');
  name.component = given.substr(0, dot);
  if (dot != std::string::npos) name.environment = given.substr(dot + 1);
  if (!name.environment.empty() && !environment_option.empty() && name.environment != environment_option)
    throw fail(Code::Invalid, "{} and -e {} name two environments", given, environment_option);
  if (name.environment.empty()) name.environment = environment();
  if (name.component.empty()) name.component = workspace().here;
  if (name.component.empty()) {
    throw fail(Code::Invalid, "which component? {}",
               workspace().components.empty()
                   ? "Name it: COMPONENT or COMPONENT.ENVIRONMENT"
                   : fmt::format("This repository has {}", fmt::join(workspace().components, ", ")));
  }
  return name;
}

std::string Context::url() {
  if (!url_option.empty()) return without_slash(url_option);
  if (const auto named = variable("TOWPATH_URL"); !named.empty()) return without_slash(named);
  if (!workspace().url.empty()) return workspace().url;
  const auto credentials = Credentials::load();
  if (!credentials.last().empty()) return credentials.last();
  if (const auto socket = local_socket(); !socket.empty()) return "unix://" + socket;
  return kDefaultUrl;
}

Task<int> Context::act() {
  executor_ = co_await boost::asio::this_coro::executor;
  std::exception_ptr failure;
  int code = kFailed;
  try {
    code = co_await action();
  } catch (...) {
    failure = std::current_exception();
  }
  client_.reset();
  executor_.reset();
  if (failure) std::rethrow_exception(failure);
  co_return code;
}

client::Client& Context::server() {
  if (client_) return *client_;
  client::Settings settings{.url = url(), .token = variable("TOWPATH_TOKEN")};
  if (settings.token.empty()) settings.token = Credentials::load().token(settings.url).value_or("");
  // On the server's own machine its user needs no token. Another port of it is another server: so is what is
  // named by --url, whatever the variables say.
  const bool named = url_option.empty() && !variable("TOWPATH_SOCKET").empty();
  if (settings.token.empty() && (settings.url == kDefaultUrl || named))
    if (const auto socket = local_socket(); !socket.empty() && settings.url.starts_with("http://127.0.0.1:"))
      settings.url = "unix://" + socket;
  client_ = std::make_unique<client::Client>(*executor_, std::move(settings));
  return *client_;
}

Record Context::envelope(const Node& document) {
  Record record;
  const Node* metadata = document.find("metadata");
  const auto text = [&](std::string_view name) -> std::string {
    const Node* value = metadata ? metadata->find(name) : nullptr;
    return value && value->string() ? *value->string() : "";
  };
  const auto number = [&](std::string_view name) -> std::int64_t {
    const Node* value = metadata ? metadata->find(name) : nullptr;
    return value && value->integer() ? *value->integer() : 0;
  };
  if (const Node* kind = document.find("kind"); kind && kind->string()) record.key.kind = *kind->string();
  record.key.project = text("project");
  record.key.name = text("name");
  record.uid = text("uid");
  record.generation = number("generation");
  record.revision = number("revision");
  record.created = parse_time(text("created")).value_or(TimePoint{});
  record.deleted = parse_time(text("deleted"));
  return record;
}

Task<int> Context::follow(std::string deployment, std::int64_t generation) {
  co_return co_await show_progress("deployments.follow", std::move(deployment), {.generation = generation});
}

Task<int> Context::follow_run(std::string run) {
  co_return co_await show_progress("pipelineruns.follow", std::move(run), {});
}

Task<int> Context::show_progress(std::string operation, std::string name, FollowInput input) {
  bool failed = false;
  const std::function<bool(const Progress&)> show = [&](const Progress& progress) {
    output.note(progress.source.empty() ? progress.text
                                        : fmt::format("{:<12} {}", progress.source, progress.text));
    if (progress.phase && *progress.phase != WorkPhase::Succeeded) failed = true;
    return true;
  };
  co_await server().stream<Progress>(std::move(operation), project(), std::move(name), input, show);
  co_return failed ? kFailed : kOk;
}

}  // namespace tow::cli
