// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/rows.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/error.hpp"

namespace tow::store::sqlite {
namespace {

namespace json = boost::json;

// What could be written can be read, whatever bytes are in it.
json::value parse(std::string_view text) {
  json::error_code error;
  auto value =
      json::parse({text.data(), text.size()}, error, {}, {.max_depth = 4, .allow_invalid_utf8 = true});
  if (error) throw fail(Code::Unavailable, "store.db is damaged: {} in \"{}\"", error.message(), text);
  return value;
}

Labels read_labels(std::string_view text) {
  Labels labels;
  if (text.empty()) return labels;
  for (const auto& each : parse(text).as_object()) labels.emplace(each.key(), each.value().as_string());
  return labels;
}

std::vector<std::string> read_names(std::string_view text) {
  std::vector<std::string> names;
  if (text.empty()) return names;
  for (const auto& each : parse(text).as_array()) names.emplace_back(each.as_string());
  return names;
}

TimePoint time(std::int64_t millis) { return TimePoint{Duration{millis}}; }

}  // namespace

Key read_key(const Rows& rows) {
  return {std::string{rows.text(0)}, std::string{rows.text(1)}, std::string{rows.text(2)}};
}

Sequence read_sequence(const Rows& rows) { return rows.integer(7); }

RecordPtr read_record(const Rows& rows) {
  auto record = std::make_shared<Record>();
  record->key = read_key(rows);
  record->uid = rows.text(3);
  record->owner = rows.text(4);
  record->created_revision = revision_of(rows.integer(5));
  record->created = time(rows.integer(6));
  record->revision = rows.integer(9);
  record->updated = time(rows.integer(10));
  record->generation = rows.integer(11);
  if (!rows.null(12)) record->deleted = time(rows.integer(12));
  record->schema = static_cast<int>(rows.integer(13));
  record->labels = read_labels(rows.text(14));
  record->annotations = read_labels(rows.text(15));
  record->finalizers = read_names(rows.text(16));
  record->spec = rows.text(17);
  record->status = rows.text(18);
  return record;
}

Change read_change(const Rows& rows) {
  const auto type = rows.integer(8) ? Change::Type::Removed : Change::Type::Put;
  return {revision_of(read_sequence(rows)), type, read_record(rows)};
}

std::optional<std::string> to_json(const Labels& labels) {
  if (labels.empty()) return {};
  json::object object;
  for (const auto& [key, value] : labels) object.emplace(key, value);
  return json::serialize(object);
}

std::optional<std::string> to_json(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  json::array array;
  for (const auto& name : names) array.emplace_back(name);
  return json::serialize(array);
}

std::string label_text(std::string_view key, std::string_view value) {
  return std::string{key}.append(1, '=').append(value);
}

}  // namespace tow::store::sqlite
