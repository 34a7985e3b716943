// SPDX-License-Identifier: Apache-2.0
#include "cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace tow::cli {
namespace {

// Columns on a terminal: what colour adds does not count, a character of several bytes counts once.
std::size_t width(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      while (i < text.size() && text[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
      ++columns;
    }
  }
  return columns;
}

}  // namespace

Output::Output()
    : terminal_{isatty(STDOUT_FILENO) == 1}, colour_{terminal_ && std::getenv("NO_COLOR") == nullptr} {}

void Output::table(const std::vector<std::vector<std::string>>& rows) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i >= widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], width(row[i]));
    }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string text;
    for (std::size_t i = 0; i < rows[r].size(); ++i) {
      text += rows[r][i];
      if (i + 1 < rows[r].size()) text.append(widths[i] - width(rows[r][i]) + 2, ' ');
    }
    while (text.ends_with(' ')) text.pop_back();
    line(r == 0 ? paint(Colour::Dim, text) : text);
  }
}

void Output::document(const Node& node) const {
  if (format == Format::Json)
    line(to_pretty_json(node));
  else
    std::fputs(to_yaml(node).c_str(), stdout);
}

void Output::line(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

void Output::note(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fputc('\n', stderr);
}

std::string Output::paint(Colour colour, std::string_view text) const {
  if (!colour_ || colour == Colour::None) return std::string{text};
  const char* code = "0";
  switch (colour) {
    case Colour::Green:
      code = "32";
      break;
    case Colour::Yellow:
      code = "33";
      break;
    case Colour::Red:
      code = "31";
      break;
    case Colour::Dim:
      code = "2";
      break;
    case Colour::Bold:
      code = "1";
      break;
    case Colour::None:
      break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string age(TimePoint then, TimePoint now) {
  const auto seconds = std::max<std::int64_t>(0, (now - then).count() / 1000);
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 7200) return fmt::format("{}m", seconds / 60);
  if (seconds < 172800) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

std::string size_text(Bytes bytes) {
  auto value = static_cast<double>(bytes.count);
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return value < 10 && bytes.count >= 1024 ? fmt::format("{:.1f} {}", value, unit)
                                           : fmt::format("{:.0f} {}", value, unit);
}

Colour colour_of(std::string_view phase) {
  for (const char* good : {"Healthy", "Ready", "Succeeded", "Serving"})
    if (phase == good) return Colour::Green;
  for (const char* bad : {"Failed", "Backoff", "Degraded", "Unready"})
    if (phase == bad) return Colour::Red;
  for (const char* busy : {"Progressing", "Pending", "Starting", "Running", "Queued", "Draining", "Stopping"})
    if (phase == busy) return Colour::Yellow;
  return Colour::None;
}

}  // namespace tow::cli
