// SPDX-License-Identifier: Apache-2.0
#include "http/websocket.hpp"

#include <sys/socket.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "base/error.hpp"
#include "http/problem.hpp"

namespace tow::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ws = boost::beast::websocket;
using boost::system::error_code;

namespace {

beast::string_view view(std::string_view text) { return {text.data(), text.size()}; }

template <class Next>
class WebSocketOf final : public WebSocket {
 public:
  template <class Stream>
  WebSocketOf(Stream&& stream, beast::role_type role, const WebSocketSettings& settings)
      : stream_{std::forward<Stream>(stream)}, role_{role} {
    stream_.set_option(ws::stream_base::timeout{.handshake_timeout = std::chrono::seconds{5},
                                                .idle_timeout = std::chrono::seconds{60},
                                                .keep_alive_pings = true});
    stream_.read_message_max(settings.message_limit);
    stream_.auto_fragment(false);
  }

  ~WebSocketOf() override {
    auto& socket = beast::get_lowest_layer(stream_);
    if (!closed_ && !broken_ && !writing_ && role_ == beast::role_type::server) {
      // Goodbye (1001, going away), as far as that needs no waiting: a client then knows that it may come
      // back.
      constexpr std::string_view frame{"\x88\x02\x03\xe9", 4};
      [[maybe_unused]] const auto sent =
          ::send(socket.native_handle(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    error_code ignored;
    socket.close(ignored);  // Beast's timers may keep the rest alive for a while
  }

  Task<std::optional<Message>> read() override {
    if (closed_) co_return std::nullopt;
    error_code error;
    co_await stream_.async_read(buffer_, asio::redirect_error(asio::use_awaitable, error));
    // A goodbye counts even where the other side did not wait for ours.
    if (error && stream_.reason().code != ws::close_code::none) {
      closed_ = true;
      co_return std::nullopt;
    }
    if (error) throw failure(error);
    Message message{stream_.got_text() ? Kind::Text : Kind::Binary,
                    std::string(static_cast<const char*>(buffer_.data().data()), buffer_.size())};
    buffer_.consume(buffer_.size());
    co_return message;
  }

  Task<> write(Kind kind, std::string_view data) override {
    stream_.binary(kind == Kind::Binary);
    error_code error;
    writing_ = true;
    co_await stream_.async_write(asio::buffer(data.data(), data.size()),
                                 asio::redirect_error(asio::use_awaitable, error));
    if (error) throw failure(error);
    writing_ = false;
  }

  Task<> ping() override {
    error_code error;
    co_await stream_.async_ping({}, asio::redirect_error(asio::use_awaitable, error));
    if (error) throw failure(error);
  }

  Task<> close(std::uint16_t code, std::string_view reason) override {
    if (closed_) co_return;
    closed_ = true;
    error_code ignored;
    const ws::close_reason why{static_cast<ws::close_code>(code), view(reason.substr(0, 120))};
    co_await stream_.async_close(why, asio::redirect_error(asio::use_awaitable, ignored));
  }

  std::uint16_t close_code() const override {
    const auto code = stream_.reason().code;
    return code == ws::close_code::none ? 1005 : static_cast<std::uint16_t>(code);
  }

  ws::stream<Next>& stream() { return stream_; }

 private:
  Error failure(const error_code& error) {
    broken_ = error != asio::error::operation_aborted;
    if (error == ws::error::message_too_big || error == ws::error::buffer_overflow)
      return fail(Code::Exhausted, "a WebSocket message is larger than {} bytes", stream_.read_message_max());
    if (error == ws::condition::protocol_violation)
      return fail(Code::Invalid, "the other side broke the WebSocket protocol: {}", error.message());
    if (error == asio::error::operation_aborted || role_ == beast::role_type::server)
      return fail(Code::Cancelled, "the WebSocket is gone: {}", error.message());
    return fail(Code::Unavailable, "the WebSocket is gone: {}", error.message());
  }

  ws::stream<Next> stream_;
  const beast::role_type role_;
  beast::flat_buffer buffer_;
  bool closed_ = false;
  bool broken_ = false;
  bool writing_ = false;
};

template <class Next, class Stream>
Task<std::unique_ptr<WebSocket>> connect(Stream stream, std::string host, std::string target, Headers headers,
                                         WebSocketSettings settings) {
  auto socket = [&] {
    if constexpr (std::is_same_v<Stream, Next>)
      return std::make_unique<WebSocketOf<Next>>(std::move(stream), beast::role_type::client, settings);
    else
      return std::make_unique<WebSocketOf<Next>>(std::move(*stream), beast::role_type::client, settings);
  }();
  if (!settings.protocol.empty()) headers.set("Sec-WebSocket-Protocol", settings.protocol);
  socket->stream().set_option(ws::stream_base::decorator([headers](ws::request_type& request) {
    for (const auto field : headers) request.insert(view(field.name), view(field.value));
  }));
  ws::response_type response;
  error_code error;
  co_await socket->stream().async_handshake(response, host, target,
                                            asio::redirect_error(asio::use_awaitable, error));
  if (error == ws::error::upgrade_declined) {
    Response refusal{
        .status = static_cast<int>(response.result_int()), .headers = {}, .body = response.body()};
    if (const auto type = response[beast::http::field::content_type]; !type.empty())
      refusal.headers.set("Content-Type", {type.data(), type.size()});
    throw error_of(refusal);
  }
  if (error == asio::error::operation_aborted) throw Error{Code::Cancelled, "cancelled"};
  if (error) throw fail(Code::Unavailable, "no WebSocket at {}{}: {}", host, target, error.message());
  co_return std::unique_ptr<WebSocket>{std::move(socket)};
}

}  // namespace

Task<std::unique_ptr<WebSocket>> accept_websocket(Socket socket, const Request& request,
                                                  WebSocketSettings settings) {
  auto opened = std::make_unique<WebSocketOf<Socket>>(std::move(socket), beast::role_type::server, settings);
  beast::http::request<beast::http::empty_body> asked{beast::http::verb::get, view(request.target), 11};
  for (const std::string_view name :
       {"Host", "Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"})
    asked.set(view(name), view(request.headers.get(name).value_or("")));
  if (!settings.protocol.empty() && request.headers.has_token("Sec-WebSocket-Protocol", settings.protocol))
    opened->stream().set_option(ws::stream_base::decorator([&settings](ws::response_type& response) {
      response.set(beast::http::field::sec_websocket_protocol, view(settings.protocol));
    }));
  error_code error;
  co_await opened->stream().async_accept(asked, asio::redirect_error(asio::use_awaitable, error));
  if (error) throw fail(Code::Cancelled, "the WebSocket was not opened: {}", error.message());
  co_return std::unique_ptr<WebSocket>{std::move(opened)};
}

Task<std::unique_ptr<WebSocket>> connect_websocket(Socket socket, std::string host, std::string target,
                                                   Headers headers, WebSocketSettings settings) {
  return connect<Socket>(std::move(socket), std::move(host), std::move(target), std::move(headers),
                         std::move(settings));
}

Task<std::unique_ptr<WebSocket>> connect_websocket(std::unique_ptr<asio::ssl::stream<Socket>> stream,
                                                   std::string host, std::string target, Headers headers,
                                                   WebSocketSettings settings) {
  return connect<asio::ssl::stream<Socket>>(std::move(stream), std::move(host), std::move(target),
                                            std::move(headers), std::move(settings));
}

}  // namespace tow::http
