// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one place where errors become exit codes and lines on standard error.

#include <string>

#include "base/error.hpp"

namespace tow::cli {

enum Exit {
  kOk = 0,
  kFailed = 1,       // it was tried and did not come to a good end
  kInvalid = 2,      // the input is wrong: arguments, a document
  kUnsupported = 3,  // valid, but not supported here yet
  kNotFound = 4,
  kNotAllowed = 5,   // not signed in, or not permitted
  kConflict = 6,     // the state does not allow it now
  kUnavailable = 7,  // the server does not answer, or took too long
};

int exit_code(Code code);
/// The message, every fault on a line, and what to do next where there is something to say.
std::string explain(const Error& error, const std::string& file = {});

}  // namespace tow::cli
