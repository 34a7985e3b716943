// SPDX-License-Identifier: Apache-2.0
#include "observe/line_filter.hpp"

#include <re2/re2.h>

#include "base/error.hpp"

namespace tow::observe {

LineFilter::LineFilter(const std::string& expression, std::string container)
    : container_{std::move(container)} {
  if (expression.empty()) return;
  re2::RE2::Options options;
  options.set_log_errors(false);
  expression_ = std::make_unique<re2::RE2>(expression, options);
  if (expression_->ok()) return;
  const auto why = fmt::format("\"{}\" is not a regular expression: {}", expression, expression_->error());
  throw Error{Code::Invalid, "grep: " + why, {{.path = "grep", .at = {}, .message = why}}};
}

LineFilter::~LineFilter() = default;
LineFilter::LineFilter(LineFilter&&) noexcept = default;

bool LineFilter::matches(std::string_view container, std::string_view line) const {
  if (!container_.empty() && container != container_) return false;
  return !expression_ || re2::RE2::PartialMatch(re2::StringPiece{line.data(), line.size()}, *expression_);
}

}  // namespace tow::observe
