// SPDX-License-Identifier: Apache-2.0
#include "http/parser.hpp"

#include <algorithm>
#include <boost/beast/http/error.hpp>

#include "base/error.hpp"
#include "http/text.hpp"

namespace tow::http {
namespace {

namespace beast = boost::beast;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// Whether the decoded path is the raw one: the common case, which then costs one pass.
bool is_plain(std::string_view raw) {
  if (!raw.starts_with('/')) return false;
  for (std::size_t i = 0; i < raw.size(); ++i)
    if (raw[i] == '%' || (raw[i] == '/' && i + 1 < raw.size() && (raw[i + 1] == '/' || raw[i + 1] == '.')))
      return false;
  return true;
}

}  // namespace

void RequestParser::refuse(Ec ec, int status, std::string why) {
  refusal_ = {status, std::move(why)};
  ec = beast::http::error::bad_value;
}

RequestParser::Refusal RequestParser::refusal(const boost::system::error_code& error) const {
  if (refusal_) return *refusal_;
  if (error == beast::http::error::bad_version) return {505, "only HTTP/1.1 and HTTP/1.0 are spoken here"};
  return {400, "the request is not HTTP: " + error.message()};
}

void RequestParser::on_request_impl(beast::http::verb, Text method, Text target, int version, Ec ec) {
  version_ = version;
  request_.method.assign(method.data(), method.size());
  request_.target.assign(target.data(), target.size());
  const auto parts = split_target(request_.target);
  if (!parts) return refuse(ec, 400, "the target is not valid");
  if (parts->path == "*" && request_.method != "OPTIONS")
    return refuse(ec, 400, "\"*\" is a target of OPTIONS only");
  if (is_plain(parts->path)) {
    request_.path.assign(parts->path);
  } else if (auto path = decode_path(parts->path)) {
    request_.path = std::move(*path);
  } else {
    return refuse(ec, 400, "the path is not valid: it must be percent-encoded UTF-8 without dot segments");
  }
  if (parts->query.empty()) {
    request_.query = {};
  } else {
    try {
      request_.query = Query{parts->query};
    } catch (const Error& error) {
      return refuse(ec, 400, error.message());
    }
  }
  if (!parts->authority.empty()) {  // the target says which host is meant, whatever Host says
    authority_ = parts->authority;
    const auto path_at =
        static_cast<std::size_t>(parts->authority.data() + parts->authority.size() - request_.target.data());
    request_.target.erase(0, path_at);
    if (!request_.target.starts_with('/')) request_.target.insert(0, "/");
  }
}

void RequestParser::on_field_impl(beast::http::field name, Text name_text, Text value, Ec ec) {
  if (header_done_) return;  // trailers are read and dropped: nobody may be talked into believing them
  const auto text = trim(view(value));
  switch (name) {
    case beast::http::field::content_length:
      // Two lengths, or a list of them, is how requests are smuggled past a proxy that reads another one.
      if (std::exchange(has_length_, true)) return refuse(ec, 400, "Content-Length is given twice");
      if (text.empty() || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
        return refuse(ec, 400, "Content-Length is not a number");
      break;
    case beast::http::field::transfer_encoding:
      if (std::exchange(has_coding_, true)) return refuse(ec, 400, "Transfer-Encoding is given twice");
      if (!equal_without_case(text, "chunked"))
        return refuse(ec, 501, "of the transfer encodings only chunked is supported");
      if (!http11()) return refuse(ec, 400, "HTTP/1.0 has no Transfer-Encoding");
      break;
    case beast::http::field::host:
      if (std::exchange(has_host_, true)) return refuse(ec, 400, "Host is given twice");
      break;
    case beast::http::field::expect:
      if (!equal_without_case(text, "100-continue"))
        return refuse(ec, 417, "of expectations only 100-continue is met");
      expects_continue_ = http11();
      break;
    default:
      break;
  }
  if (!is_field_value(text)) return refuse(ec, 400, "a header field has a control character");
  request_.headers.append(view(name_text), text);
}

void RequestParser::on_header_impl(Ec ec) {
  header_done_ = true;
  if (has_length_ && has_coding_)
    return refuse(ec, 400, "Content-Length and Transfer-Encoding exclude each other");
  if (http11() && !has_host_) return refuse(ec, 400, "HTTP/1.1 requests name their Host");
  if (!authority_.empty()) request_.headers.set("Host", authority_);
}

}  // namespace tow::http
