// SPDX-License-Identifier: Apache-2.0
#pragma once
// Score's placeholders: ${metadata.a.b}, ${resources.name.output}, ${resources.name}. "$$" is "$", and so
// "$${x}" is "${x}"; inside a placeholder "\." is a dot that parts nothing. Pure functions.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fields.hpp"

namespace tow::score {

/// Text, or a secret that is opened at the moment of use alone.
struct Part {
  std::string text;
  std::string secret;  // a reference, opaque here; then text is empty
  bool operator==(const Part&) const = default;
};

/// What a text became: parts that are joined only where the value is used.
struct Expanded {
  std::vector<Part> parts;

  Expanded() = default;
  Expanded(std::string text);
  static Expanded secret(std::string reference);

  void append(const Expanded& other);
  bool has_secret() const;
  /// The whole text; nothing when a secret is in it.
  std::optional<std::string> plain() const;
  bool operator==(const Expanded&) const = default;
};
/// A string, or a list of strings and {secret: reference}.
void read_custom(const Node& node, Expanded& out, Reading& reading);
Node write_custom(const Expanded& value);
Node schema_custom(Of<Expanded>);

/// One placeholder as it was written.
struct Reference {
  std::vector<std::string> keys;  // {"resources", "db", "host"}
  std::string spelling;           // "${resources.db.host}"
  int line = 1;                   // in its text
};

struct Piece {
  std::string text;
  std::optional<Reference> reference;  // then text is empty
};

struct ParsedText {
  std::vector<Piece> pieces;
  std::vector<std::string> problems;  // "${metadata.name is not closed; …"
};

/// Takes a text apart. A text without "$" is one piece (none when it is empty).
ParsedText parse_text(std::string_view text);

/// Where a reference leads; nothing when it leads nowhere, which the function has reported itself.
using Lookup = std::function<std::optional<Expanded>(const Reference&)>;
/// Expands every placeholder. What cannot be parsed goes to `problem`.
Expanded expand(std::string_view text, const Lookup& lookup, const std::function<void(std::string)>& problem);

}  // namespace tow::score
