// SPDX-License-Identifier: Apache-2.0
#pragma once
// An entity as the store keeps it: the envelope in members, spec and status as JSON text. Immutable once
// stored, and shared. The typed view of it is model/entity.hpp.

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"

namespace tow {

/// Counts the store's transactions from 1; never reused.
using StoreRevision = std::int64_t;

/// What an entity is called. `project` is empty for kinds of the whole platform.
struct Key {
  std::string kind;  // "Deployment"
  std::string project;
  std::string name;
  auto operator<=>(const Key&) const = default;
};

/// "deployment:shop/web.development", "user:admin"
std::string to_string(const Key& key);

using Labels = std::map<std::string, std::string>;

struct Record {
  Key key;
  std::string uid;
  std::string owner;  // uid of the entity whose end is this one's end; empty for none
  Labels labels;
  Labels annotations;
  std::vector<std::string> finalizers;
  std::int64_t generation = 0;  // counts changes of spec, from 1
  StoreRevision created_revision = 0;
  StoreRevision revision = 0;  // of the last change of anything in it
  TimePoint created{};
  TimePoint updated{};
  std::optional<TimePoint> deleted;  // marked: it goes when the last finalizer is gone
  int schema = 1;                    // version of the spec's and status's layout
  std::string spec = "{}";
  std::string status = "{}";
};
using RecordPtr = std::shared_ptr<const Record>;

}  // namespace tow
