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

// What the pusher sends, to git. Where git reads no more (a push over the limit), the rest is dropped: a git
// that pushes reads no answer before it has sent everything.
Task<> feed(http::Body& body, Child& child) {
  bool reads = true;
  while (true) {
    const auto bytes = co_await body.read();
    if (bytes.empty()) break;
    if (!reads) continue;
    try {
      co_await child.write(bytes);
    } catch (const Error& error) {
      if (error.code() != Code::Unavailable) throw;
      reads = false;
    }
  }
  child.close_input();
}

Task<> send_answer(Child& child, http::Responder& responder, http::Writer*& writer) {
  std::string pending;
  while (true) {
    const auto bytes = co_await child.read();
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
}

// What git says to the server's operator; read in any case, or it would wait to be heard.
Task<> note_errors(Child& child) {
  std::string said;
  while (true) {
    const auto bytes = co_await child.read(Stream::Err);
    if (bytes.empty()) break;
    if (said.size() < 2000) said += bytes;
  }
  if (!said.empty()) log::debug("git", "{}", said);
}

// Both ways at once, until git has said all and the other side has sent all.
Task<> exchange(http::Request& request, http::Responder& responder, Child& child) {
  http::Writer* writer = nullptr;
  bool answered = false;
  std::exception_ptr broken;  // what the other side sent, before git was done
  co_await with_scope("git", [&](Scope& scope) -> Task<> {
    scope.spawn(note_errors(child));
    scope.spawn([&]() -> Task<> {
      try {
        co_await feed(request.body, child);
      } catch (...) {
        if (!answered) broken = std::current_exception();
        child.close_input();
      }
    });
    co_await send_answer(child, responder, writer);
    answered = true;
    co_await scope.join();
    if (broken) std::rethrow_exception(broken);
    if (!writer) throw fail(Code::Internal, "git http-backend ended without an answer");
    co_await writer->finish();
  });
}

// A git whose pusher is gone: with the end of its input, what it has whole it stores and tells of, and what
// it has not it forgets. Killed at once, it would leave locks behind.
Task<> let_end(Child& child) {
  constexpr Duration kPatience = std::chrono::seconds{30};
  child.close_input();
  Signal ended;
  co_await with_scope("git ends", [&](Scope& scope) -> Task<> {
    scope.spawn([&]() -> Task<> {
      while (!(co_await child.read()).empty());
      ended.notify();
    });
    co_await ended.wait_for(kPatience);
  });
}

// "git-upload-pack" or "git-receive-pack", which a request is about. Throws what it is refused with.
std::string service_of(const http::Request& request, const std::string& rest) {
  const bool lists = rest == "info/refs";
  if (!lists && rest != "git-upload-pack" && rest != "git-receive-pack")
    throw fail(Code::NotFound, "git speaks its smart protocol here; {} is not a part of it", rest);
  if (request.method != (lists ? "GET" : "POST"))
    throw http::StatusError(405, Code::Invalid, fmt::format("{} is for {}", rest, lists ? "GET" : "POST"));
  if (!lists) return rest;
  const auto asked = request.query.all("service");
  if (asked.size() == 1 && (asked[0] == "git-upload-pack" || asked[0] == "git-receive-pack"))
    return std::string{asked[0]};
  throw fail(Code::Denied,
             "git speaks its smart protocol here: ?service=git-upload-pack or git-receive-pack");
}

Command backend_command(const http::Request& request, const std::string& path_info) {
  Command command;
  command.argv = {"git", "http-backend"};
  command.env = {{"GIT_CONFIG_NOSYSTEM", "1"}, {"GIT_CONFIG_GLOBAL", "/dev/null"},
                 {"GIT_HTTP_EXPORT_ALL", "1"}, {"REQUEST_METHOD", request.method},
                 {"PATH_INFO", path_info},     {"REMOTE_ADDR", request.peer.address}};
  const auto forward = [&](std::string_view header, const char* variable) {
    if (const auto value = request.headers.get(header)) command.env[variable] = *value;
  };
  forward("Content-Type", "CONTENT_TYPE");
  forward("Content-Encoding", "HTTP_CONTENT_ENCODING");
  forward("Git-Protocol", "GIT_PROTOCOL");
  // No CONTENT_LENGTH: git http-backend, told a length, turns forever when less comes. The end of its input
  // says as much.
  return command;
}

}  // namespace

Task<> Source::serve_git(http::Request& request, http::Responder& responder) {
  const std::string project{request.param("project")};
  std::string name{request.param("repository")};
  if (name.ends_with(".git")) name.resize(name.size() - 4);
  const std::string rest{request.param("rest")};
  const auto service = service_of(request, rest);

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
  const bool writes = service == "git-receive-pack";
  const Key target = key<Repository>(project, name);
  settings_.gate.authorize(subject, writes ? api::Permission::Deploy : api::Permission::Read, target);
  const auto repository = find(project, name);
  co_await ensure_home(repository);

  auto command = backend_command(request, "/" + home(repository).filename().string() + "/" + rest);
  if (rest != service) command.env["QUERY_STRING"] = "service=" + service;
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

  command.own_session = true;  // git is several processes, which end together
  const auto child = co_await Child::start(std::move(command));
  std::exception_ptr failure;
  try {
    co_await exchange(request, responder, *child);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await while_cleaning_up();
    co_await let_end(*child);
    // Its hook may have had nobody to speak through any more.
    if (writes && rest == service) co_await record_refs(repository, subject.name);
    std::rethrow_exception(failure);
  }
  co_await child->wait();
}

void Source::mount(http::Router& router) {
  router.add(
      "*", "/git/{project}/{repository}/{rest...}",
      [this](http::Request& request, http::Responder& responder) { return serve_git(request, responder); });
}

}  // namespace tow::source
