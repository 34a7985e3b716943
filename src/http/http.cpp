// SPDX-License-Identifier: Apache-2.0
#include "http/http.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "http/text.hpp"

namespace tow::http {

Headers::Headers(std::initializer_list<Field> fields) {
  for (const auto& field : fields) add(field.name, field.value);
}

void Headers::append(std::string_view name, std::string_view value) {
  spans_.push_back({static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(name.size()),
                    static_cast<std::uint32_t>(value.size())});
  text_.append(name).append(value);
}

void Headers::add(std::string_view name, std::string_view value) {
  if (!is_token(name)) throw fail(Code::Invalid, "\"{}\" is not the name of a header field", printable(name));
  if (!is_field_value(value))
    throw fail(Code::Invalid, "the value of the header field {} has a control character", name);
  append(name, value);
}

void Headers::set(std::string_view name, std::string_view value) {
  const std::string kept_name{name}, kept_value{value};  // either may point into this object
  remove(kept_name);
  add(kept_name, kept_value);
}

void Headers::remove(std::string_view name) {
  const std::string kept{name};
  std::erase_if(spans_, [&](const Span& span) {
    return equal_without_case(std::string_view{text_}.substr(span.name, span.name_size), kept);
  });
}

void Headers::clear() {
  text_.clear();
  spans_.clear();
}

Headers::Field Headers::operator[](std::size_t index) const {
  const auto& span = spans_[index];
  const std::string_view text{text_};
  return {text.substr(span.name, span.name_size), text.substr(span.name + span.name_size, span.value_size)};
}

Headers::Iterator Headers::begin() const { return {*this, 0}; }
Headers::Iterator Headers::end() const { return {*this, spans_.size()}; }

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const auto field : *this)
    if (equal_without_case(field.name, name)) return field.value;
  return {};
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto field : *this)
    if (equal_without_case(field.name, name)) values.push_back(field.value);
  return values;
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
  for (const auto field : *this)
    if (equal_without_case(field.name, name) && list_has(field.value, token)) return true;
  return false;
}

Query::Query(std::string_view raw) {
  while (!raw.empty()) {
    const auto part = raw.substr(0, raw.find('&'));
    raw.remove_prefix(std::min(raw.size(), part.size() + 1));
    if (part.empty()) continue;
    const auto equals = part.find('=');
    const auto name = decode_form(part.substr(0, equals));
    const auto value =
        decode_form(equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1));
    if (!name || !value)
      throw fail(Code::Invalid, "the query part \"{}\" is not percent-encoded UTF-8", printable(part));
    pairs_.emplace_back(*name, *value);
  }
}

std::optional<std::string_view> Query::get(std::string_view name) const {
  for (const auto& [key, value] : pairs_)
    if (key == name) return value;
  return {};
}

std::vector<std::string_view> Query::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : pairs_)
    if (key == name) values.push_back(value);
  return values;
}

Task<std::string> Body::all(std::size_t limit) {
  if (size().value_or(0) > limit) throw fail(Code::Exhausted, "the body is larger than {} bytes", limit);
  std::string text;
  for (;;) {
    auto bytes = co_await read();
    if (bytes.empty()) co_return text;
    if (text.size() + bytes.size() > limit)
      throw fail(Code::Exhausted, "the body is larger than {} bytes", limit);
    if (text.empty())
      text = std::move(bytes);
    else
      text += bytes;
  }
}

Task<std::string> Body::all() { return all(static_cast<std::size_t>(-1)); }

std::string_view Request::param(std::string_view name) const {
  for (const auto& [key, value] : params)
    if (key == name) return value;
  std::terminate();
}

Response Response::text(std::string body, int status) {
  return {
      .status = status, .headers = {{"Content-Type", "text/plain; charset=utf-8"}}, .body = std::move(body)};
}

Response Response::json(std::string body, int status) {
  return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(body)};
}

Task<> Events::send(std::string_view id, std::string_view event, std::string_view data) {
  const auto text = encode(id, event, data);
  co_await write(text);
}

std::string Events::encode(std::string_view id, std::string_view event, std::string_view data) {
  std::string text;
  text.reserve(id.size() + event.size() + data.size() + 32);
  const auto line = [&](std::string_view name, std::string_view value) {
    text.append(name);
    for (const char c : value) text += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
    text += '\n';
  };
  if (!id.empty()) line("id: ", id);
  if (!event.empty()) line("event: ", event);
  for (;;) {
    const auto end = data.find_first_of("\r\n");
    text.append("data: ").append(data.substr(0, end)) += '\n';
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  return text += '\n';
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

}  // namespace tow::http
