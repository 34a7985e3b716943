// SPDX-License-Identifier: Apache-2.0
#include "quotes.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace quotes {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

Quote parse_line(std::string_view line, int number) {
  const auto bar = line.rfind('|');
  const auto words = trimmed(line.substr(0, bar));
  const auto source = bar == std::string_view::npos ? std::string_view{} : trimmed(line.substr(bar + 1));
  if (words.empty() || source.empty()) {
    throw std::runtime_error("line " + std::to_string(number) +
                             ": write the words, a bar and where they come from");
  }
  return {std::string{words}, std::string{source}};
}

}  // namespace

std::vector<Quote> parse(std::string_view text) {
  std::vector<Quote> result;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    result.push_back(parse_line(line, number));
  }
  if (result.empty()) throw std::runtime_error("there is no saying in it");
  return result;
}

std::vector<Quote> load(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) throw std::runtime_error(path + ": cannot be read");
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  try {
    return parse(text);
  } catch (const std::runtime_error& fault) {
    throw std::runtime_error(path + ": " + fault.what());
  }
}

}  // namespace quotes
