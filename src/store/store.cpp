// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

namespace tow::store {
namespace {

Write write(Write::Action action, Key key, std::optional<StoreRevision> if_revision = {}) {
  Write result{.action = action, .record = {}, .if_revision = if_revision, .finalizer = {}};
  result.record.key = std::move(key);
  return result;
}

}  // namespace

Transaction& Transaction::create(Record draft) {
  writes_.push_back({.action = Write::Action::Create, .record = std::move(draft)});
  return *this;
}

Transaction& Transaction::put_spec(Key key, std::string json, std::optional<StoreRevision> if_revision) {
  writes_.push_back(write(Write::Action::PutSpec, std::move(key), if_revision));
  writes_.back().record.spec = std::move(json);
  return *this;
}

Transaction& Transaction::put_status(Key key, std::string json, std::optional<StoreRevision> if_revision) {
  writes_.push_back(write(Write::Action::PutStatus, std::move(key), if_revision));
  writes_.back().record.status = std::move(json);
  return *this;
}

Transaction& Transaction::put_metadata(Key key, Labels labels, Labels annotations,
                                       std::optional<StoreRevision> if_revision) {
  writes_.push_back(write(Write::Action::PutMetadata, std::move(key), if_revision));
  writes_.back().record.labels = std::move(labels);
  writes_.back().record.annotations = std::move(annotations);
  return *this;
}

Transaction& Transaction::add_finalizer(Key key, std::string name) {
  writes_.push_back(write(Write::Action::AddFinalizer, std::move(key)));
  writes_.back().finalizer = std::move(name);
  return *this;
}

Transaction& Transaction::remove_finalizer(Key key, std::string name) {
  writes_.push_back(write(Write::Action::RemoveFinalizer, std::move(key)));
  writes_.back().finalizer = std::move(name);
  return *this;
}

Transaction& Transaction::erase(Key key, std::optional<StoreRevision> if_revision) {
  writes_.push_back(write(Write::Action::Erase, std::move(key), if_revision));
  return *this;
}

}  // namespace tow::store
