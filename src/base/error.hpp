// SPDX-License-Identifier: Apache-2.0
#pragma once
// One error vocabulary for the whole program. A failure travels as an exception of this one type; an
// expected absence is a std::optional. http maps the codes to statuses, cli to exit codes, each in one file.

#include <fmt/format.h>

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace tow {

enum class Code {
  Invalid,             // the caller's input is wrong; repeating it unchanged cannot help
  Unsupported,         // valid, but not supported here yet
  NotFound,            // what was named does not exist
  AlreadyExists,       // what was to be made exists
  Conflict,            // a precondition on a revision did not hold; read again and retry
  FailedPrecondition,  // the state does not allow it now; somebody has to change something first
  Unauthenticated,     // nobody known is asking
  Denied,              // somebody known is asking, who may not
  Exhausted,           // a limit, a quota or a disk is full
  Unavailable,         // a part that is needed does not answer; a retry may help
  Timeout,             // a deadline passed
  Cancelled,           // whoever asked went away
  Internal,            // a fault of Towpath itself
};

/// The code's name in documents and logs: "invalid", "not-found", …
std::string_view name(Code code);

/// Repeating it cannot end otherwise until somebody changes something: the input, or the state it is refused
/// in.
bool is_permanent(Code code);

/// Line and column in a document, from 1; line 0 means "unknown".
struct Position {
  int line = 0;
  int column = 0;
  bool operator==(const Position&) const = default;
};

/// One thing that is wrong in a document: where, and what is allowed instead.
struct Fault {
  std::string path;  // "containers.web.image", empty for the whole document
  Position at;
  std::string message;
  bool unsupported = false;  // valid, but not supported here yet
  bool operator==(const Fault&) const = default;
};

/// "score.yaml:14:7  containers.web.image: …"
std::string describe(const Fault& fault, std::string_view file = {});

class Error : public std::exception {
 public:
  Error(Code code, std::string message, std::vector<Fault> faults = {})
      : code_{code}, message_{std::move(message)}, faults_{std::move(faults)} {}

  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<Fault>& faults() const { return faults_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Code code_;
  std::string message_;
  std::vector<Fault> faults_;
};

/// throw fail(Code::NotFound, "no project {}", name);
template <class... Args>
Error fail(Code code, fmt::format_string<Args...> text, Args&&... args) {
  return Error{code, fmt::format(text, std::forward<Args>(args)...)};
}

/// The error of a failed system call: `errno` is read, ENOSPC and EDQUOT become Exhausted.
Error system_error(std::string_view what, int number);

/// What an exception says, whatever its type. For logs and for status messages.
std::string describe(const std::exception_ptr& error);

}  // namespace tow
