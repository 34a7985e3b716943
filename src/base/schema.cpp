// SPDX-License-Identifier: Apache-2.0
#include "base/schema.hpp"

#include "base/error.hpp"

namespace tow {

Node schema_of_scalar(std::string_view type, std::string_view format) {
  Node made = Node::Map{{"type", type}};
  if (!format.empty()) made.set("format", format);
  return made;
}

void redact(Node& document, const Node& schema) {
  if (const Node* properties = schema.find("properties")) {
    if (auto* map = document.map())
      for (auto& [key, value] : *map)
        if (const Node* inner = properties->find(key)) {
          if (inner->find("writeOnly"))
            value = "(secret)";
          else
            redact(value, *inner);
        }
  } else if (const Node* items = schema.find("items")) {
    if (auto* list = document.list())
      for (auto& value : *list) redact(value, *items);
  } else if (const Node* values = schema.find("additionalProperties"); values && values->map()) {
    if (auto* map = document.map())
      for (auto& [key, value] : *map) redact(value, *values);
  }
}

namespace detail {

void describe_traits(Node& schema, std::string_view help, const Traits& traits) {
  const bool list = schema.find("items") != nullptr;
  const bool map = schema.find("additionalProperties") != nullptr;
  if (!help.empty()) schema.set("description", help);
  if (traits.hidden) schema.set("writeOnly", true);
  if (traits.observed) schema.set("readOnly", true);
  if (traits.bounded && !schema.find("format")) {
    schema.set("minimum", traits.low);
    schema.set("maximum", traits.high);
  }
  if (traits.at_least > 0)
    schema.set(list ? "minItems" : map ? "minProperties" : "minLength", traits.at_least);
  if (!traits.pattern.empty()) {
    const auto anchored = fmt::format("^(?:{})$", traits.pattern);
    if (map)
      schema.set("propertyNames", Node::Map{{"pattern", anchored}});
    else
      schema.set("pattern", anchored);
  }
  if (!traits.unsupported.empty()) schema.set("x-towpath-unsupported", traits.unsupported);
  if (!traits.example.empty()) schema.set("examples", Node::List{Node{traits.example}});
}

}  // namespace detail
}  // namespace tow
