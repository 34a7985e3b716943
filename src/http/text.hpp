// SPDX-License-Identifier: Apache-2.0
#pragma once
// The small parsing and writing that HTTP is made of, as pure functions: for this
// folder, and for whoever makes addresses and queries.

#include <optional>
#include <string>
#include <string_view>

namespace tow::http {

/// A token of RFC 9110, 5.6.2.
bool is_token(std::string_view text);
/// No control character but the tab.
bool is_field_value(std::string_view text);
bool is_utf8(std::string_view text);
bool equal_without_case(std::string_view a, std::string_view b);
std::string_view trim(std::string_view text);
/// Whether a comma-separated list has the token, without case.
bool list_has(std::string_view list, std::string_view token);
/// For messages: at most 80 bytes, what is not printable ASCII as "?".
std::string printable(std::string_view text);

/// Percent-decoding. Nothing for a broken encoding, a NUL, or what is not UTF-8 in the end.
std::optional<std::string> decode(std::string_view text);
/// The same, and "+" is a space.
std::optional<std::string> decode_form(std::string_view text);
/// The decoded segment of a path: as decode, and nothing for a control character, "." and "..".
std::optional<std::string> decode_segment(std::string_view text);
/// Everything but RFC 3986's unreserved characters becomes %XX.
std::string encode(std::string_view text);

/// A request's target, taken apart.
struct Target {
  std::string_view path;       // raw: "/a%20b", or "*"
  std::string_view query;      // raw, without "?"
  std::string_view authority;  // of an absolute target
};
/// Nothing for what is neither an origin-form, an absolute http(s) URI nor "*", or has a character that no
/// target may have.
std::optional<Target> split_target(std::string_view text);
/// The raw path decoded, an encoded slash kept as "%2F". Nothing for dot segments, inner empty ones, a
/// control character or a broken encoding.
std::optional<std::string> decode_path(std::string_view raw);

}  // namespace tow::http
