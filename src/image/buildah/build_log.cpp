// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/build_log.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "base/ids.hpp"
#include "image/buildah/containerfile.hpp"

namespace tow::image::buildah {
namespace {

constexpr std::size_t kLastLines = 25;
/// Shorter values are masked nowhere: they would tear holes into every line.
constexpr std::size_t kShortestSecret = 6;

/// Lines of buildah's own that tell nobody anything: layers' ids, and what concerns Towpath's own argument.
bool is_noise(const std::string& line) {
  static const RE2 pattern{
      R"(^--> [0-9a-f]{8,}\s*$|^(?:\[\d+/\d+\] )?COMMIT\b|not consumed: \[TOWPATH_PROJECT\])"};
  return RE2::PartialMatch(line, pattern);
}

/// A line of the end of a log, in words for people; empty for what only repeats another one.
std::string explain(const std::string& line) {
  static const RE2 repeated{R"re(level=error msg="(?:exit status|\+\(UNHANDLED))re"};
  static const RE2 at_step{R"re((?i)^error:? building at STEP ".*?": (?:while running runtime: )?(.*)$)re"};
  static const RE2 absent{
      R"re(checking on sources under ".*copier: stat: \[?"/?([^"]*)"\]?: no such file)re"};
  static const RE2 unknown{R"re(Unknown instruction: "([^"]*)")re"};
  static const RE2 error{R"re(^Error: (.*)$)re"};
  if (RE2::PartialMatch(line, repeated)) return {};
  if (line.contains("no FROM statement found"))
    return "no FROM names an image (perhaps an ARG before it has no value)";
  std::string part;
  if (RE2::PartialMatch(line, absent, &part)) return fmt::format("\"{}\" is not in the repository", part);
  if (RE2::PartialMatch(line, unknown, &part)) {
    const auto meant = nearest(part, instruction_names());
    return fmt::format("there is no instruction {}{}", part,
                       meant.empty() ? "" : "; did you mean " + meant + "?");
  }
  if (RE2::FullMatch(line, at_step, &part) || RE2::FullMatch(line, error, &part)) return part;
  return line;
}

}  // namespace

BuildLog::BuildLog(ProgressSink sink, std::vector<std::string> secrets) : sink_{std::move(sink)} {
  for (const auto& secret : secrets) {
    std::string_view rest = secret;
    while (!rest.empty()) {
      const auto end = std::min(rest.find_first_of("\r\n"), rest.size());
      if (end >= kShortestSecret) secrets_.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  // A secret that contains another one goes first.
  std::ranges::sort(secrets_, [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

std::string BuildLog::clean(std::string_view line) const {
  // A progress bar redraws its line; what it showed last is what counts.
  while (line.ends_with('\r')) line.remove_suffix(1);
  if (const auto back = line.rfind('\r'); back != std::string_view::npos) line.remove_prefix(back + 1);
  std::string text{line};
  for (const auto& secret : secrets_)
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3))
      text.replace(at, secret.size(), "***");
  return text;
}

void BuildLog::line(std::string_view raw) {
  const auto text = clean(raw);
  static const RE2 step{R"(^(?:\[\d+/\d+\] )?STEP (\d+/\d+): (.*))"};
  bool from_cache_now = false;
  static const RE2 taken{R"(^--> Using cache ([0-9a-f]+)\s*$)"};
  static const RE2 nothing{R"(^--> [0-9a-f]+$|^\s*$)"};
  std::string number;
  std::string what;
  if (RE2::PartialMatch(text, step, &number, &what)) {
    if (!what.starts_with("FROM ")) ++steps_;
    killed_ = false;
    step_ = "step " + number + ": " + what;
    last_.clear();
  } else if (RE2::FullMatch(text, taken, &what)) {
    from_cache_.push_back(what);
    from_cache_now = true;
  } else if (!RE2::PartialMatch(text, nothing)) {
    if (last_.size() == kLastLines) last_.pop_front();
    last_.push_back(text);
  }
  static const RE2 killed{
      R"((?i)\bkilled\b|exit (?:status|code) 137|cannot allocate memory|MemoryError|std::bad_alloc)"};
  if (RE2::PartialMatch(text, killed)) killed_ = true;
  // buildah tells of the temporary file of a layer that could not be written, and not why.
  static const RE2 unwritten{R"(storing layer .* to file: io: read/write on closed pipe)"};
  if (RE2::PartialMatch(text, unwritten) || text.contains("no space left on device") ||
      text.contains("No space left on device") || text.contains("disk quota exceeded"))
    disk_full_ = true;
  if (sink_ && !is_noise(text)) sink_(from_cache_now ? "  taken from the cache" : text);
}

std::string BuildLog::failure(std::string_view what) const {
  std::string text{what};
  if (!step_.empty()) text += " at " + step_;
  for (const auto& line : last_)
    if (const auto said = explain(line); !said.empty()) text += "\n  " + said;
  return text;
}

}  // namespace tow::image::buildah
