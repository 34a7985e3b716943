// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which lines a caller wants.

#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace tow::observe {

class LineFilter {
 public:
  /// Empty: every line. Throws Error{Invalid} for what RE2 does not take.
  explicit LineFilter(const std::string& expression);
  ~LineFilter();
  LineFilter(LineFilter&&) noexcept;
  bool matches(std::string_view line) const;
  bool takes_all() const { return !expression_; }

 private:
  std::unique_ptr<re2::RE2> expression_;
};

}  // namespace tow::observe
