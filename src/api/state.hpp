// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the parts of the API share: the operations, and how one call passes gate, capability and audit trail.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/address.hpp"
#include "api/api.hpp"

namespace tow::api {

struct Api::State {
  explicit State(Settings s) : settings{std::move(s)} {}

  Settings settings;
  std::vector<AnyOperation> operations;
  std::map<std::string, std::vector<Admission>> admissions;

  /// Throws Error{NotFound} with the operations that there are.
  const AnyOperation& find(const Address& address) const;
  const AnyOperation& find(std::string_view name) const;

  /// Error{Denied} unless the subject may, and the trail then tells of it under `action`; None asks nothing.
  Task<> authorize(const Call& call, Permission permission, std::string action);
  Record event(const Call& call, std::string action, std::string message) const;
  Task<> record_event(const Call& call, std::string action, std::string message);
  Task<Node> call_unary(const AnyOperation& operation, Call call, Node input);

  Task<> handle(http::Request& request, http::Responder& responder);

  // entities.cpp
  Task<> read(const Address& address, http::Request& request, http::Responder& responder, Call call);
  Task<> watch(const Address& address, http::Request& request, http::Responder& responder);
  Task<> write(const Address& address, http::Request& request, http::Responder& responder, Call call);
  Task<> commit_if(const http::Request& request, store::Transaction transaction);
  Task<> remove(const Address& address, http::Request& request, http::Responder& responder, Call call);
  // streams.cpp
  Task<> stream(const AnyOperation& operation, Call call, Node input, http::Responder& responder);
  Task<> terminal(const AnyOperation& operation, Call call, Node input, http::Responder& responder);

  /// One watcher's event is every watcher's: encoded once.
  std::string encode_change(const store::Change& change);
  std::mutex encoded_mutex;
  std::map<const Record*, std::pair<RecordPtr, std::string>> encoded;
};

/// The input of a GET, typed by the operation's schema. Throws Error{Invalid} for what the schema lacks.
Node input_of_query(const http::Query& query, const Node& schema);

}  // namespace tow::api
