// SPDX-License-Identifier: Apache-2.0
#include "image/packs/text.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.hpp"

namespace tow::image::packs {
namespace {

bool is_plain(std::string_view text, std::string_view also) {
  return std::ranges::all_of(text, [&](unsigned char c) { return std::isalnum(c) || also.contains(c); });
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      result += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      result += c;
  }
  return result + "\"";
}

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  while (!(line = trim(line)).empty()) {
    const auto end = std::min(line.find_first_of(" \t"), line.size());
    words.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

bool is_assignment(std::string_view word) {
  const auto equals = word.find('=');
  return equals != std::string_view::npos && equals > 0 && is_plain(word.substr(0, equals), "_");
}

/// Where the last simple command of a shell line begins, or nothing when the line is more than commands
/// joined by "&&", "||" and ";" (pipes, subshells, background jobs, several lines).
std::optional<std::size_t> last_command(std::string_view line) {
  std::size_t begin = 0;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\') {
      ++i;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
      if (quote == '"' && (c == '`' || line.substr(i).starts_with("$("))) return {};
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (line.substr(i).starts_with("&&") || line.substr(i).starts_with("||")) {
      begin = ++i + 1;
    } else if (c == ';') {
      begin = i + 1;
    } else if (std::string_view{"&|()`{\n#"}.contains(c) && !line.substr(0, i).ends_with('$')) {
      return {};
    } else if (line.substr(i).starts_with("$(")) {
      return {};
    }
  }
  if (quote != 0) return {};
  return begin;
}

}  // namespace

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    result.emplace_back(text.substr(0, end));
    if (result.back().ends_with('\r')) result.back().pop_back();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

std::string exec_form(std::span<const std::string> words) {
  std::vector<std::string> parts;
  for (const auto& word : words) parts.push_back(quoted(word));
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

std::string copy(std::vector<std::string> sources, std::string_view target, std::string_view flags) {
  sources.emplace_back(target);
  std::string result = "COPY ";
  if (!flags.empty()) result += std::string{flags} + " ";
  if (std::ranges::all_of(sources, [](const auto& path) { return is_plain(path, "._/@+-:*"); }))
    return result + fmt::format("{}", fmt::join(sources, " "));
  for (auto& path : sources) {
    std::string escaped;
    for (const char c : path) {
      if (c == '$') escaped += '\\';
      escaped += c;
    }
    path = escaped;
  }
  return result + exec_form(sources);
}

std::vector<std::string> start_command(std::string_view line) {
  line = trim(line);
  auto words = split_words(line);
  if (!words.empty() && is_plain(line, "_./:@%+,- \t=") && !is_assignment(words.front())) return words;
  std::string script{line};
  if (const auto begin = last_command(line)) {
    auto at = line.find_first_not_of(" \t", *begin);
    auto rest = at == std::string_view::npos ? std::string_view{} : line.substr(at);
    while (!rest.empty()) {
      const auto word = rest.substr(0, rest.find_first_of(" \t"));
      if (!is_assignment(word) || word.contains('\'') || word.contains('"')) break;
      const auto next = rest.find_first_not_of(" \t", word.size());
      rest = next == std::string_view::npos ? std::string_view{} : rest.substr(next);
    }
    const auto command = rest.substr(0, rest.find_first_of(" \t"));
    constexpr std::array<std::string_view, 12> builtins = {"exec", "cd",  "export", "if",   "for", "while",
                                                           "test", "set", "exit",   "wait", "[",   "trap"};
    if (!command.empty() && !is_assignment(command) && std::ranges::find(builtins, command) == builtins.end())
      script.insert(static_cast<std::size_t>(rest.data() - line.data()), "exec ");
  }
  return {"sh", "-c", script};
}

std::string program_settings(std::string_view environment, int port, std::span<const std::string> command) {
  std::string variables{environment};
  if (port != 0) variables += fmt::format("{}PORT={}", variables.empty() ? "" : " ", port);
  std::string text;
  if (!variables.empty()) text += "ENV " + variables + "\n";
  if (port != 0) text += fmt::format("EXPOSE {}\n", port);
  return text + "CMD " + exec_form(command) + "\n";
}

std::string install_packages(const std::vector<std::string>& packages) {
  if (packages.empty()) return {};
  return fmt::format(
      "RUN apt-get update -q && apt-get install -q -y --no-install-recommends {} && rm -rf "
      "/var/lib/apt/lists/*\n",
      fmt::join(packages, " "));
}

Process choose_process(std::string_view procfile, std::string_view where) {
  std::vector<Process> processes;
  for (const auto& line : lines(procfile)) {
    const auto text = trim(line);
    if (text.empty() || text.starts_with('#')) continue;
    const auto colon = text.find(':');
    const Process process{std::string{trim(text.substr(0, colon))},
                          colon == std::string_view::npos ? "" : std::string{trim(text.substr(colon + 1))}};
    if (process.name.empty() || process.command.empty() || !is_plain(process.name, "_-"))
      throw fail(Code::Invalid, "{}: \"{}\" is no process; write NAME: COMMAND", where, text);
    if (process.name == "web") return process;
    // "release" is what runs before a release, not the program.
    if (process.name != "release") processes.push_back(process);
  }
  if (processes.size() == 1) return processes.front();
  if (processes.empty()) throw fail(Code::Invalid, "{} names no process; write \"web: COMMAND\"", where);
  std::vector<std::string> names;
  for (const auto& process : processes) names.push_back(process.name);
  throw fail(Code::Invalid,
             "{} has the processes {} and none is called web: a component is one program, so call the one to "
             "start web, or make a component of each",
             where, fmt::join(names, ", "));
}

}  // namespace tow::image::packs
