// SPDX-License-Identifier: Apache-2.0
#pragma once
// Entities with types: what a Record holds, as structs. A kind is
//
//   struct Project {
//     static constexpr std::string_view kind = "Project";
//     struct Spec { … };    // what is wanted
//     struct Status { … };  // what was observed
//   };
//
// with a field table for Spec and Status each, and a line in kinds.cpp.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/reading.hpp"
#include "base/writing.hpp"
#include "model/record.hpp"

namespace tow {

inline constexpr std::string_view kApiVersion = "towpath.dev/v1";

struct Nothing {};
constexpr auto fields(Of<Nothing>) { return std::tuple{}; }

template <class K>
struct Entity {
  RecordPtr record;  // the envelope: key, uid, labels, times
  typename K::Spec spec;
  typename K::Status status;

  const Key& key() const { return record->key; }
  const std::string& name() const { return record->key.name; }
  const std::string& project() const { return record->key.project; }
  const std::string& uid() const { return record->uid; }
  bool deleting() const { return record->deleted.has_value(); }
};

template <class K>
Key key(std::string project, std::string name) {
  return {std::string{K::kind}, std::move(project), std::move(name)};
}

/// Reads what is stored. Error{Internal} when it cannot be read.
template <class K>
Entity<K> decode(RecordPtr record) {
  auto spec = read_stored<typename K::Spec>(record->spec);
  auto status = read_stored<typename K::Status>(record->status);
  return {std::move(record), std::move(spec), std::move(status)};
}

template <class K>
std::string encode_spec(const typename K::Spec& spec) {
  return to_json(write(spec));
}
template <class K>
std::string encode_status(const typename K::Status& status) {
  return to_json(write(status));
}

/// A new entity for Transaction::create.
template <class K>
Record draft(std::string project, std::string name, const typename K::Spec& spec) {
  Record record;
  record.key = key<K>(std::move(project), std::move(name));
  record.spec = encode_spec<K>(spec);
  return record;
}

/// What the platform knows of a kind, without its types.
struct KindInfo {
  std::string_view kind;    // "EnvironmentType"
  std::string_view plural;  // "environmenttypes": in addresses and commands
  std::string_view help;
  bool in_project = true;
  bool cold = false;       // many and seldom read: kept out of memory
  bool removable = false;  // people may delete it plainly
  bool writable = false;   // people may create and change it plainly; else operations and controllers do
  Node (*spec_schema)();
  Node (*status_schema)();
  /// Reads a spec strictly and writes it back in its one form. Throws with every fault.
  Node (*admit)(const Node& spec);
};

/// Every kind, in the order in which people meet them.
const std::vector<KindInfo>& kinds();
/// By kind, plural, or the kind in lower case; null for none.
const KindInfo* find_kind(std::string_view name);
bool is_cold(std::string_view kind);

/// {apiVersion, kind, metadata, spec, status}, secret fields redacted: what people and programs see.
Node to_document(const Record& record);
/// The same as JSON text, without a tree between where nothing has to be redacted.
std::string to_document_json(const Record& record);
/// The opposite, for what people send: the envelope is checked strictly (unknown keys, names), the spec is
/// admitted by its kind, a status is not taken. Throws Error{Invalid} with every fault.
Record from_document(const Node& document);

}  // namespace tow
