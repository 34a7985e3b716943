// SPDX-License-Identifier: Apache-2.0
#include "base/error.hpp"

#include <cerrno>
#include <cstring>

namespace tow {

std::string_view name(Code code) {
  switch (code) {
    case Code::Invalid:
      return "invalid";
    case Code::Unsupported:
      return "unsupported";
    case Code::NotFound:
      return "not-found";
    case Code::AlreadyExists:
      return "already-exists";
    case Code::Conflict:
      return "conflict";
    case Code::FailedPrecondition:
      return "failed-precondition";
    case Code::Unauthenticated:
      return "unauthenticated";
    case Code::Denied:
      return "denied";
    case Code::Exhausted:
      return "exhausted";
    case Code::Unavailable:
      return "unavailable";
    case Code::Timeout:
      return "timeout";
    case Code::Cancelled:
      return "cancelled";
    case Code::Internal:
      return "internal";
  }
  return "internal";
}

bool is_permanent(Code code) {
  return code == Code::Invalid || code == Code::Unsupported || code == Code::NotFound ||
         code == Code::FailedPrecondition;
}

std::string describe(const Fault& fault, std::string_view file) {
  std::string text;
  if (!file.empty()) text = file;
  if (fault.at.line > 0)
    text += fmt::format("{}{}:{}", file.empty() ? "" : ":", fault.at.line, fault.at.column);
  if (!text.empty()) text += "  ";
  if (!fault.path.empty()) text += fault.path + ": ";
  return text + fault.message;
}

Error system_error(std::string_view what, int number) {
  Code code = Code::Internal;
  if (number == ENOSPC || number == EDQUOT || number == EMFILE || number == ENFILE || number == ENOMEM)
    code = Code::Exhausted;
  if (number == ENOENT) code = Code::NotFound;
  if (number == ECONNREFUSED || number == ECONNRESET || number == EPIPE) code = Code::Unavailable;
  return Error{code, fmt::format("{}: {}", what, std::strerror(number))};
}

std::string describe(const std::exception_ptr& error) {
  if (!error) return {};
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception of an unknown type";
  }
}

}  // namespace tow
