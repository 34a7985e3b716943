// SPDX-License-Identifier: Apache-2.0
#include "cli/exit.hpp"

namespace tow::cli {

int exit_code(Code code) {
  switch (code) {
    case Code::Invalid:
      return kInvalid;
    case Code::Unsupported:
      return kUnsupported;
    case Code::NotFound:
      return kNotFound;
    case Code::Unauthenticated:
    case Code::Denied:
      return kNotAllowed;
    case Code::AlreadyExists:
    case Code::Conflict:
    case Code::FailedPrecondition:
      return kConflict;
    case Code::Unavailable:
    case Code::Timeout:
      return kUnavailable;
    case Code::Exhausted:
    case Code::Cancelled:
    case Code::Internal:
      return kFailed;
  }
  return kFailed;
}

std::string explain(const Error& error, const std::string& file) {
  std::string text;
  for (const auto& fault : error.faults()) text += describe(fault, file) + "\n";
  if (error.faults().size() != 1) text += error.message() + "\n";
  if (error.code() == Code::Unavailable)
    text += "Is `tow server` running there? TOWPATH_URL or --url names another server.\n";
  return text;
}

}  // namespace tow::cli
