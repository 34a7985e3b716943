// SPDX-License-Identifier: Apache-2.0
#pragma once
// Documents out: a struct becomes a Node by its field table (base/fields.hpp).

#include <concepts>
#include <string>
#include <utility>

#include "base/fields.hpp"

namespace tow {

template <class T>
Node write(const T& value);

namespace detail {
template <class T>
bool same(const T& a, const T& b) {
  if constexpr (std::equality_comparable<T> && !IsVector<T>::value && !IsMap<T>::value &&
                !IsOptional<T>::value)
    return a == b;
  else if constexpr (IsVector<T>::value || IsMap<T>::value)
    return (a.empty() && b.empty()) || write(a) == write(b);
  else if constexpr (IsOptional<T>::value)
    return (!a && !b) || write(a) == write(b);
  else
    return write(a) == write(b);
}
}  // namespace detail

/// The document form. Members equal to a default-constructed struct's are left out, except required ones.
template <class T>
Node write(const T& value) {
  using namespace detail;
  if constexpr (Custom<T>) {
    return write_custom(value);
  } else if constexpr (std::is_same_v<T, Node>) {
    return value;
  } else if constexpr (IsOptional<T>::value) {
    return value ? write(*value) : Node{};
  } else if constexpr (IsVector<T>::value) {
    Node::List list;
    list.reserve(value.size());
    for (const auto& entry : value) list.push_back(write(entry));
    return list;
  } else if constexpr (IsMap<T>::value) {
    Node::Map map;
    map.reserve(value.size());
    for (const auto& [key, entry] : value) map.emplace_back(key, write(entry));
    return map;
  } else if constexpr (HasNames<T>) {
    for (const auto& entry : names(Of<T>{}))
      if (entry.value == value) return Node{entry.text};
    return Node{};
  } else if constexpr (HasFields<T>) {
    static const T defaults{};
    Node::Map map;
    std::apply(
        [&](const auto&... f) {
          auto one = [&](const auto& field) {
            using F = std::decay_t<decltype(field)>;
            if constexpr (IsRest<F>::value) {
              for (const auto& [key, entry] : value.*(field.member)) map.emplace_back(key, entry);
            } else {
              if (!field.traits.required && same(value.*(field.member), defaults.*(field.member))) return;
              map.emplace_back(std::string{field.name}, write(value.*(field.member)));
            }
          };
          (one(f), ...);
        },
        fields(Of<T>{}));
    return map;
  } else if constexpr (Integer<T>) {
    return Node{static_cast<std::int64_t>(value)};
  } else if constexpr (std::is_same_v<T, Duration> || std::is_same_v<T, TimePoint> ||
                       std::is_same_v<T, Bytes>) {
    return Node{to_string(value)};
  } else {
    return Node{value};
  }
}

}  // namespace tow
