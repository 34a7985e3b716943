// SPDX-License-Identifier: Apache-2.0
#pragma once
// One connection to SQLite and its prepared statements. Used by one thread at a time. What SQLite refuses
// becomes an Error here; nobody else sees its codes.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

struct sqlite3;
struct sqlite3_stmt;

namespace tow::store::sqlite {

/// The rows of a statement that runs. The statement is ready for its next use when this ends.
class Rows {
 public:
  explicit Rows(sqlite3_stmt* statement) : statement_{statement} {}
  ~Rows();
  Rows(Rows&& other) noexcept : statement_{std::exchange(other.statement_, nullptr)} {}
  Rows& operator=(Rows&&) = delete;

  /// Moves to the next row; false after the last.
  bool next();
  bool null(int column) const;
  std::int64_t integer(int column) const;
  /// Valid until the next row.
  std::string_view text(int column) const;

  void bind(int place, std::int64_t value);
  void bind(int place, std::string_view value);  // not copied: it outlives the rows
  void bind(int place, std::nullopt_t);
  template <class T>
  void bind(int place, const std::optional<T>& value) {
    value ? bind(place, *value) : bind(place, std::nullopt);
  }

 private:
  sqlite3_stmt* statement_;
};

class Database {
 public:
  enum class Access { Write, Read };
  /// The file must exist. `vfs` may be empty.
  Database(const std::string& path, const std::string& vfs, Access access);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Statements without results or arguments, separated by semicolons.
  void script(const char* sql);
  /// Prepares it at its first use. Arguments are ?1, ?2, … and outlive the rows.
  template <class... Args>
  Rows rows(std::string_view sql, const Args&... args) {
    Rows result{prepare(sql)};
    int place = 0;
    (result.bind(++place, args), ...);
    return result;
  }
  template <class... Args>
  void execute(std::string_view sql, const Args&... args) {
    auto running = rows(sql, args...);
    while (running.next()) {
    }
  }
  /// The first column of the first row; nothing when there is no row, or null.
  template <class... Args>
  std::optional<std::int64_t> number(std::string_view sql, const Args&... args) {
    auto running = rows(sql, args...);
    if (!running.next() || running.null(0)) return {};
    return running.integer(0);
  }

  /// Commits what `work` does, or takes all of it back and throws.
  template <class Work>
  void transaction(const Work& work) {
    execute("BEGIN IMMEDIATE");
    try {
      work();
      execute("COMMIT");
    } catch (...) {
      roll_back();
      throw;
    }
  }

  sqlite3* handle() const { return handle_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  sqlite3_stmt* prepare(std::string_view sql);
  void roll_back() noexcept;

  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*, Hash, std::equal_to<>> statements_;
};

/// Several reads that see one state of the file.
class ReadTransaction {
 public:
  explicit ReadTransaction(Database& database) : database_{database} { database_.execute("BEGIN"); }
  ~ReadTransaction();
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;

 private:
  Database& database_;
};

}  // namespace tow::store::sqlite
