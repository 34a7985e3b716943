// SPDX-License-Identifier: Apache-2.0
#include "http/problem.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <ranges>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/node.hpp"

namespace tow::http {
namespace {

constexpr std::array kCodes = {Code::Invalid,         Code::Unsupported, Code::NotFound,
                               Code::AlreadyExists,   Code::Conflict,    Code::FailedPrecondition,
                               Code::Unauthenticated, Code::Denied,      Code::Exhausted,
                               Code::Unavailable,     Code::Timeout,     Code::Cancelled,
                               Code::Internal};

// What was wrong may be as large as what was sent; the answer quotes no more of it than a person reads.
constexpr std::size_t kMostText = 8 << 10;
constexpr std::size_t kMostFaults = 100;
std::string clipped(std::string_view text) {
  if (text.size() <= kMostText) return std::string{text};
  auto end = kMostText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // whole characters
  return std::string{text.substr(0, end)} + "…";
}

Response write(int status, Code code, std::string_view detail, const std::vector<Fault>& faults = {},
               std::string_view id = {}) {
  Node document;
  document.set("type", "about:blank");
  document.set("title", reason_phrase(status));
  document.set("status", status);
  document.set("detail", clipped(detail));
  document.set("code", name(code));
  if (!faults.empty()) {
    Node::List list;
    for (const auto& fault : faults | std::views::take(kMostFaults)) {
      Node entry;
      entry.set("path", clipped(fault.path));
      if (fault.at.line > 0) {
        entry.set("line", fault.at.line);
        entry.set("column", fault.at.column);
      }
      entry.set("message", clipped(fault.message));
      if (fault.unsupported) entry.set("unsupported", true);
      list.push_back(std::move(entry));
    }
    if (faults.size() > kMostFaults) {
      Node more;
      more.set("path", "");
      more.set("message", fmt::format("and {} more", faults.size() - kMostFaults));
      list.push_back(std::move(more));
    }
    document.set("faults", std::move(list));
  }
  if (!id.empty()) document.set("id", id);
  return {
      .status = status, .headers = {{"Content-Type", "application/problem+json"}}, .body = to_json(document)};
}

Response internal(std::string_view message, std::string_view what) {
  const auto id = new_uid();
  log::error("http", "{}: {} (id {})", what, message, id);
  return write(500, Code::Internal, "an internal error; the log has it under this id", {}, id);
}

std::string text_of(const Node& document, std::string_view key) {
  const auto* value = document.find(key);
  return value && value->string() ? *value->string() : std::string{};
}

int number_of(const Node& document, std::string_view key) {
  const auto* value = document.find(key);
  return value && value->integer() ? static_cast<int>(*value->integer()) : 0;
}

std::vector<Fault> faults_of(const Node& document) {
  std::vector<Fault> faults;
  const auto* list = document.find("faults");
  if (!list || !list->list()) return faults;
  for (const auto& entry : *list->list()) {
    const auto* unsupported = entry.find("unsupported");
    faults.push_back({.path = text_of(entry, "path"),
                      .at = {number_of(entry, "line"), number_of(entry, "column")},
                      .message = text_of(entry, "message"),
                      .unsupported = unsupported && unsupported->boolean() && *unsupported->boolean()});
  }
  return faults;
}

}  // namespace

int status_of(Code code) {
  switch (code) {
    case Code::Invalid:
      return 400;
    case Code::Unsupported:
      return 501;
    case Code::NotFound:
      return 404;
    case Code::AlreadyExists:
      return 409;
    case Code::Conflict:
      return 409;
    case Code::FailedPrecondition:
      return 412;
    case Code::Unauthenticated:
      return 401;
    case Code::Denied:
      return 403;
    case Code::Exhausted:
      return 507;
    case Code::Unavailable:
      return 503;
    case Code::Timeout:
      return 504;
    case Code::Cancelled:
      return 503;
    case Code::Internal:
      return 500;
  }
  return 500;
}

Code code_of(int status) {
  switch (status) {
    case 401:
      return Code::Unauthenticated;
    case 403:
      return Code::Denied;
    case 404:
    case 410:
      return Code::NotFound;
    case 408:
    case 504:
      return Code::Timeout;
    case 409:
      return Code::Conflict;
    case 412:
    case 426:
    case 428:
      return Code::FailedPrecondition;
    case 413:
    case 429:
    case 431:
    case 507:
      return Code::Exhausted;
    case 501:
      return Code::Unsupported;
    case 502:
    case 503:
      return Code::Unavailable;
    default:
      return status >= 500 ? Code::Internal : Code::Invalid;
  }
}

Response problem(const Error& error) {
  if (const auto* own = dynamic_cast<const StatusError*>(&error))
    return write(own->status(), own->code(), own->message(), own->faults());
  if (error.code() == Code::Internal) return internal(error.message(), "request");
  return write(status_of(error.code()), error.code(), error.message(), error.faults());
}

Response problem(int status, std::string_view detail) { return write(status, code_of(status), detail); }

Response problem(const std::exception_ptr& error, std::string_view what) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    if (e.code() == Code::Internal) return internal(e.message(), what);
    return problem(e);
  } catch (const boost::system::system_error& e) {
    if (e.code() == boost::asio::error::operation_aborted)
      return write(503, Code::Cancelled, "the request was cancelled");
    return internal(e.what(), what);
  } catch (...) {
    return internal(describe(error), what);
  }
}

Error error_of(const Response& response) {
  const auto plain = [&] {
    return fail(code_of(response.status), "the server answered {} {}", response.status,
                reason_phrase(response.status));
  };
  const auto type = response.headers.get("Content-Type").value_or("");
  if (!type.starts_with("application/problem+json")) return plain();
  try {
    const auto document = parse_json(response.body);
    auto code = code_of(response.status);
    const auto stated = text_of(document, "code");
    for (const auto candidate : kCodes)
      if (name(candidate) == stated) code = candidate;
    auto detail = text_of(document, "detail");
    if (const auto id = text_of(document, "id"); !id.empty()) detail += fmt::format(" ({})", id);
    if (detail.empty()) return plain();
    return Error{code, std::move(detail), faults_of(document)};
  } catch (const Error&) {
    return plain();
  }
}

}  // namespace tow::http
