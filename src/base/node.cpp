// SPDX-License-Identifier: Apache-2.0
#include "base/node.hpp"

#include <algorithm>

namespace tow {

const Node* Node::find(std::string_view key) const {
  if (const auto* entries = map())
    for (const auto& [name, value] : *entries)
      if (name == key) return &value;
  return nullptr;
}

Node& Node::set(std::string_view key, Node value) {
  if (!map()) value_ = Map{};
  for (auto& [name, old] : *map())
    if (name == key) return old = std::move(value);
  return map()->emplace_back(std::string{key}, std::move(value)).second;
}

void Node::erase(std::string_view key) {
  if (auto* entries = map()) std::erase_if(*entries, [&](const auto& entry) { return entry.first == key; });
}

std::string_view Node::kind() const {
  switch (value_.index()) {
    case 0:
      return "null";
    case 1:
      return "a boolean";
    case 2:
      return "an integer";
    case 3:
      return "a number";
    case 4:
      return "a string";
    case 5:
      return "a list";
    default:
      return "a map";
  }
}

void merge(Node& into, const Node& change) {
  const auto* changes = change.map();
  if (!changes || !into.map()) {
    into = change;
    if (changes) {  // a fresh map takes the changes without what they delete
      into = Node::Map{};
      merge(into, change);
    }
    return;
  }
  for (const auto& [key, value] : *changes) {
    if (value.is_null()) {
      into.erase(key);
    } else if (const Node* old = into.find(key); old && old->map() && value.map()) {
      merge(*const_cast<Node*>(old), value);
    } else if (value.map()) {
      Node fresh{Node::Map{}};
      fresh.at = value.at;
      merge(fresh, value);
      into.set(key, std::move(fresh));
    } else {
      into.set(key, value);
    }
  }
}

}  // namespace tow
