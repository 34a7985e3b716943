// SPDX-License-Identifier: Apache-2.0
#pragma once
// Records as rows: the one place that knows the columns.

#include <string>

#include "model/record.hpp"
#include "store/log.hpp"
#include "store/sqlite/database.hpp"

namespace tow::store::sqlite {

/// The columns that read_record() reads, of `entity` as e and `version` as v.
inline constexpr const char* kColumns =
    "e.kind, e.project, e.name, e.uid, e.owner, e.id, e.created, v.sequence, v.removed, v.revision, "
    "v.updated, "
    "v.generation, v.deleted, v.schema, v.labels, v.annotations, v.finalizers, v.spec, v.status";

Key read_key(const Rows& rows);
Sequence read_sequence(const Rows& rows);
RecordPtr read_record(const Rows& rows);
Change read_change(const Rows& rows);

/// Nothing when empty.
std::optional<std::string> to_json(const Labels& labels);
std::optional<std::string> to_json(const std::vector<std::string>& names);

/// A label as the table of labels has it.
std::string label_text(std::string_view key, std::string_view value);

inline std::int64_t millis(TimePoint time) { return time.time_since_epoch().count(); }

}  // namespace tow::store::sqlite
