// SPDX-License-Identifier: Apache-2.0
#pragma once
// The layout of store.db.

#include "store/sqlite/database.hpp"

namespace tow::store::sqlite {

/// In PRAGMA user_version. A later program reads every earlier layout: conversions are listed in schema.cpp,
/// and each has a frozen example under testdata/.
inline constexpr int kLayout = 1;

/// Makes the tables in an empty file; refuses a file of a newer layout, or of another program.
void prepare_schema(Database& database);

}  // namespace tow::store::sqlite
