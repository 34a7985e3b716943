// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>

#include "cli/commands.hpp"
#include "cli/exit.hpp"
#include "http/problem.hpp"

namespace tow::cli {
namespace {

namespace asio = boost::asio;

// A pipe or a terminal is asked without blocking; its flags belong to everybody who has it open, our output
// and the shell included, so they are put back.
class KeptFlags {
 public:
  KeptFlags() : flags_{fcntl(STDIN_FILENO, F_GETFL)} {}
  ~KeptFlags() {
    if (flags_ >= 0) fcntl(STDIN_FILENO, F_SETFL, flags_);
  }
  KeptFlags(const KeptFlags&) = delete;

 private:
  int flags_;
};

// The terminal sends every key as it is, until this ends.
class RawMode {
 public:
  RawMode() {
    if (isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    cfmakeraw(&raw);
    active_ = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  }
  ~RawMode() {
    if (active_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawMode(const RawMode&) = delete;

 private:
  termios before_{};
  bool active_ = false;
};

winsize window() {
  winsize size{};
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size.ws_col = 80, size.ws_row = 24;
  return size;
}

void print(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
      pollfd ready{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      poll(&ready, 1, -1);
      continue;
    }
    if (written <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

Task<> send_control(http::WebSocket& socket, Node control) {
  const auto text = to_json(control);
  co_await socket.write(http::WebSocket::Kind::Text, text);
}

// A file is always ready, which the kernel's readiness interface does not want to hear of.
Task<> send_file(http::WebSocket& socket) {
  std::string buffer(32 << 10, '\0');
  while (true) {
    const auto size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    co_await socket.write(http::WebSocket::Kind::Binary,
                          std::string_view{buffer}.substr(0, static_cast<std::size_t>(size)));
  }
  co_await send_control(socket, Node::Map{{"close", true}});
}

Task<> send_input(http::WebSocket& socket, Executor executor) {
  struct stat about{};
  if (fstat(STDIN_FILENO, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)))
    co_return co_await send_file(socket);
  if (const char* name = ttyname(STDIN_FILENO); !name && S_ISCHR(about.st_mode))
    co_return co_await send_file(socket);  // /dev/null
  asio::posix::stream_descriptor input{executor, dup(STDIN_FILENO)};
  std::string buffer(4096, '\0');
  while (true) {
    boost::system::error_code error;
    const auto size = co_await input.async_read_some(asio::buffer(buffer),
                                                     asio::redirect_error(asio::use_awaitable, error));
    if (error || size == 0) break;
    co_await socket.write(http::WebSocket::Kind::Binary, std::string_view{buffer}.substr(0, size));
  }
  co_await send_control(socket, Node::Map{{"close", true}});
}

Task<> send_sizes(http::WebSocket& socket, Executor executor) {
  asio::signal_set changes{executor, SIGWINCH};
  while (true) {
    co_await changes.async_wait(asio::use_awaitable);
    const auto size = window();
    co_await send_control(
        socket, Node::Map{{"resize", Node::Map{{"columns", int{size.ws_col}}, {"rows", int{size.ws_row}}}}});
  }
}

Task<int> receive(http::WebSocket& socket) {
  while (auto message = co_await socket.read()) {
    if (message->kind == http::WebSocket::Kind::Binary) {
      print(message->data);
      continue;
    }
    const Node control = parse_json(message->data);
    if (const Node* code = control.find("exit"); code && code->integer())
      co_return static_cast<int>(*code->integer());
    if (const Node* problem = control.find("error")) {
      http::Response answer;
      answer.status = 500;
      answer.headers.set("Content-Type", "application/problem+json");
      answer.body = to_json(*problem);
      throw http::error_of(answer);
    }
  }
  throw fail(Code::Unavailable, "the connection to the server ended");
}

Task<int> attach(Context& context, std::string operation, std::string name, ExecInput input) {
  input.terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
  const auto size = window();
  input.columns = size.ws_col;
  input.rows = size.ws_row;
  const auto socket = co_await context.server().terminal(operation, context.project(), name, write(input));
  const auto executor = co_await asio::this_coro::executor;
  const KeptFlags flags;
  std::optional<RawMode> raw;
  if (input.terminal) raw.emplace();
  int code = kFailed;
  co_await with_scope("terminal", [&](Scope& sending) -> Task<> {
    sending.spawn(send_input(*socket, executor));
    if (input.terminal) sending.spawn(send_sizes(*socket, executor));
    code = co_await receive(*socket);
  });
  co_return code;
}

struct Arguments {
  std::string component;
  ExecInput input;
};

void add(CLI::App& app, Context& context, const char* name, const char* help, const char* operation,
         bool needs_command) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand(name, help);
  command->add_option("COMPONENT", a->component, "COMPONENT[.ENVIRONMENT]")->required();
  command->add_option("--instance", a->input.instance, "In which instance; else a ready one");
  if (!needs_command)
    command->add_option("-c,--container", a->input.container, "In which container of it; else the main one");
  command->add_option("CMD", a->input.command, "What runs, after --");
  command->callback([&context, a, operation, needs_command] {
    if (context.rest) a->input.command = *context.rest;
    if (needs_command && a->input.command.empty())
      throw CLI::ValidationError{"CMD", "say what runs, after --"};
    context.action = [&context, a, operation] {
      return attach(context, operation, context.deployment(a->component).text(), a->input);
    };
  });
}

}  // namespace

void add_terminals(CLI::App& app, Context& context) {
  add(app, context, "exec", "A shell, or a command, in a running instance", "deployments.exec", false);
  add(app, context, "run", "A one-off job beside a component, with its image and configuration",
      "deployments.run", true);
}

}  // namespace tow::cli
