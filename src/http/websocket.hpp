// SPDX-License-Identifier: Apache-2.0
#pragma once
// WebSockets over Beast. Private to this folder, and only for .cpp files.

#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>
#include <string>

#include "http/http.hpp"

namespace boost::asio::ssl {
template <class Next>
class stream;
}

namespace tow::http {

using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, Executor>;

/// The server's side of the handshake: `request` has asked for it.
Task<std::unique_ptr<WebSocket>> accept_websocket(Socket socket, const Request& request,
                                                  WebSocketSettings settings);

/// The client's side. Throws the error that a refusal states.
Task<std::unique_ptr<WebSocket>> connect_websocket(Socket socket, std::string host, std::string target,
                                                   Headers headers, WebSocketSettings settings);
Task<std::unique_ptr<WebSocket>> connect_websocket(std::unique_ptr<boost::asio::ssl::stream<Socket>> stream,
                                                   std::string host, std::string target, Headers headers,
                                                   WebSocketSettings settings);

}  // namespace tow::http
