// SPDX-License-Identifier: Apache-2.0
#include "base/reading.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "base/ids.hpp"

namespace tow {

void Reading::fault(const Node& at, std::string message) { fault_at(at.at, std::move(message)); }

void Reading::fault_at(Position at, std::string message) {
  faults_.push_back(Fault{.path = path_, .at = at, .message = std::move(message)});
}

void Reading::unsupported(const Node& at, std::string message) {
  faults_.push_back(Fault{.path = path_, .at = at.at, .message = std::move(message), .unsupported = true});
}

Reading::Step Reading::into(std::string_view key) {
  const auto before = path_.size();
  if (!path_.empty()) path_ += '.';
  path_ += key;
  return Step{*this, before};
}

Reading::Step Reading::into(std::size_t index) {
  const auto before = path_.size();
  path_ += fmt::format("[{}]", index);
  return Step{*this, before};
}

void Reading::finish(std::string_view what) const {
  if (faults_.empty()) return;
  auto sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Fault& a, const Fault& b) {
    return std::pair{a.at.line, a.at.column} < std::pair{b.at.line, b.at.column};
  });
  const bool only_unsupported =
      std::all_of(sorted.begin(), sorted.end(), [](const Fault& f) { return f.unsupported; });
  auto message = strictness == Strictness::Stored ? fmt::format("{} cannot be read", what)
                 : only_unsupported               ? fmt::format("{} asks for what is not supported yet", what)
                                                  : fmt::format("{} is not valid", what);
  message += sorted.size() == 1
                 ? ": " + (sorted[0].path.empty() ? "" : sorted[0].path + ": ") + sorted[0].message
                 : fmt::format(": {} faults", sorted.size());
  const Code code = strictness == Strictness::Stored ? Code::Internal
                    : only_unsupported               ? Code::Unsupported
                                                     : Code::Invalid;
  throw Error{code, std::move(message), std::move(sorted)};
}

namespace detail {
namespace {

// Patterns stand in tables, so there are few; compiling one takes longer than most documents' reading.
const re2::RE2& compiled(std::string_view pattern) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<re2::RE2>, std::less<>> all;
  const std::lock_guard lock{mutex};
  const auto found = all.find(pattern);
  if (found != all.end()) return *found->second;
  return *all.emplace(pattern, std::make_unique<re2::RE2>(std::string{pattern})).first->second;
}

// "80" for a scalar, the kind for the rest: what was found, for messages.
std::string found(const Node& node) {
  if (node.map() || node.list() || node.is_null()) return std::string{node.kind()};
  return to_json(node);
}

}  // namespace

void read_scalar(const Node& node, bool& out, Reading& reading) {
  if (const auto* value = node.boolean())
    out = *value;
  else
    reading.fault(node, fmt::format("must be true or false, not {}", found(node)));
}

void read_scalar(const Node& node, std::int64_t& out, Reading& reading) {
  if (const auto* value = node.integer())
    out = *value;
  else
    reading.fault(node, fmt::format("must be a whole number, not {}", found(node)));
}

void read_scalar(const Node& node, double& out, Reading& reading) {
  if (const auto* value = node.real())
    out = *value;
  else if (const auto* whole = node.integer())
    out = static_cast<double>(*whole);
  else
    reading.fault(node, fmt::format("must be a number, not {}", found(node)));
}

void read_scalar(const Node& node, std::string& out, Reading& reading) {
  if (const auto* value = node.string())
    out = *value;
  else if (node.integer() || node.real() || node.boolean())
    reading.fault(node, fmt::format("must be a string; write it in quotes: \"{}\"", to_json(node)));
  else
    reading.fault(node, fmt::format("must be a string, not {}", found(node)));
}

void read_scalar(const Node& node, Duration& out, Reading& reading) {
  const auto value = node.string() ? parse_duration(*node.string()) : std::nullopt;
  if (value)
    out = *value;
  else
    reading.fault(node, fmt::format("{} is not a duration; write 30s, 2m or 1h30m", found(node)));
}

void read_scalar(const Node& node, TimePoint& out, Reading& reading) {
  const auto value = node.string() ? parse_time(*node.string()) : std::nullopt;
  if (value)
    out = *value;
  else
    reading.fault(node, fmt::format("{} is not a time; write 2026-03-01T12:00:00Z", found(node)));
}

void read_scalar(const Node& node, Bytes& out, Reading& reading) {
  std::optional<Bytes> value;
  if (node.string()) value = parse_bytes(*node.string());
  if (node.integer() && *node.integer() >= 0) value = Bytes{static_cast<std::uint64_t>(*node.integer())};
  if (value) {
    out = *value;
    return;
  }
  std::string hint = "write 512M or 512Mi";
  if (node.string()) {
    // "512mb", "1 GiB": the number was clear, the unit is spelt as elsewhere.
    std::string text = *node.string();
    std::erase(text, ' ');
    const auto digits = text.find_first_not_of("0123456789.");
    if (digits != 0 && digits != std::string::npos) {
      const char unit = static_cast<char>(std::toupper(static_cast<unsigned char>(text[digits])));
      if (std::string_view{"KMGTPE"}.find(unit) != std::string_view::npos)
        hint = fmt::format("write {0}{1} or {0}{1}i", text.substr(0, digits), unit);
    }
  }
  reading.fault(node, fmt::format("{} is not a size; {}", found(node), hint));
}

std::optional<std::size_t> read_enum(const Node& node, const std::vector<std::string>& names,
                                     Reading& reading) {
  if (const auto* text = node.string())
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i] == *text) return i;
  auto message = fmt::format("must be one of {}, not {}", fmt::join(names, ", "), found(node));
  if (node.string())
    if (const auto near = nearest(*node.string(), names); !near.empty())
      message += fmt::format("; did you mean \"{}\"?", near);
  reading.fault(node, std::move(message));
  return {};
}

void unknown_key(const Node::Map::value_type& entry, const std::vector<std::string>& known,
                 Reading& reading) {
  auto step = reading.into(entry.first);
  const auto near = nearest(entry.first, known);
  if (!near.empty())
    reading.fault_at(entry.second.key_at, fmt::format("unknown key; did you mean \"{}\"?", near));
  else
    reading.fault_at(entry.second.key_at,
                     known.empty() ? std::string{"unknown key; none is allowed here"}
                                   : fmt::format("unknown key; allowed are {}", fmt::join(known, ", ")));
}

void missing_key(const Node& map, std::string_view name, Reading& reading) {
  auto step = reading.into(name);
  reading.fault(map, "is missing");
}

const Node::Map* expect_map(const Node& node, Reading& reading) {
  if (const auto* map = node.map()) return map;
  reading.fault(node, fmt::format("must be a map, not {}", found(node)));
  return nullptr;
}

const Node::List* expect_list(const Node& node, Reading& reading) {
  if (const auto* list = node.list()) return list;
  reading.fault(node, fmt::format("must be a list, not {}", found(node)));
  return nullptr;
}

void check_number(const Node& node, double value, const Traits& traits, Reading& reading) {
  if (traits.bounded && (value < traits.low || value > traits.high))
    reading.fault(node,
                  fmt::format("must be between {} and {}, not {}", traits.low, traits.high, found(node)));
}

void check_text(const Node& node, std::string_view text, const Traits& traits, Reading& reading) {
  if (traits.at_least > 0 && text.size() < traits.at_least) {
    reading.fault(node, "must not be empty");
  } else if (!traits.pattern.empty() &&
             !re2::RE2::FullMatch(re2::StringPiece{text.data(), text.size()}, compiled(traits.pattern))) {
    reading.fault(node, fmt::format("{} must be {}", found(node), traits.pattern_help));
  }
}

void check_count(const Node& node, std::size_t count, const Traits& traits, Reading& reading) {
  if (count < traits.at_least)
    reading.fault(node,
                  fmt::format("needs at least {}",
                              traits.at_least == 1 ? std::string{"one"} : std::to_string(traits.at_least)));
}

bool admit(const Node& node, std::string_view name, const Traits& traits, Reading& reading) {
  if (reading.strictness == Strictness::Stored) return true;
  if (traits.observed) {
    reading.fault_at(node.key_at, fmt::format("\"{}\" is observed by the platform and cannot be set", name));
    return false;
  }
  if (!traits.unsupported.empty())
    reading.unsupported(node, fmt::format("is not supported yet: {}", traits.unsupported));
  return true;
}

}  // namespace detail
}  // namespace tow
