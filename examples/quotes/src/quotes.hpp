// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sayings: read once from a file, then only looked at.

#include <string>
#include <string_view>
#include <vector>

namespace quotes {

struct Quote {
  std::string words;
  std::string source;
};

// Reads "words | source" lines; empty lines and those that begin with # are skipped.
// Throws std::runtime_error naming the line ("line 3: …") for a line without both parts, and when
// there is no saying at all.
std::vector<Quote> parse(std::string_view text);

// The same, from a file. Throws std::runtime_error naming the file.
std::vector<Quote> load(const std::string& path);

}  // namespace quotes
