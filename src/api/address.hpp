// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an address under /api/v1 names. Pure.

#include <string>
#include <string_view>

#include "model/entity.hpp"

namespace tow::api {

struct Address {
  const KindInfo* kind = nullptr;
  Key key;           // without a name for a collection; without a project for a collection over all projects
  std::string verb;  // of an operation
  bool entity() const { return !key.name.empty(); }
};

/// `path` is what follows "/api/v1/", decoded: "projects/shop/deployments/web.production:rollback".
/// Throws Error{NotFound} for what names nothing, with the nearest kind.
Address parse_address(std::string_view path);
/// The path of an entity or a collection, with its leading "/api/v1/".
std::string path_of(const KindInfo& kind, const Key& key);

}  // namespace tow::api
