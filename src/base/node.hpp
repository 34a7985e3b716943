// SPDX-License-Identifier: Apache-2.0
#pragma once
// A document as a tree: what YAML and JSON are parsed to, and what JSON is written from. Values; no sharing.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"

namespace tow {

class Node {
 public:
  using List = std::vector<Node>;
  using Map = std::vector<std::pair<std::string, Node>>;  // in the document's order, keys are unique

  Node() = default;
  Node(std::nullptr_t) {}
  Node(bool value) : value_{value} {}
  Node(int value) : value_{std::int64_t{value}} {}
  Node(std::int64_t value) : value_{value} {}
  Node(std::size_t value) : value_{static_cast<std::int64_t>(value)} {}
  Node(double value) : value_{value} {}
  Node(std::string value) : value_{std::move(value)} {}
  Node(std::string_view value) : value_{std::string{value}} {}
  Node(const char* value) : value_{std::string{value}} {}
  Node(List value) : value_{std::move(value)} {}
  Node(Map value) : value_{std::move(value)} {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const std::int64_t* integer() const { return std::get_if<std::int64_t>(&value_); }
  const double* real() const { return std::get_if<double>(&value_); }
  const std::string* string() const { return std::get_if<std::string>(&value_); }
  const List* list() const { return std::get_if<List>(&value_); }
  const Map* map() const { return std::get_if<Map>(&value_); }
  List* list() { return std::get_if<List>(&value_); }
  Map* map() { return std::get_if<Map>(&value_); }

  /// The value under a key of a map; null when this is no map or has no such key.
  const Node* find(std::string_view key) const;
  /// Makes this a map if it is null; replaces or appends.
  Node& set(std::string_view key, Node value);
  void erase(std::string_view key);

  /// "a string", "a number", "a list", …: for messages.
  std::string_view kind() const;

  /// Where it stood in its source; line 0 when it has none.
  Position at;
  /// Where its key stood, if it is a map's value.
  Position key_at;

  /// Equal content; positions do not count.
  bool operator==(const Node& other) const { return value_ == other.value_; }

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Map> value_;
};

/// Parses one JSON text (RFC 8259). Throws Error{Invalid} with line and column.
Node parse_json(std::string_view text);

/// Parses one YAML 1.2 document (core schema; JSON is a part of it). Aliases are expanded within a bound of
/// 100,000 nodes, 64 levels deep; duplicate keys and several documents are faults. Throws Error{Invalid} with
/// one Fault that has the position.
Node parse_yaml(std::string_view text);

/// Compact JSON. Strings must be UTF-8 (other bytes become U+FFFD).
std::string to_json(const Node& node);
/// Indented by two, for people.
std::string to_pretty_json(const Node& node);
/// Block style, for people; parse_yaml gives the same tree back.
std::string to_yaml(const Node& node);

/// Every byte belongs to a valid UTF-8 sequence.
bool is_utf8(std::string_view text);
/// Appends a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

/// Score's merge: maps deeply, every other value replaces, null deletes.
void merge(Node& into, const Node& change);

}  // namespace tow
