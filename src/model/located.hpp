// SPDX-License-Identifier: Apache-2.0
#pragma once
// Values that remember where they stood in their document, for faults that are found later.

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/reading.hpp"
#include "base/schema.hpp"

namespace tow {

/// Line 0 in a document that was made by a program or comes out of the store.
template <class T>
struct Located {
  T value{};
  Position at;
  Position key_at;

  T& operator*() { return value; }
  const T& operator*() const { return value; }
  T* operator->() { return &value; }
  const T* operator->() const { return &value; }
};
using Text = Located<std::string>;

template <class T>
const T& checked_value(const Located<T>& located) {
  return located.value;
}
template <class T>
void read_custom(const Node& node, Located<T>& out, Reading& reading) {
  out.at = node.at;
  out.key_at = node.key_at;
  read(node, out.value, reading);
}
template <class T>
Node write_custom(const Located<T>& located) {
  return write(located.value);
}
template <class T>
Node schema_custom(Of<Located<T>>) {
  return schema<T>();
}

/// The entries of a map in the order in which they stand in the document.
template <class T>
auto in_place(const std::map<std::string, Located<T>>& entries) {
  std::vector<std::pair<std::string, const Located<T>*>> all;
  for (const auto& [name, entry] : entries) all.emplace_back(name, &entry);
  const auto place = [](const auto& it) {
    return std::pair{it.second->key_at.line, it.second->key_at.column};
  };
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return all;
}

// Words for faults.

/// "a, b and c"; a long list is cut.
std::string list_of(const std::vector<std::string>& words);
/// "; did you mean \"x\"?" or nothing.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);
/// Control characters have no place in paths, headers and names.
bool has_control(std::string_view text);
template <class Map>
std::vector<std::string> keys_of(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

}  // namespace tow
