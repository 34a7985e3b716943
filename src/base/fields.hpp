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
// Everything that must know the fields walks that table: read (with every fault at once), write, schema,
// explain, redaction. What a field may be: bool, integers, double, std::string, Duration, TimePoint, Bytes,
// Node (anything), an enum with a table of names, std::optional, std::vector and std::map<std::string, …> of
// these, and structs with a table.
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
#include <utility>
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

enum class Strictness {
  Admission,  // unknown keys and observed fields are faults
  Stored,     // unknown keys are skipped, missing fields keep their defaults
};

/// Where a reader is, and what it found wrong so far.
class Reading {
 public:
  explicit Reading(Strictness strictness = Strictness::Admission) : strictness{strictness} {}

  void fault(const Node& at, std::string message);
  void fault_at(Position at, std::string message);
  void unsupported(const Node& at, std::string message);
  /// Enters "key" or "[2]" while the returned guard lives.
  class Step;
  Step into(std::string_view key);
  Step into(std::size_t index);

  const std::vector<Fault>& faults() const { return faults_; }
  bool ok() const { return faults_.empty(); }
  const std::string& path() const { return path_; }
  /// Throws when there is a fault: Error{Invalid}, or Error{Unsupported} when all are of that sort.
  void finish(std::string_view what) const;

  const Strictness strictness;

 private:
  std::string path_;
  std::vector<Fault> faults_;
};

class [[nodiscard]] Reading::Step {
 public:
  Step(Reading& reading, std::size_t length) : reading_{reading}, length_{length} {}
  ~Step() { reading_.path_.resize(length_); }
  Step(const Step&) = delete;

 private:
  Reading& reading_;
  std::size_t length_;
};

/// What a field's value may be, as data: for explain, completion and forms; schema() turns it to JSON Schema.
Node schema_of_scalar(std::string_view type, std::string_view format = {});

namespace detail {

void read_scalar(const Node& node, bool& out, Reading& reading);
void read_scalar(const Node& node, std::int64_t& out, Reading& reading);
void read_scalar(const Node& node, double& out, Reading& reading);
void read_scalar(const Node& node, std::string& out, Reading& reading);
void read_scalar(const Node& node, Duration& out, Reading& reading);
void read_scalar(const Node& node, TimePoint& out, Reading& reading);
void read_scalar(const Node& node, Bytes& out, Reading& reading);
/// The text's place in `names`; a fault that lists them (and the nearest) otherwise.
std::optional<std::size_t> read_enum(const Node& node, const std::vector<std::string>& names,
                                     Reading& reading);
void unknown_key(const Node::Map::value_type& entry, const std::vector<std::string>& known, Reading& reading);
void missing_key(const Node& map, std::string_view name, Reading& reading);
const Node::Map* expect_map(const Node& node, Reading& reading);
const Node::List* expect_list(const Node& node, Reading& reading);
void check_number(const Node& node, double value, const Traits& traits, Reading& reading);
void check_text(const Node& node, std::string_view text, const Traits& traits, Reading& reading);
void check_count(const Node& node, std::size_t count, const Traits& traits, Reading& reading);
/// Observed fields in what users send; unsupported fields. True when the value is to be read.
bool admit(const Node& node, std::string_view name, const Traits& traits, Reading& reading);
void describe_traits(Node& schema, std::string_view help, const Traits& traits);

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

template <class T>
std::vector<std::string> field_names() {
  std::vector<std::string> all;
  std::apply(
      [&](const auto&... f) {
        auto take = [&](const auto& one) {
          if constexpr (!IsRest<std::decay_t<decltype(one)>>::value) all.emplace_back(one.name);
        };
        (take(f), ...);
      },
      fields(Of<T>{}));
  return all;
}

template <class T>
void check(const Node& node, const T& value, const Traits& traits, Reading& reading) {
  if constexpr (Integer<T> || std::is_floating_point_v<T>) {
    check_number(node, static_cast<double>(value), traits, reading);
  } else if constexpr (std::is_same_v<T, Duration>) {
    check_number(node, static_cast<double>(value.count()), traits, reading);
  } else if constexpr (std::is_same_v<T, std::string>) {
    check_text(node, value, traits, reading);
  } else if constexpr (IsOptional<T>::value) {
    if (value) check(node, *value, traits, reading);
  } else if constexpr (requires { checked_value(value); }) {
    check(node, checked_value(value), traits, reading);
  } else if constexpr (IsMap<T>::value) {
    check_count(node, value.size(), traits, reading);
    if (!traits.pattern.empty() && node.map())
      for (const auto& [key, entry] : *node.map()) {
        auto step = reading.into(key);
        Node at{key};
        at.at = entry.key_at;
        check_text(at, key, traits, reading);
      }
  } else if constexpr (IsVector<T>::value) {
    check_count(node, value.size(), traits, reading);
  }
}

}  // namespace detail

/// Reads what the node says into `out`; what is wrong goes into `reading` and leaves the member as it was.
template <class T>
void read(const Node& node, T& out, Reading& reading) {
  using namespace detail;
  if constexpr (Custom<T>) {
    read_custom(node, out, reading);
  } else if constexpr (std::is_same_v<T, Node>) {
    out = node;
  } else if constexpr (IsOptional<T>::value) {
    if (node.is_null()) {
      out.reset();
    } else {
      typename T::value_type value{};
      read(node, value, reading);
      out = std::move(value);
    }
  } else if constexpr (IsVector<T>::value) {
    if (const auto* list = expect_list(node, reading)) {
      out.clear();
      for (std::size_t i = 0; i < list->size(); ++i) {
        auto step = reading.into(i);
        read((*list)[i], out.emplace_back(), reading);
      }
    }
  } else if constexpr (IsMap<T>::value) {
    if (const auto* map = expect_map(node, reading)) {
      out.clear();
      for (const auto& [key, value] : *map) {
        auto step = reading.into(key);
        read(value, out[key], reading);
      }
    }
  } else if constexpr (HasNames<T>) {
    if (const auto at = read_enum(node, enum_names<T>(), reading)) out = names(Of<T>{})[*at].value;
  } else if constexpr (HasFields<T>) {
    const auto* map = expect_map(node, reading);
    if (!map) return;
    std::vector<bool> taken(map->size(), false);
    bool open = false;
    std::apply(
        [&](const auto&... f) {
          auto one = [&](const auto& field) {
            using F = std::decay_t<decltype(field)>;
            if constexpr (IsRest<F>::value) {
              open = true;
              for (std::size_t i = 0; i < map->size(); ++i)
                if (!taken[i]) (out.*(field.member))[(*map)[i].first] = (*map)[i].second;
            } else {
              for (std::size_t i = 0; i < map->size(); ++i) {
                if ((*map)[i].first != field.name) continue;
                taken[i] = true;
                const Node& value = (*map)[i].second;
                auto step = reading.into(field.name);
                if (!admit(value, field.name, field.traits, reading)) return;
                const auto before = reading.faults().size();
                read(value, out.*(field.member), reading);
                if (reading.faults().size() == before)
                  check(value, out.*(field.member), field.traits, reading);
                return;
              }
              if (field.traits.required && reading.strictness == Strictness::Admission)
                missing_key(node, field.name, reading);
            }
          };
          (one(f), ...);
        },
        fields(Of<T>{}));
    if (!open && reading.strictness == Strictness::Admission)
      for (std::size_t i = 0; i < map->size(); ++i)
        if (!taken[i]) unknown_key((*map)[i], field_names<T>(), reading);
  } else if constexpr (Integer<T>) {
    std::int64_t value = static_cast<std::int64_t>(out);
    const auto before = reading.faults().size();
    read_scalar(node, value, reading);
    if (reading.faults().size() != before) return;
    if (!std::in_range<T>(value))
      reading.fault(node, std::to_string(value) + " is out of range");
    else
      out = static_cast<T>(value);
  } else {
    read_scalar(node, out, reading);
  }
}

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

/// read + finish: throws Error{Invalid, Unsupported} naming `what` with every fault.
template <class T>
T read_document(const Node& node, std::string_view what, Strictness strictness = Strictness::Admission) {
  Reading reading{strictness};
  T value{};
  read(node, value, reading);
  reading.finish(what);
  return value;
}

/// For bodies out of the store: lenient, and a body that cannot be read is Error{Internal}.
template <class T>
T read_stored(std::string_view json) {
  return read_document<T>(parse_json(json), "a stored entity", Strictness::Stored);
}

}  // namespace tow
