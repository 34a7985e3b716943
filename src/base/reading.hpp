// SPDX-License-Identifier: Apache-2.0
#pragma once
// Documents in: a Node becomes a struct by its field table (base/fields.hpp). Every fault is found in one
// reading, each with its path, line and column.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fields.hpp"

namespace tow {

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
