// SPDX-License-Identifier: Apache-2.0
// git over HTTP: `git http-backend` as a CGI program, streamed both ways.
#include <charconv>

#include "base/log.hpp"
#include "base/process.hpp"
#include "http/problem.hpp"
#include "source/source.hpp"

namespace tow::source {
namespace {

// What a CGI program says before its body.
struct Head {
  int status = 200;
  http::Headers headers;
};

// Splits the head off the front of `text`; nothing while it is not all there.
std::optional<Head> take_head(std::string& text) {
  auto end = text.find("\r\n\r\n");
  std::size_t gap = 4;
  if (end == std::string::npos) {
    end = text.find("\n\n");
    gap = 2;
  }
  if (end == std::string::npos) return {};
  Head head;
  std::string_view rest{text.data(), end};
  while (!rest.empty()) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto name = line.substr(0, colon);
    auto value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "Status")
      std::from_chars(value.data(), value.data() + value.size(), head.status);
    else
      head.headers.add(name, value);
  }
  text.erase(0, end + gap);
  return head;
}

Task<> feed(http::Body& body, Child& child) {
  while (true) {
    const auto bytes = co_await body.read();
    if (bytes.empty()) break;
    co_await child.write(bytes);
  }
  child.close_input();
}

Command backend_command(const http::Request& request, const std::string& path_info) {
  Command command;
  command.argv = {"git", "http-backend"};
  command.env = {{"GIT_CONFIG_NOSYSTEM", "1"}, {"GIT_CONFIG_GLOBAL", "/dev/null"},
                 {"GIT_HTTP_EXPORT_ALL", "1"}, {"REQUEST_METHOD", request.method},
                 {"PATH_INFO", path_info},     {"REMOTE_ADDR", request.peer.address}};
  if (const auto question = request.target.find('?'); question != std::string::npos)
    command.env["QUERY_STRING"] = request.target.substr(question + 1);
  const auto forward = [&](std::string_view header, const char* variable) {
    if (const auto value = request.headers.get(header)) command.env[variable] = *value;
  };
  forward("Content-Type", "CONTENT_TYPE");
  forward("Content-Encoding", "HTTP_CONTENT_ENCODING");
  forward("Git-Protocol", "GIT_PROTOCOL");
  if (const auto size = request.body.size(); size && *size > 0)
    command.env["CONTENT_LENGTH"] = std::to_string(*size);
  return command;
}

}  // namespace

Task<> Source::serve_git(http::Request& request, http::Responder& responder) {
  const std::string project{request.param("project")};
  std::string name{request.param("repository")};
  if (name.ends_with(".git")) name.resize(name.size() - 4);
  const std::string rest{request.param("rest")};
  if (rest != "info/refs" && rest != "git-upload-pack" && rest != "git-receive-pack")
    throw fail(Code::NotFound, "git speaks its smart protocol here; {} is not a part of it", rest);

  api::Subject subject;
  std::optional<http::Response> refusal;
  try {
    subject = co_await settings_.gate.authenticate(request);
  } catch (const Error& error) {
    if (error.code() != Code::Unauthenticated) throw;
    refusal = http::problem(error);
  }
  if (refusal) {
    refusal->headers.set("WWW-Authenticate", "Basic realm=\"towpath\", charset=\"UTF-8\"");
    responder.send(std::move(*refusal));
    co_return;
  }
  const bool writes = rest == "git-receive-pack" || request.query.get("service") == "git-receive-pack";
  const Key target = key<Repository>(project, name);
  settings_.gate.authorize(subject, writes ? api::Permission::Deploy : api::Permission::Read, target);
  const auto repository = find(project, name);
  co_await ensure_home(repository);

  auto command = backend_command(request, "/" + home(repository).filename().string() + "/" + rest);
  command.env["GIT_PROJECT_ROOT"] = settings_.directory.string();
  command.env["REMOTE_USER"] = subject.name;
  command.env["TOWPATH_SOCKET"] = settings_.socket.string();
  command.env["TOWPATH_PROJECT"] = project;
  command.env["TOWPATH_REPOSITORY"] = name;
  // git itself says what is too large, in words that reach the pusher.
  command.env["GIT_CONFIG_COUNT"] = "1";
  command.env["GIT_CONFIG_KEY_0"] = "receive.maxInputSize";
  command.env["GIT_CONFIG_VALUE_0"] = std::to_string(settings_.push_limit().count);
  request.body.set_limit(std::nullopt);

  const auto child = co_await Child::start(std::move(command));
  co_await with_scope("git", [&](Scope& feeding) -> Task<> {
    feeding.spawn(feed(request.body, *child));
    std::string pending;
    http::Writer* writer = nullptr;
    while (true) {
      const auto bytes = co_await child->read();
      if (bytes.empty()) break;
      if (writer) {
        co_await writer->write(bytes);
        continue;
      }
      pending += bytes;
      if (auto head = take_head(pending)) {
        writer = &responder.begin(head->status, std::move(head->headers));
        if (!pending.empty()) co_await writer->write(pending);
      }
    }
    if (!writer) throw fail(Code::Internal, "git http-backend ended without an answer");
    co_await writer->finish();
  });
  co_await child->wait();
}

void Source::mount(http::Router& router) {
  router.add(
      "*", "/git/{project}/{repository}/{rest...}",
      [this](http::Request& request, http::Responder& responder) { return serve_git(request, responder); });
}

}  // namespace tow::source
