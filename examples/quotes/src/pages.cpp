// SPDX-License-Identifier: Apache-2.0
#include "pages.hpp"

#include <charconv>
#include <optional>
#include <utility>

namespace quotes {
namespace {

constexpr auto kJson = "application/json";

std::string to_json(const Quote& quote) {
  return "{\"words\":" + json_string(quote.words) + ",\"source\":" + json_string(quote.source) + "}";
}

std::string to_json(const std::vector<Quote>& sayings) {
  std::string text = "[";
  for (const auto& quote : sayings) {
    if (text.size() > 1) text += ',';
    text += to_json(quote);
  }
  return text + "]";
}

std::optional<std::size_t> number_after(std::string_view prefix, std::string_view path) {
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  std::size_t number = 0;
  const auto [end, fault] = std::from_chars(path.data(), path.data() + path.size(), number);
  if (fault != std::errc{} || end != path.data() + path.size()) return std::nullopt;
  return number;
}

Response not_found(std::string_view path) {
  return {404, "text/plain; charset=utf-8", "there is nothing at " + std::string{path} + "\n"};
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char kDigits[] = "0123456789abcdef";
      result += "\\u00";
      result += kDigits[c >> 4];
      result += kDigits[c & 15];
    } else {
      result += c;
    }
  }
  return result + '"';
}

Handler pages(std::vector<Quote> sayings, Pick pick, std::string version) {
  const auto health = "{\"status\":\"ok\",\"version\":" + json_string(version) + "}";
  return [sayings = std::move(sayings), pick = std::move(pick), health](const Request& request) -> Response {
    if (request.method != "GET" && request.method != "HEAD") {
      return {405, "text/plain; charset=utf-8", "this service can only be read\n"};
    }
    if (request.path == "/healthz") return {200, kJson, health};
    if (request.path == "/quotes") return {200, kJson, to_json(sayings)};
    if (request.path == "/") {
      const auto& quote = sayings[pick(sayings.size())];
      return {200, "text/plain; charset=utf-8", quote.words + "  (" + quote.source + ")\n"};
    }
    const auto number = number_after("/quotes/", request.path);
    if (!number || *number < 1 || *number > sayings.size()) return not_found(request.path);
    return {200, kJson, to_json(sayings[*number - 1])};
  };
}

}  // namespace quotes
