// SPDX-License-Identifier: Apache-2.0
#pragma once
// As much of HTTP/1.1 as a service needs that answers GET and HEAD. No sockets here.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace quotes {

struct Request {
  std::string method;
  std::string path;  // without the query
  bool keep_alive = true;
  bool has_body = false;  // announced by the client; this server never reads one
};

struct Response {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

using Handler = std::function<Response(const Request&)>;

inline constexpr std::size_t kLargestHead = 8 * 1024;

enum class Parsed { Complete, Incomplete, Bad, TooLarge };

struct ParseResult {
  Parsed state;
  Request request{};     // when Complete
  std::size_t used = 0;  // bytes of the input that belong to it, when Complete
};

// Parses the head of one request at the beginning of `input`.
ParseResult parse_request(std::string_view input);

// The bytes of an answer. For HEAD the body is left out and its length kept.
std::string render(const Response& response, bool head_only, bool keep_alive);

}  // namespace quotes
