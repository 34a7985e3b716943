// SPDX-License-Identifier: Apache-2.0
#pragma once
// Field tables. A type of documents is a struct and one table of its fields:
//
//   struct HttpProbe { std::string path; std::uint16_t port = 0; };
//   constexpr auto fields(Of<HttpProbe>) {
//     return std::tuple{
//         field("path", &HttpProbe::path, "Answers 2xx or 3xx once the instance is ready.", required),
//         field("port", &HttpProbe::port, "Port inside the instance.", required, between(1, 65535)),
//     };
//   }
//
// Everything that must know the fields walks that table: reading (with every fault at once), writing, the
// schema, explain, redaction; each has a header of its own. What a field may be: bool, integers, double,
// std::string, Duration, TimePoint, Bytes, Node (anything), an enum with a table of names, std::optional,
// std::vector and std::map<std::string, …> of these, and structs with a table.
//
//   enum class Protocol { Tcp, Udp };
//   constexpr auto names(Of<Protocol>) { return std::array{Name{Protocol::Tcp, "TCP"}, Name{Protocol::Udp,
//   "UDP"}}; }
//
// A type whose document form is not that of its members has instead: read_custom(const Node&, T&, Reading&),
// write_custom(const T&) -> Node and schema_custom(Of<T>) -> Node, found by argument-dependent lookup; and,
// where it wraps a value that constraints are about, checked_value(const T&) -> const that value&.

#include <array>
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "base/node.hpp"
#include "base/units.hpp"

namespace tow {

template <class T>
struct Of {};

template <class E>
struct Name {
  E value;
  std::string_view text;
};

struct Traits {
  bool required = false;
  bool hidden = false;    // never shown: redacted in answers and logs
  bool observed = false;  // set by the platform; refused in what users send
  double low = 0, high = 0;
  bool bounded = false;
  std::size_t at_least = 0;  // entries or characters
  std::string_view pattern;  // RE2, of the whole string (of the keys, for a map)
  std::string_view pattern_help;
  std::string_view unsupported;  // valid, but refused by name: why
  std::string_view example;
};

struct Required {};
struct Hidden {};
struct Observed {};
struct Between {
  double low, high;
};
struct AtLeast {
  std::size_t count;
};
struct Matches {
  std::string_view pattern, help;
};
struct NotYet {
  std::string_view why;
};
struct Example {
  std::string_view text;
};

inline constexpr Required required{};
inline constexpr Hidden hidden{};
inline constexpr Observed observed{};
constexpr Between between(double low, double high) { return {low, high}; }
constexpr AtLeast at_least(std::size_t count) { return {count}; }
/// `help` completes the sentence "… must be": "a DNS name".
constexpr Matches matches(std::string_view pattern, std::string_view help) { return {pattern, help}; }
/// Read and checked, then refused: "… is not supported yet: <why>".
constexpr NotYet not_yet(std::string_view why) { return {why}; }
constexpr Example example(std::string_view text) { return {text}; }

constexpr void add(Traits& t, Required) { t.required = true; }
constexpr void add(Traits& t, Hidden) { t.hidden = true; }
constexpr void add(Traits& t, Observed) { t.observed = true; }
constexpr void add(Traits& t, Between b) { t.bounded = true, t.low = b.low, t.high = b.high; }
constexpr void add(Traits& t, AtLeast a) { t.at_least = a.count; }
constexpr void add(Traits& t, Matches m) { t.pattern = m.pattern, t.pattern_help = m.help; }
constexpr void add(Traits& t, NotYet n) { t.unsupported = n.why; }
constexpr void add(Traits& t, Example e) { t.example = e.text; }

template <class C, class M>
struct Field {
  std::string_view name;
  M C::* member;
  std::string_view help;
  Traits traits;
};

template <class C, class M, class... Options>
constexpr Field<C, M> field(std::string_view name, M C::* member, std::string_view help, Options... options) {
  Field<C, M> made{name, member, help, {}};
  (add(made.traits, options), ...);
  return made;
}

/// In place of a field: keys that no field names are kept here instead of being refused.
template <class C>
struct Rest {
  std::map<std::string, Node> C::* member;
};
template <class C>
constexpr Rest<C> rest(std::map<std::string, Node> C::* member) {
  return {member};
}

template <class T>
concept HasFields = requires { fields(Of<T>{}); };
template <class T>
concept HasNames = std::is_enum_v<T> && requires { names(Of<T>{}); };

class Reading;

/// What the walks ask of a type.
namespace detail {

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};
template <class T>
struct IsRest : std::false_type {};
template <class C>
struct IsRest<Rest<C>> : std::true_type {};

template <class T>
concept Custom = requires(const Node& node, T& value, Reading& reading) {
  read_custom(node, value, reading);
  { write_custom(value) } -> std::same_as<Node>;
};
template <class T>
concept Integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;

template <class T>
std::vector<std::string> enum_names() {
  std::vector<std::string> all;
  for (const auto& entry : names(Of<T>{})) all.emplace_back(entry.text);
  return all;
}

}  // namespace detail
}  // namespace tow
