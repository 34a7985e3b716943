// SPDX-License-Identifier: Apache-2.0
#include "observe/exposition.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace tow::observe {
namespace {

void append_escaped(std::string& out, std::string_view text, bool quoted) {
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quoted)
      out += "\\\"";
    else
      out += c;
  }
}

}  // namespace

void Exposition::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  head_ = fmt::format("# HELP {} ", name);
  append_escaped(head_, help, false);
  head_ += fmt::format("\n# TYPE {} {}\n", name, type == Type::Counter ? "counter" : "gauge");
}

void Exposition::begin_sample(const Labels& labels) {
  text_ += head_;
  head_.clear();
  text_ += name_;
  char next = '{';
  for (const auto& [name, value] : labels) {
    text_ += next;
    text_ += name;
    text_ += "=\"";
    append_escaped(text_, value, true);
    text_ += '"';
    next = ',';
  }
  text_ += labels.empty() ? " " : "} ";
}

void Exposition::sample(const Labels& labels, double value) {
  begin_sample(labels);
  if (std::isfinite(value))
    fmt::format_to(std::back_inserter(text_), "{}\n", value);
  else
    text_ += std::isnan(value) ? "NaN\n" : value > 0 ? "+Inf\n" : "-Inf\n";
}

void Exposition::sample(const Labels& labels, std::uint64_t value) {
  begin_sample(labels);
  fmt::format_to(std::back_inserter(text_), "{}\n", value);
}

}  // namespace tow::observe
