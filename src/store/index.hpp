// SPDX-License-Identifier: Apache-2.0
#pragma once
// All hot entities as of one revision: what a snapshot is made of, and what transactions are checked against.
// A copy costs two pointers and never changes. One thread at a time may edit an Index; copies are
// independent.

#include <optional>
#include <string_view>
#include <vector>

#include "store/filter.hpp"
#include "store/tree.hpp"

namespace tow::store {

/// The words by which an entity is found (its uid, its owner, each of its labels), with its key, in one block
/// of memory. It outlives the versions of the record, so that a change of status touches one tree alone.
class Identity {
 public:
  explicit Identity(const Record& record);

  std::string_view kind() const { return part(0); }
  std::string_view project() const { return part(1); }
  std::string_view name() const { return part(2); }
  std::size_t terms() const { return count_ - 3; }
  std::string_view term(std::size_t i) const { return part(3 + i); }

 private:
  std::string_view part(std::size_t i) const;
  std::string packed_;  // the ends of all parts, then the parts
  std::size_t count_;
};

class Index {
 public:
  std::size_t size() const { return records_.size(); }
  RecordPtr get(const Key& key) const;
  RecordPtr get_by_uid(std::string_view uid) const;
  std::vector<RecordPtr> list(const Filter& filter) const;
  /// The keys of what `uid` owns.
  std::vector<Key> owned_by(std::string_view uid) const;

  void put(RecordPtr record);
  void erase(const Key& key);

 private:
  struct ByKey {
    static std::strong_ordering compare(const RecordPtr& a, const RecordPtr& b) { return a->key <=> b->key; }
  };
  // Terms are found, never walked in the order of their texts: they are sorted by a hash of it, which seldom
  // needs a look at the text.
  struct Term {
    std::shared_ptr<const Identity> identity;
    std::uint32_t which = 0;
    std::uint32_t hash = 0;
    std::string_view text() const { return identity->term(which); }
  };
  static auto probe(std::string_view text);
  struct ByTerm {
    static std::strong_ordering compare(const Term& a, const Term& b);
  };

  const RecordPtr* find(std::string_view kind, std::string_view project, std::string_view name) const;
  std::vector<RecordPtr> list_by_term(std::string_view term, const Filter& filter) const;
  std::vector<RecordPtr> list_by_key(const Filter& filter) const;
  void add_terms(const Record& record);
  void remove_terms(const Record& record);

  Tree<RecordPtr, ByKey> records_;
  Tree<Term, ByTerm> terms_;
};

}  // namespace tow::store
