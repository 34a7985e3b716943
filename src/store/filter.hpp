// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a filter lets through. Pure functions.

#include <optional>

#include "store/store.hpp"

namespace tow::store {

bool matches(const Filter& filter, const Record& record);
/// Without the labels: what cannot change in the life of an entity.
bool matches_but_labels(const Filter& filter, const Record& record);

/// The change as a watcher with this filter sees it, if at all. When the entity's labels changed so that it
/// leaves the filter, the watcher sees it removed, as it was `before`.
std::optional<Change> seen_through(const Filter& filter, const Change& change, const RecordPtr& before);

/// One page of a query. Entities of one transaction stay together, as the next page goes on below a revision.
std::vector<RecordPtr> newest_first(std::vector<RecordPtr> records, const Query& query);

}  // namespace tow::store
