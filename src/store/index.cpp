// SPDX-License-Identifier: Apache-2.0
#include "store/index.hpp"

#include <cstring>

namespace tow::store {
namespace {

// What a term's first letter says it is.
std::string uid_term(std::string_view uid) { return std::string{"u"}.append(uid); }
std::string owner_term(std::string_view owner) { return std::string{"o"}.append(owner); }
std::string label_term(std::string_view key, std::string_view value) {
  return std::string{"l"}.append(key).append(1, '\0').append(value);
}

// A probe for all records of a kind, of a kind and a project, or for one.
auto key_probe(std::string_view kind, std::optional<std::string_view> project = {},
               std::optional<std::string_view> name = {}) {
  return [=](const RecordPtr& record) -> std::strong_ordering {
    if (const auto order = record->key.kind <=> kind; order != 0 || !project) return order;
    if (const auto order = record->key.project <=> *project; order != 0 || !name) return order;
    return record->key.name <=> *name;
  };
}

std::uint32_t hash_of(std::string_view text) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>{}(text));
}

std::strong_ordering everything(const RecordPtr&) { return std::strong_ordering::equal; }

// Looking an entity up by key costs about this many times what visiting it in order costs.
constexpr std::size_t kLookupCost = 8;

}  // namespace

Identity::Identity(const Record& record) {
  std::vector<std::string> parts{record.key.kind, record.key.project, record.key.name, uid_term(record.uid)};
  if (!record.owner.empty()) parts.push_back(owner_term(record.owner));
  for (const auto& [key, value] : record.labels) parts.push_back(label_term(key, value));
  count_ = parts.size();

  auto end = static_cast<std::uint32_t>(count_ * sizeof(std::uint32_t));
  std::size_t size = end;
  for (const auto& part : parts) size += part.size();
  packed_.reserve(size);
  for (const auto& part : parts) {
    end += static_cast<std::uint32_t>(part.size());
    packed_.append(reinterpret_cast<const char*>(&end), sizeof end);
  }
  for (const auto& part : parts) packed_ += part;
}

std::string_view Identity::part(std::size_t i) const {
  const auto end_of = [&](std::size_t n) {
    std::uint32_t end;
    std::memcpy(&end, packed_.data() + n * sizeof end, sizeof end);
    return end;
  };
  const auto begin = i == 0 ? static_cast<std::uint32_t>(count_ * sizeof(std::uint32_t)) : end_of(i - 1);
  return std::string_view{packed_}.substr(begin, end_of(i) - begin);
}

auto Index::probe(std::string_view text) {
  return [=, hash = hash_of(text)](const Term& term) -> std::strong_ordering {
    if (const auto order = term.hash <=> hash; order != 0) return order;
    return term.text() <=> text;
  };
}

std::strong_ordering Index::ByTerm::compare(const Term& a, const Term& b) {
  if (const auto order = a.hash <=> b.hash; order != 0) return order;
  if (const auto order = a.text() <=> b.text(); order != 0) return order;
  if (const auto order = a.identity->kind() <=> b.identity->kind(); order != 0) return order;
  if (const auto order = a.identity->project() <=> b.identity->project(); order != 0) return order;
  return a.identity->name() <=> b.identity->name();
}

const RecordPtr* Index::find(std::string_view kind, std::string_view project, std::string_view name) const {
  return records_.find(key_probe(kind, project, name));
}

RecordPtr Index::get(const Key& key) const {
  const auto* found = find(key.kind, key.project, key.name);
  return found ? *found : nullptr;
}

RecordPtr Index::get_by_uid(std::string_view uid) const {
  const auto term = uid_term(uid);
  const auto* found = terms_.find(probe(term));
  if (!found) return nullptr;
  return *find(found->identity->kind(), found->identity->project(), found->identity->name());
}

std::vector<Key> Index::owned_by(std::string_view uid) const {
  std::vector<Key> keys;
  const auto term = owner_term(uid);
  terms_.each(probe(term), [&](const Term& found) {
    const auto& identity = *found.identity;
    keys.push_back(
        {std::string{identity.kind()}, std::string{identity.project()}, std::string{identity.name()}});
    return true;
  });
  return keys;
}

// Walks whatever is the shortest: the range of keys, or the entities with one of the words.
std::vector<RecordPtr> Index::list(const Filter& filter) const {
  std::string best;
  std::size_t best_count = 0;
  const auto consider = [&](std::string term) {
    const auto count = terms_.count(probe(term));
    if (!best.empty() && count >= best_count) return;
    best = std::move(term);
    best_count = count;
  };
  if (!filter.owner.empty()) consider(owner_term(filter.owner));
  for (const auto& [key, value] : filter.labels) consider(label_term(key, value));
  if (best.empty()) return list_by_key(filter);

  const auto in_range = filter.kind.empty()      ? records_.size()
                        : filter.project.empty() ? records_.count(key_probe(filter.kind))
                                                 : records_.count(key_probe(filter.kind, filter.project));
  return best_count * kLookupCost < in_range ? list_by_term(best, filter) : list_by_key(filter);
}

std::vector<RecordPtr> Index::list_by_term(std::string_view term, const Filter& filter) const {
  std::vector<RecordPtr> found;
  terms_.each(probe(term), [&](const Term& each) {
    const auto& identity = *each.identity;
    if (!filter.kind.empty() && filter.kind != identity.kind()) return true;
    if (!filter.project.empty() && filter.project != identity.project()) return true;
    const auto& record = *find(identity.kind(), identity.project(), identity.name());
    if (matches(filter, *record)) found.push_back(record);
    return true;
  });
  return found;
}

std::vector<RecordPtr> Index::list_by_key(const Filter& filter) const {
  std::vector<RecordPtr> found;
  const auto take = [&](const RecordPtr& record) {
    if (matches(filter, *record)) found.push_back(record);
    return true;
  };
  if (!filter.kind.empty() && !filter.project.empty()) {
    records_.each(key_probe(filter.kind, filter.project), take);
  } else if (!filter.kind.empty()) {
    records_.each(key_probe(filter.kind), take);
  } else if (!filter.project.empty()) {
    // There are few kinds: one look-up in each.
    const RecordPtr* first = records_.find(everything);
    while (first) {
      const std::string_view kind = (*first)->key.kind;
      records_.each(key_probe(kind, filter.project), take);
      first = records_.after(key_probe(kind));
    }
  } else {
    records_.each(everything, take);
  }
  return found;
}

void Index::put(RecordPtr record) {
  const auto* old = find(record->key.kind, record->key.project, record->key.name);
  if (!old) {
    add_terms(*record);
  } else if ((*old)->uid != record->uid || (*old)->owner != record->owner ||
             (*old)->labels != record->labels) {
    remove_terms(**old);
    add_terms(*record);
  }
  records_.put(std::move(record));
}

void Index::erase(const Key& key) {
  const auto* old = find(key.kind, key.project, key.name);
  if (!old) return;
  remove_terms(**old);
  records_.erase(key_probe(key.kind, key.project, key.name));
}

void Index::add_terms(const Record& record) {
  const auto identity = std::make_shared<const Identity>(record);
  for (std::uint32_t i = 0; i < identity->terms(); ++i) terms_.put({identity, i, hash_of(identity->term(i))});
}

void Index::remove_terms(const Record& record) {
  const auto identity = std::make_shared<const Identity>(record);
  for (std::uint32_t i = 0; i < identity->terms(); ++i) {
    const Term term{identity, i, hash_of(identity->term(i))};
    terms_.erase([&](const Term& other) { return ByTerm::compare(other, term); });
  }
}

}  // namespace tow::store
