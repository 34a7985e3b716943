// SPDX-License-Identifier: Apache-2.0
// Plain reading, watching and writing of entities.
#include <algorithm>
#include <charconv>

#include "api/state.hpp"
#include "base/ids.hpp"
#include "http/problem.hpp"

namespace tow::api {
namespace {

std::optional<std::int64_t> number_of(const http::Query& query, std::string_view name) {
  const auto text = query.get(name);
  if (!text) return {};
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size() || value < 0)
    throw fail(Code::Invalid, "?{}= must be a whole number, not \"{}\"", name, *text);
  return value;
}

// A name that is not known would answer another question than the one that was asked.
void refuse_unknown(const http::Query& query) {
  static const std::vector<std::string> known{"revision", "labels", "owner", "limit",
                                              "before",   "watch",  "from"};
  for (const auto& [name, value] : query.pairs()) {
    if (std::ranges::find(known, name) != known.end()) continue;
    const auto near = nearest(name, known);
    throw fail(Code::Invalid, "?{}= is not known here{}", name,
               near.empty() ? fmt::format("; there are {}", fmt::join(known, ", "))
                            : fmt::format("; did you mean \"{}\"?", near));
  }
}

// ?labels=team=a,tier=b
store::Filter filter_of(const Address& address, const http::Query& query) {
  store::Filter filter{.kind = address.key.kind, .project = address.key.project};
  if (const auto owner = query.get("owner")) filter.owner = *owner;
  std::string_view rest = query.get("labels").value_or("");
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const auto pair = rest.substr(0, comma);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos)
      throw fail(Code::Invalid, "?labels= is NAME=VALUE,…, not \"{}\"", pair);
    filter.labels.emplace(pair.substr(0, equals), pair.substr(equals + 1));
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return filter;
}

http::Response list_response(const std::vector<RecordPtr>& records, StoreRevision revision) {
  std::string body = fmt::format(R"({{"revision":{},"items":[)", revision);
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (i) body += ',';
    body += to_document_json(*records[i]);
  }
  return http::Response::json(body += "]}");
}

Error missing(const Key& key) {
  return fail(
      Code::NotFound, "there is no {}{}", to_string(key),
      key.kind == "Project" ? "; `tow project ls` lists them, `tow project create NAME` makes one" : "");
}

// History is kept for a time only: what was there is gone, and asking again does not bring it back.
template <class T>
Task<T> from_history(Task<T> reading) {
  try {
    co_return co_await std::move(reading);
  } catch (const store::WatchLost& error) {
    throw http::StatusError(410, Code::NotFound, error.message());
  }
}

constexpr std::int64_t kPage = 1000;

Permission changing(const Address& address) {
  return address.kind->in_project || address.kind->kind == "Project" ? Permission::Manage
                                                                     : Permission::Platform;
}

// An entity's tag is its revision: ETag and If-Match of RFC 9110, 8.8.3 and 13.1.1.
http::Response entity_response(const Record& record, int status = 200) {
  auto response = http::Response::json(to_document_json(record), status);
  response.headers.set("ETag", fmt::format("\"{}\"", record.revision));
  return response;
}

// "*" asks only that there is one, which everything here does that takes a condition.
std::optional<StoreRevision> expected_of(const http::Request& request) {
  const auto text = request.headers.get("If-Match");
  if (!text || *text == "*") return {};
  StoreRevision value = 0;
  if (text->size() > 2 && text->starts_with('"') && text->ends_with('"')) {
    const auto* end = text->data() + text->size() - 1;
    const auto read = std::from_chars(text->data() + 1, end, value);
    if (read.ec == std::errc{} && read.ptr == end && value > 0) return value;
  }
  throw fail(Code::Invalid, "If-Match is one revision in quotation marks, as ETag gives it, not {}", *text);
}

}  // namespace

Task<> Api::State::read(const Address& address, http::Request& request, http::Responder& responder, Call) {
  refuse_unknown(request.query);
  auto& store = settings.store;
  const auto revision = number_of(request.query, "revision");
  const auto snapshot = store.snapshot();
  if (address.entity()) {
    RecordPtr record;
    if (revision)
      record = co_await from_history(store.find_at(address.key, *revision));
    else if (address.kind->cold)
      record = co_await store.find(address.key);
    else
      record = snapshot->get(address.key);
    if (!record) throw missing(address.key);
    responder.send(entity_response(*record));
    co_return;
  }
  // A project that does not exist is a mistake; one without entities of that kind is not.
  if (!address.key.project.empty() && !revision && !snapshot->get({"Project", {}, address.key.project}))
    throw missing({"Project", {}, address.key.project});
  const auto filter = filter_of(address, request.query);
  const auto limit = number_of(request.query, "limit");
  if (revision) {
    const auto records = co_await from_history(store.list_at(filter, *revision));
    responder.send(list_response(records, *revision));
  } else if (address.kind->cold || limit) {
    store::Query query{.filter = filter, .before = number_of(request.query, "before").value_or(0)};
    query.limit = static_cast<std::size_t>(std::min(limit.value_or(100), kPage));
    const auto records = co_await store.query(std::move(query));
    responder.send(list_response(records, snapshot->revision()));
  } else {
    responder.send(list_response(snapshot->list(filter), snapshot->revision()));
  }
}

std::string Api::State::encode_change(const store::Change& change) {
  const bool put = change.type == store::Change::Type::Put;
  const auto encode = [&] {
    return http::Events::encode(std::to_string(change.revision), put ? "put" : "removed",
                                to_document_json(*change.record));
  };
  // A removal shares its record with the put before it, so it has no place among them.
  if (!put) return encode();
  const std::lock_guard lock{encoded_mutex};
  if (const auto found = encoded.find(change.record.get()); found != encoded.end())
    return found->second.second;
  if (encoded.size() > 1000) encoded.clear();
  auto text = encode();
  // The record is kept along, so that its address names nothing else meanwhile.
  encoded.emplace(change.record.get(), std::pair{change.record, text});
  return text;
}

Task<> Api::State::watch(const Address& address, http::Request& request, http::Responder& responder) {
  refuse_unknown(request.query);
  auto filter = filter_of(address, request.query);
  auto from = number_of(request.query, "from");
  if (const auto last = request.headers.get("Last-Event-ID"); last && !from) {
    std::int64_t value = 0;
    if (std::from_chars(last->data(), last->data() + last->size(), value).ec == std::errc{}) from = value;
  }
  const auto concerns = [&](const Record& record) {
    return !address.entity() || record.key.name == address.key.name;
  };
  // Let go of before the first wait: a snapshot keeps alive what it shows.
  auto snapshot = settings.store.snapshot();
  const auto watch = settings.store.watch(from.value_or(snapshot->revision()), filter);
  auto& events = responder.events();
  if (!from) {
    std::string text;
    for (const auto& record : snapshot->list(filter))
      if (concerns(*record))
        text += http::Events::encode(std::to_string(snapshot->revision()), "put", to_document_json(*record));
    text += http::Events::encode(std::to_string(snapshot->revision()), "listed", "{}");
    snapshot.reset();
    co_await events.write(text);
  }
  snapshot.reset();
  std::string lost;
  try {
    while (true) {
      const auto changes = co_await watch->next();
      std::string text;
      for (const auto& change : changes)
        if (concerns(*change.record)) text += encode_change(change);
      if (!text.empty()) co_await events.write(text);
    }
  } catch (const store::WatchLost& error) {
    lost = to_json(Node::Map{{"detail", error.message()}});
  }
  co_await events.send({}, "lost", lost);
}

// Who named a precondition in a header is told in HTTP's own words that it did not hold.
Task<> Api::State::commit_if(const http::Request& request, store::Transaction transaction) {
  std::optional<Error> conflict;
  try {
    co_await settings.store.commit(std::move(transaction));
  } catch (const Error& error) {
    if (error.code() != Code::Conflict || !request.headers.get("If-Match")) throw;
    conflict = error;
  }
  if (conflict) throw http::StatusError(412, Code::Conflict, conflict->message());
}

Task<> Api::State::write(const Address& address, http::Request& request, http::Responder& responder,
                         Call call) {
  co_await authorize(call, changing(address), request.method == "POST" ? "create" : "update");
  const bool creating = request.method == "POST";
  if (creating == address.entity())
    throw http::StatusError(405, Code::Invalid,
                            creating ? "POST makes one in the collection; PUT says how this one shall be"
                                     : "PUT goes to the address of one entity; POST makes one here");
  if (!address.kind->writable) {
    std::string verbs;
    for (const auto& operation : operations)
      if (operation.kind == address.kind->kind && operation.permission != Permission::Read)
        verbs += (verbs.empty() ? "" : ", ") + operation.name;
    throw fail(Code::FailedPrecondition, "a {} is not written plainly{}{}", address.kind->kind,
               verbs.empty() ? "; the platform makes it" : "; it has operations: ", verbs);
  }
  const auto body = co_await request.body.all();
  Node document = parse_json(body);
  // What the address says need not be said again.
  if (document.map()) {
    if (!document.find("apiVersion")) document.set("apiVersion", kApiVersion);
    if (!document.find("kind")) document.set("kind", address.kind->kind);
    Node metadata = document.find("metadata") ? *document.find("metadata") : Node{Node::Map{}};
    if (metadata.map() && !metadata.find("project") && !address.key.project.empty())
      metadata.set("project", address.key.project);
    if (metadata.map() && !metadata.find("name") && address.entity()) metadata.set("name", address.key.name);
    document.set("metadata", std::move(metadata));
  }
  auto expected = expected_of(request);
  if (const Node* metadata = document.find("metadata"))
    if (const Node* revision = metadata->find("revision"); revision && revision->integer()) {
      if (expected && *expected != *revision->integer())
        throw fail(Code::Invalid, "If-Match and metadata.revision name two revisions: {} and {}", *expected,
                   *revision->integer());
      expected = *revision->integer();
    }
  Record draft = from_document(document);
  if (draft.key.kind != address.key.kind || draft.key.project != address.key.project ||
      (address.entity() && draft.key.name != address.key.name))
    throw fail(Code::Invalid, "the document is of {}, the address of {}", to_string(draft.key),
               to_string(address.key));
  call.target = draft.key;
  const auto snapshot = settings.store.snapshot();
  if (address.kind->in_project && !snapshot->get({"Project", {}, draft.key.project}))
    throw missing({"Project", {}, draft.key.project});
  const auto before = snapshot->get(draft.key);
  if (before && creating) throw fail(Code::AlreadyExists, "{} exists", to_string(draft.key));
  if (before && before->deleted)
    throw fail(Code::FailedPrecondition, "{} is being deleted", to_string(draft.key));
  if (const auto found = admissions.find(draft.key.kind); found != admissions.end())
    for (const auto& admission : found->second) admission(call, before.get(), &draft);

  store::Transaction transaction;
  const Key key = draft.key;
  if (before) {
    transaction.put_spec(key, draft.spec, expected);
    transaction.put_metadata(key, draft.labels, draft.annotations);
  } else if (expected || request.headers.get("If-Match")) {
    throw missing(key);
  } else {
    transaction.create(std::move(draft));
  }
  // The trail and what it speaks of are one transaction: there is neither without the other.
  transaction.create(event(call, before ? "update" : "create", {}));
  co_await commit_if(request, std::move(transaction));
  const auto after = settings.store.snapshot()->get(key);
  if (!after) throw missing(key);
  responder.send(entity_response(*after, before ? 200 : 201));
}

Task<> Api::State::remove(const Address& address, http::Request& request, http::Responder& responder,
                          Call call) {
  co_await authorize(call, changing(address), "delete");
  if (!address.entity()) throw fail(Code::Invalid, "a collection is not deleted; name one of its entities");
  if (!address.kind->removable)
    throw fail(Code::FailedPrecondition, "a {} is not deleted plainly", address.kind->kind);
  const auto before = settings.store.snapshot()->get(address.key);
  if (!before) throw missing(address.key);
  if (const auto found = admissions.find(address.key.kind); found != admissions.end())
    for (const auto& admission : found->second) admission(call, before.get(), nullptr);
  store::Transaction transaction;
  transaction.erase(address.key, expected_of(request));
  transaction.create(event(call, "delete", {}));
  co_await commit_if(request, std::move(transaction));
  const auto after = settings.store.snapshot()->get(address.key);
  responder.send(http::Response::json(after ? to_document_json(*after) : "{}", after ? 202 : 200));
}

}  // namespace tow::api
