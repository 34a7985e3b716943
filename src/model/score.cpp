// SPDX-License-Identifier: Apache-2.0
#include "model/score.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <set>

#include "model/score_fields.hpp"
#include "model/score_planner.hpp"

namespace tow::score {
namespace {

// While documents are merged, the lines of the n-th override are counted from n times this, so that what is
// found wrong can be led back to it.
constexpr int kOverrideLines = 10'000'000;

constexpr const char* kMemory = "(0\\.\\d+|[1-9]\\d*(\\.\\d+)?)(K|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?";

void shift_lines(Node& node, int by) {
  if (node.at.line > 0) node.at.line += by;
  if (node.key_at.line > 0) node.key_at.line += by;
  if (auto* map = node.map())
    for (auto& [key, value] : *map) shift_lines(value, by);
  if (auto* list = node.list())
    for (auto& value : *list) shift_lines(value, by);
}

// Score has no null: a key without a value is a slip. Free-form parts may have it.
void refuse_nulls(const Node& node, Reading& reading, const std::set<std::string>& said) {
  if (node.is_null()) {
    if (!said.contains(reading.path())) reading.fault(node, "has no value; write one, or leave the key out");
  } else if (const auto* map = node.map()) {
    for (const auto& [key, value] : *map) {
      if (key == "metadata" || key == "params") continue;
      auto step = reading.into(key);
      refuse_nulls(value, reading, said);
    }
  } else if (const auto* list = node.list()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      auto step = reading.into(i);
      refuse_nulls((*list)[i], reading, said);
    }
  }
}

}  // namespace

void read_custom(const Node& node, Memory& out, Reading& reading) {
  const auto before = reading.faults().size();
  detail::read_scalar(node, out.text, reading);
  if (reading.faults().size() != before) return;
  static const re2::RE2 pattern{kMemory};
  if (re2::RE2::FullMatch(out.text, pattern)) {
    const auto bytes = parse_bytes(out.text);
    if (!bytes) reading.fault(node, fmt::format("\"{}\" is larger than any machine's memory", out.text));
    out.bytes = bytes.value_or(Bytes{});
    return;
  }
  detail::read_scalar(node, out.bytes, reading);  // says how to spell it
  if (reading.faults().size() != before) return;
  reading.fault(node, out.bytes.count == 0
                          ? std::string{"must be more than nothing"}
                          : fmt::format("\"{}\" is not a size; write {}", out.text, to_string(out.bytes)));
}
Node write_custom(const Memory& value) { return value.text; }
Node schema_custom(Of<Memory>) {
  return Node::Map{{"type", "string"}, {"pattern", fmt::format("^(?:{})$", kMemory)}};
}

Document read(const Node& node) {
  Reading reading;
  Document document;
  if (node.is_null()) {
    reading.fault_at({1, 1}, "it is empty");
    reading.finish("the Score document");
  }
  tow::read(node, document, reading);
  std::set<std::string> said;
  for (const Fault& fault : reading.faults()) said.insert(fault.path);
  refuse_nulls(node, reading, said);
  if (node.map()) check(document, reading);
  reading.finish("the Score document");
  return document;
}

Document read(const Node& node, const std::vector<Override>& overrides) {
  Node merged = node;
  for (std::size_t i = 0; i < overrides.size(); ++i) {
    Node change = overrides[i].node;
    shift_lines(change, static_cast<int>(i + 1) * kOverrideLines);
    merge(merged, change);
  }
  try {
    return read(merged);
  } catch (const Error& error) {
    auto faults = error.faults();
    for (Fault& fault : faults) {
      const auto which = static_cast<std::size_t>(fault.at.line / kOverrideLines);
      if (which == 0 || which > overrides.size()) continue;
      fault.message += fmt::format(" (set by {}:{}:{})", overrides[which - 1].origin,
                                   fault.at.line % kOverrideLines, fault.at.column);
      fault.at = {};
    }
    throw Error{error.code(), error.message(), std::move(faults)};
  }
}

Document read_stored(const Node& node, const Node& overrides) {
  Node merged = node;
  if (!overrides.is_null()) merge(merged, overrides);
  return read_document<Document>(merged, "a stored Score document", Strictness::Stored);
}

void check(const Document& document, Reading& reading) { Planner{document, nullptr, reading}.run(); }

Node write(const Document& document) { return tow::write(document); }

Node schema() {
  Node made = Node::Map{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", "Score document score.dev/v1b1, as Towpath reads it"}};
  for (auto& [key, value] : *tow::schema<Document>().map()) made.set(key, std::move(value));
  return made;
}

std::string identity(const Document& document, const std::string& resource) {
  const Resource& it = *document.resources.at(resource);
  const bool special = it.class_name && !it.class_name->value.empty();
  return fmt::format("{}.{}#{}", it.type.value, special ? it.class_name->value : "default",
                     it.id ? it.id->value : fmt::format("{}.{}", document.name(), resource));
}

std::optional<std::string> repository_path(std::string_view directory, std::string_view path) {
  if (path.starts_with('/') || path.find('\0') != std::string_view::npos) return {};
  std::vector<std::string_view> parts;
  for (std::string_view text : {directory, path}) {
    while (!text.empty()) {
      const auto end = std::min(text.find('/'), text.size());
      const auto part = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        parts.push_back(part);
      } else if (parts.empty()) {
        return {};
      } else {
        parts.pop_back();
      }
    }
  }
  return fmt::format("{}", fmt::join(parts, "/"));
}

}  // namespace tow::score
