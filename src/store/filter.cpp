// SPDX-License-Identifier: Apache-2.0
#include "store/filter.hpp"

#include <algorithm>

namespace tow::store {

bool matches_but_labels(const Filter& filter, const Record& record) {
  return (filter.kind.empty() || filter.kind == record.key.kind) &&
         (filter.project.empty() || filter.project == record.key.project) &&
         (filter.owner.empty() || filter.owner == record.owner);
}

bool matches(const Filter& filter, const Record& record) {
  if (!matches_but_labels(filter, record)) return false;
  for (const auto& [key, value] : filter.labels) {
    const auto found = record.labels.find(key);
    if (found == record.labels.end() || found->second != value) return false;
  }
  return true;
}

std::optional<Change> seen_through(const Filter& filter, const Change& change, const RecordPtr& before) {
  if (matches(filter, *change.record)) return change;
  if (change.type == Change::Type::Removed || !before || !matches(filter, *before)) return {};
  return Change{change.revision, Change::Type::Removed, before};
}

std::vector<RecordPtr> newest_first(std::vector<RecordPtr> records, const Query& query) {
  if (query.before > 0)
    std::erase_if(records, [&](const RecordPtr& r) { return r->created_revision >= query.before; });
  std::ranges::stable_sort(records, std::greater{}, [](const RecordPtr& r) { return r->created_revision; });
  auto end = std::min(query.limit, records.size());
  while (end > 0 && end < records.size() &&
         records[end]->created_revision == records[end - 1]->created_revision)
    ++end;
  records.resize(end);
  return records;
}

}  // namespace tow::store
