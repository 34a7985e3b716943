// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/console.hpp"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <iterator>
#include <memory>
#include <span>

#include "base/error.hpp"

namespace tow::route::haproxy {
namespace asio = boost::asio;
namespace {

constexpr Duration kDeadline = std::chrono::seconds{10};
// So many bytes fit into a socket's buffers whole: nobody waits for the other while both write.
constexpr std::size_t kBatchBytes = 8 * 1024;

using Socket = asio::local::stream_protocol::socket;

std::vector<std::span<std::string>> batches(std::vector<std::string>& commands) {
  std::vector<std::span<std::string>> out;
  std::size_t begin = 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (bytes > 0 && bytes + commands[i].size() > kBatchBytes) {
      out.emplace_back(commands.data() + begin, i - begin);
      begin = i;
      bytes = 0;
    }
    bytes += commands[i].size() + 1;
  }
  out.emplace_back(commands.data() + begin, commands.size() - begin);
  return out;
}

std::string conversation(int pid, std::span<const std::string> commands) {
  std::string out = "prompt\nshow proc\n";
  if (pid != 0) fmt::format_to(std::back_inserter(out), "@!{}\n", pid);
  for (const std::string& command : commands) {
    out += command;
    out += '\n';
  }
  return out;
}

}  // namespace

Task<std::string> Console::converse(std::string text) {
  const auto executor = co_await asio::this_coro::executor;
  auto socket = std::make_shared<Socket>(executor);
  boost::system::error_code failed;
  co_await socket->async_connect(asio::local::stream_protocol::endpoint{socket_.string()},
                                 asio::redirect_error(asio::use_awaitable, failed));
  if (failed) {
    throw fail(Code::Unavailable, "HAProxy does not listen on {}: {}", socket_.string(), failed.message());
  }
  const auto late = std::make_shared<bool>(false);  // the timer's handler may outlive this call
  asio::steady_timer deadline{executor, kDeadline};
  deadline.async_wait([socket, late](boost::system::error_code ended) {
    if (ended) return;
    *late = true;
    socket->cancel(ended);
  });
  co_await asio::async_write(*socket, asio::buffer(text), asio::redirect_error(asio::use_awaitable, failed));
  // The end of what we say lets HAProxy close after its last answer.
  boost::system::error_code ignored;
  socket->shutdown(Socket::shutdown_send, ignored);
  std::string heard;
  co_await asio::async_read(*socket, asio::dynamic_buffer(heard), asio::transfer_all(),
                            asio::redirect_error(asio::use_awaitable, failed));
  deadline.cancel();
  if (*late) throw fail(Code::Unavailable, "HAProxy gave no answer on {} in time", socket_.string());
  if (failed == asio::error::operation_aborted) throw Error{Code::Cancelled, "the question was given up"};
  co_return heard;
}

Task<Console::Heard> Console::ask_with_processes(int pid, std::vector<std::string> commands) {
  Heard out;
  for (const std::span<std::string> batch : batches(commands)) {
    const std::string heard = co_await converse(conversation(pid, batch));
    std::vector<std::string> said = answers(heard);
    if (said.empty()) throw fail(Code::Unavailable, "HAProxy ended the conversation on {}", socket_.string());
    out.processes = haproxy::processes(said.front());
    // Behind the list of processes stands one empty answer of the command that chose the worker.
    const std::size_t skipped = pid == 0 ? 1 : 2;
    for (std::size_t i = skipped; i < said.size(); ++i) out.answers.push_back(std::move(said[i]));
    if (said.size() < skipped + batch.size()) break;
  }
  co_return out;
}

Task<std::vector<std::string>> Console::ask(int pid, std::vector<std::string> commands) {
  Heard heard = co_await ask_with_processes(pid, std::move(commands));
  co_return std::move(heard.answers);
}

Task<std::optional<Processes>> Console::processes() {
  try {
    const Heard heard = co_await ask_with_processes(0, {});
    co_return heard.processes;
  } catch (const Error& error) {
    if (error.code() != Code::Unavailable) throw;
    co_return std::nullopt;
  }
}

Task<> Console::reload() { co_await converse("reload\n"); }

}  // namespace tow::route::haproxy
