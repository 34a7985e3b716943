// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one place where tow::Code meets HTTP: statuses, and problem details (RFC 9457) with the members
// type, title, status, detail, code, and, where there are, faults [{path, line, column, message}] and id.

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "http/http.hpp"

namespace tow::http {

int status_of(Code code);
/// The nearest code for a status that came without a problem document.
Code code_of(int status);

/// An error that is HTTP's own, and has a status that no code stands for (405, 413, 431).
class StatusError : public Error {
 public:
  StatusError(int status, Code code, std::string message)
      : Error{code, std::move(message)}, status_{status} {}
  int status() const { return status_; }

 private:
  int status_;
};

/// The response that states an error. For Code::Internal the message stays out of it.
Response problem(const Error& error);
/// The same under a status of its own.
Response problem(int status, std::string_view detail);
/// For whatever a handler threw. Errors of code Internal and foreign exceptions are logged under `what` with
/// an id, and the response carries that id alone.
Response problem(const std::exception_ptr& error, std::string_view what);

/// The way back, in a client: the error that a reply states.
Error error_of(const Response& response);

}  // namespace tow::http
