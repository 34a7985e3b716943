// SPDX-License-Identifier: Apache-2.0
#pragma once
// What people see: aligned tables, ages, colour where there is a terminal, documents for programs.

#include <string>
#include <string_view>
#include <vector>

#include "base/node.hpp"
#include "base/units.hpp"

namespace tow::cli {

enum class Format { Table, Json, Yaml };
enum class Colour { None, Green, Yellow, Red, Dim, Bold };

class Output {
 public:
  /// Colour only on a terminal, and without NO_COLOR.
  Output();
  Format format = Format::Table;

  /// Rows of equal length; the first is the head. A last column may be as long as it likes.
  void table(const std::vector<std::vector<std::string>>& rows) const;
  /// As JSON or YAML, whichever was asked for (YAML where neither was).
  void document(const Node& node) const;
  void line(std::string_view text) const;
  /// To standard error: for people, also while standard output is read by a program.
  void note(std::string_view text) const;
  std::string paint(Colour colour, std::string_view text) const;
  bool terminal() const { return terminal_; }

 private:
  bool terminal_ = false;
  bool colour_ = false;
};

/// "12s", "5m", "3h", "8d": since a time.
std::string age(TimePoint then, TimePoint now);
/// "12.5 MiB"
std::string size_text(Bytes bytes);
/// Which colour a phase has.
Colour colour_of(std::string_view phase);

}  // namespace tow::cli
