// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/containerfile.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::image::buildah {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// Instructions with their continuation lines joined, comments left out.
std::vector<std::string> instructions(std::string_view text) {
  std::vector<std::string> result;
  std::string current;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string line{text.substr(0, end)};
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    const auto first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line[first] == '#') continue;
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.pop_back();
    current += line.substr(current.empty() ? first : 0) + " ";
    if (goes_on) continue;
    result.push_back(current);
    current.clear();
  }
  if (!current.empty()) result.push_back(current);
  return result;
}

std::string expand(std::string text, const std::map<std::string, std::string>& values) {
  static const RE2 variable{R"(\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+)))"};
  std::string result;
  re2::StringPiece rest{text};
  re2::StringPiece match;
  std::string braced, otherwise, plain;
  while (true) {
    const char* const before = rest.data();
    const auto left = rest;
    if (!RE2::FindAndConsume(&rest, variable, &braced, &otherwise, &plain)) {
      result.append(left.data(), left.size());
      return result;
    }
    const std::string whole{before, static_cast<std::size_t>(rest.data() - before)};
    const auto dollar = whole.find('$');
    result += whole.substr(0, dollar);
    const auto found = values.find(braced.empty() ? plain : braced);
    if (found != values.end() && !found->second.empty())
      result += found->second;
    else if (!otherwise.empty())
      result += otherwise;
    else
      result += whole.substr(dollar);
  }
}

}  // namespace

std::vector<std::string> images_of(std::string_view containerfile,
                                   const std::map<std::string, std::string>& arguments) {
  static const RE2 argument{R"((?i)^ARG\s+(\w+)(?:=["']?([^"'\s]*)["']?)?)"};
  static const RE2 from{R"((?i)^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?)"};
  static const RE2 copy{R"((?i)^(?:COPY|RUN|ADD)\s.*?(?:--from=|[,=]from=)([^\s,]+))"};
  std::map<std::string, std::string> values;
  std::set<std::string> stages;
  std::vector<std::string> images;
  bool in_stage = false;
  const auto add = [&](const std::string& reference) {
    const auto image = expand(reference, values);
    const bool is_number = std::ranges::all_of(image, [](unsigned char c) { return std::isdigit(c); });
    if (is_number || image == "scratch" || image.contains('$') || stages.contains(lower(image))) return;
    if (std::ranges::find(images, image) == images.end()) images.push_back(image);
  };
  for (const auto& line : instructions(containerfile)) {
    std::string first;
    std::string second;
    if (!in_stage && RE2::PartialMatch(line, argument, &first, &second)) {
      const auto given = arguments.find(first);
      values[first] = given == arguments.end() ? expand(second, values) : given->second;
    } else if (RE2::PartialMatch(line, from, &first, &second)) {
      in_stage = true;
      add(first);
      if (!second.empty()) stages.insert(lower(second));
    } else if (RE2::PartialMatch(line, copy, &first)) {
      add(first);
    }
  }
  return images;
}

std::vector<std::string> copied_paths(std::string_view containerfile) {
  static const RE2 copy{R"((?i)^(?:COPY|ADD)\s+(.*))"};
  static const RE2 words{R"re(\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"\[\],]+))[,\s]*)re"};
  std::vector<std::string> paths;
  for (const auto& line : instructions(containerfile)) {
    std::string rest;
    if (!RE2::PartialMatch(line, copy, &rest) || rest.contains("--from")) continue;
    std::vector<std::string> found;
    re2::StringPiece left{rest};
    std::string quoted;
    std::string plain;
    while (RE2::FindAndConsume(&left, words, &quoted, &plain))
      found.push_back(quoted.empty() ? plain : quoted);
    if (!found.empty()) found.pop_back();  // where it goes
    for (auto& path : found) {
      const bool literal = !path.starts_with("--") && path.find_first_of("$*?<") == std::string::npos;
      if (literal && !path.contains("://") && !path.starts_with("git@")) paths.push_back(std::move(path));
    }
  }
  return paths;
}

const std::vector<std::string>& instruction_names() {
  static const std::vector<std::string> names = {
      "ADD",   "ARG",        "CMD",     "COPY", "ENTRYPOINT", "ENV",        "EXPOSE", "FROM",   "HEALTHCHECK",
      "LABEL", "MAINTAINER", "ONBUILD", "RUN",  "SHELL",      "STOPSIGNAL", "USER",   "VOLUME", "WORKDIR"};
  return names;
}

namespace {

/// The first instruction that there is not, or that stands before FROM, by its line.
void check_instructions(std::string_view containerfile, std::string_view name) {
  static const RE2 escape{R"((?i)^\s*#\s*escape\s*=)"};
  static const RE2 word{R"(^\s*([^\s]+))"};
  if (RE2::PartialMatch(containerfile, escape)) return;  // another sign for lines that go on
  bool goes_on = false;
  bool in_stage = false;
  int number = 0;
  while (!containerfile.empty()) {
    const auto end = std::min(containerfile.find('\n'), containerfile.size());
    std::string line{containerfile.substr(0, end)};
    containerfile.remove_prefix(std::min(end + 1, containerfile.size()));
    ++number;
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    const auto first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line[first] == '#') continue;
    const bool continues = std::exchange(goes_on, line.ends_with('\\'));
    std::string instruction;
    if (continues || !RE2::PartialMatch(line, word, &instruction)) continue;
    std::string upper = instruction;
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
    if (std::ranges::find(instruction_names(), upper) == instruction_names().end()) {
      const auto meant = nearest(upper, instruction_names());
      throw fail(Code::Invalid, "{}:{}: there is no instruction {}{}", name, number, instruction,
                 meant.empty() ? "" : "; did you mean " + meant + "?");
    }
    in_stage = in_stage || upper == "FROM";
    if (!in_stage && upper != "ARG")
      throw fail(Code::Invalid, "{}:{}: {} stands before FROM, which names the image to start from", name,
                 number, upper);
  }
}

}  // namespace

void check_supported(std::string_view containerfile, std::string_view name) {
  static const RE2 here_document{
      R"re((?i)^\s*(RUN|COPY|ADD)\s(?:.*\s)?<<-?["']?[A-Za-z_]\w*["']?(?:\s|$))re"};
  const auto whole = containerfile;
  int number = 0;
  while (!containerfile.empty()) {
    const auto end = std::min(containerfile.find('\n'), containerfile.size());
    const std::string line{containerfile.substr(0, end)};
    containerfile.remove_prefix(std::min(end + 1, containerfile.size()));
    ++number;
    std::string instruction;
    if (RE2::PartialMatch(line, here_document, &instruction))
      throw fail(
          Code::Unsupported,
          "{}:{}: here-documents ({} <<…) are not supported by the buildah of Debian 12; join commands with "
          "&& and \\, or put them into a script",
          name, number, instruction);
  }
  check_instructions(whole, name);
}

std::string salt_stages(std::string_view containerfile) {
  static const RE2 from{R"((?i)^\s*FROM\s)"};
  std::string result;
  bool in_from = false;
  while (!containerfile.empty()) {
    const auto end = std::min(containerfile.find('\n'), containerfile.size());
    std::string line{containerfile.substr(0, end)};
    containerfile.remove_prefix(std::min(end + 1, containerfile.size()));
    result += line + "\n";
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    const auto first = line.find_first_not_of(" \t");
    const bool is_comment = first != std::string::npos && line[first] == '#';
    if (RE2::PartialMatch(line, from)) in_from = true;
    if (!in_from || is_comment || line.ends_with('\\')) continue;
    result += "ARG " + std::string{kSaltArgument} + "\n";
    in_from = false;
  }
  return result;
}

}  // namespace tow::image::buildah
