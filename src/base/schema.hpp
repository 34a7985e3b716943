// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a document may say, as JSON Schema, by its field table (base/fields.hpp): for explain, completion,
// forms and OpenAPI; and what of it is never shown.

#include <string>
#include <utility>

#include "base/writing.hpp"

namespace tow {

Node schema_of_scalar(std::string_view type, std::string_view format = {});

namespace detail {
void describe_traits(Node& schema, std::string_view help, const Traits& traits);
}

/// JSON Schema (2020-12) of the document form.
template <class T>
Node schema() {
  using namespace detail;
  if constexpr (Custom<T>) {
    return schema_custom(Of<T>{});
  } else if constexpr (std::is_same_v<T, Node>) {
    return Node{Node::Map{}};
  } else if constexpr (IsOptional<T>::value) {
    return schema<typename T::value_type>();
  } else if constexpr (IsVector<T>::value) {
    return Node::Map{{"type", "array"}, {"items", schema<typename T::value_type>()}};
  } else if constexpr (IsMap<T>::value) {
    return Node::Map{{"type", "object"}, {"additionalProperties", schema<typename T::mapped_type>()}};
  } else if constexpr (HasNames<T>) {
    Node::List all;
    for (const auto& text : enum_names<T>()) all.emplace_back(text);
    return Node::Map{{"type", "string"}, {"enum", std::move(all)}};
  } else if constexpr (HasFields<T>) {
    static const T defaults{};
    Node::Map properties;
    Node::List needed;
    bool open = false;
    std::apply(
        [&](const auto&... f) {
          auto one = [&](const auto& field) {
            using F = std::decay_t<decltype(field)>;
            if constexpr (IsRest<F>::value) {
              open = true;
            } else {
              Node made = schema<std::decay_t<decltype(std::declval<T>().*(field.member))>>();
              describe_traits(made, field.help, field.traits);
              Node standard = write(defaults.*(field.member));
              const bool empty = standard.is_null() || (standard.list() && standard.list()->empty()) ||
                                 (standard.map() && standard.map()->empty()) ||
                                 (standard.string() && standard.string()->empty());
              if (!field.traits.required && !empty) made.set("default", std::move(standard));
              if (field.traits.required) needed.emplace_back(std::string{field.name});
              properties.emplace_back(std::string{field.name}, std::move(made));
            }
          };
          (one(f), ...);
        },
        fields(Of<T>{}));
    Node made = Node::Map{{"type", "object"}, {"properties", std::move(properties)}};
    if (!needed.empty()) made.set("required", std::move(needed));
    made.set("additionalProperties", open);
    return made;
  } else if constexpr (std::is_same_v<T, bool>) {
    return schema_of_scalar("boolean");
  } else if constexpr (Integer<T>) {
    return schema_of_scalar("integer");
  } else if constexpr (std::is_floating_point_v<T>) {
    return schema_of_scalar("number");
  } else if constexpr (std::is_same_v<T, Duration>) {
    return schema_of_scalar("string", "duration");
  } else if constexpr (std::is_same_v<T, TimePoint>) {
    return schema_of_scalar("string", "date-time");
  } else if constexpr (std::is_same_v<T, Bytes>) {
    return schema_of_scalar("string", "bytes");
  } else {
    return schema_of_scalar("string");
  }
}

/// Replaces what secret fields hold by "(secret)", everywhere in a written document.
void redact(Node& document, const Node& schema);

}  // namespace tow
