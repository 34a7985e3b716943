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
  /// Empty: every line; of every container. Throws Error{Invalid} for what RE2 does not take.
  LineFilter(const std::string& expression, std::string container);
  ~LineFilter();
  LineFilter(LineFilter&&) noexcept;
  bool matches(std::string_view container, std::string_view line) const;
  bool takes_all() const { return !expression_ && container_.empty(); }

 private:
  std::unique_ptr<re2::RE2> expression_;
  std::string container_;
};

}  // namespace tow::observe
