// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/database.hpp"

#include <sqlite3.h>

#include <cerrno>

#include "store/log.hpp"

namespace tow::store::sqlite {
namespace {

[[noreturn]] void fail_with(sqlite3* handle, int result) {
  const int number = sqlite3_system_errno(handle);
  const int extended = handle ? sqlite3_extended_errcode(handle) : result;
  const std::string message = handle ? sqlite3_errmsg(handle) : sqlite3_errstr(result);
  switch (result & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      throw fail(Code::Exhausted, "the store cannot write: {}; make room in its data directory", message);
    case SQLITE_IOERR:
      if (number == ENOSPC || number == EDQUOT)
        throw fail(Code::Exhausted, "the store cannot write: no room; make some in its data directory");
      [[fallthrough]];
    case SQLITE_CORRUPT:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      throw DiskFailed{
          fmt::format("the store's disk fails: {} (SQLite {}, system {})", message, extended, number)};
    case SQLITE_NOTADB:
      throw fail(Code::FailedPrecondition, "store.db is not a store of Towpath: {}", message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw fail(Code::Unavailable, "store.db is held by another program: {}", message);
    default:
      throw fail(Code::Internal, "SQLite refuses: {} ({})", message, extended);
  }
}

}  // namespace

Rows::~Rows() {
  if (!statement_) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Rows::next() {
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  fail_with(sqlite3_db_handle(statement_), result);
}

bool Rows::null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::int64_t Rows::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Rows::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return text ? std::string_view{text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))}
              : std::string_view{};
}

void Rows::bind(int place, std::int64_t value) { sqlite3_bind_int64(statement_, place, value); }

void Rows::bind(int place, std::string_view value) {
  // What is not asked for has no place in a statement that is put together.
  if (place > sqlite3_bind_parameter_count(statement_)) return;
  // An empty view may have no address, which SQLite takes for null.
  const char* data = value.data() ? value.data() : "";
  const int result = sqlite3_bind_text64(statement_, place, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (result != SQLITE_OK) fail_with(sqlite3_db_handle(statement_), result);
}

void Rows::bind(int place, std::nullopt_t) { sqlite3_bind_null(statement_, place); }

Database::Database(const std::string& path, const std::string& vfs, Access access) {
  // Each connection has one thread at a time, so SQLite's own mutexes are left out.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  const int result = sqlite3_open_v2(path.c_str(), &handle_, flags, vfs.empty() ? nullptr : vfs.c_str());
  try {
    if (result != SQLITE_OK) fail_with(handle_, result);
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, 10'000);
    // The write-ahead log stays, so that commits overwrite it in place instead of making it grow.
    int persist = 1;
    sqlite3_file_control(handle_, nullptr, SQLITE_FCNTL_PERSIST_WAL, &persist);
    script("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY;");
    if (access == Access::Read) script("PRAGMA query_only=1;");
  } catch (...) {
    sqlite3_close_v2(handle_);
    throw;
  }
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

void Database::script(const char* sql) {
  const int result = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) fail_with(handle_, result);
}

sqlite3_stmt* Database::prepare(std::string_view sql) {
  if (const auto found = statements_.find(sql); found != statements_.end()) return found->second;
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) fail_with(handle_, result);
  statements_.emplace(sql, statement);
  return statement;
}

void Database::roll_back() noexcept {
  // Some failures have ended the transaction already.
  if (!sqlite3_get_autocommit(handle_)) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

ReadTransaction::~ReadTransaction() { sqlite3_exec(database_.handle(), "COMMIT", nullptr, nullptr, nullptr); }

}  // namespace tow::store::sqlite
