// SPDX-License-Identifier: Apache-2.0
#include "client/client.hpp"

#include <charconv>
#include <map>

#include "http/problem.hpp"
#include "http/text.hpp"

namespace tow::client {
namespace {

// "deployments.rollback" -> the target's key and the verb.
std::pair<Key, std::string> split_operation(std::string_view operation, std::string project,
                                            std::string name) {
  const auto dot = operation.find('.');
  const auto* kind = find_kind(operation.substr(0, dot));
  if (!kind || dot == std::string_view::npos)
    throw fail(Code::Internal, "\"{}\" is not an operation", operation);
  return {Key{std::string{kind->kind}, std::move(project), std::move(name)},
          std::string{operation.substr(dot + 1)}};
}

// Inputs of streams and terminals travel in the query.
std::string query_of(const Node& input) {
  std::string query;
  const auto add = [&](std::string_view name, const Node& value) {
    query += query.empty() ? "?" : "&";
    query += http::encode(name) + "=" + http::encode(value.string() ? *value.string() : to_json(value));
  };
  if (const auto* map = input.map())
    for (const auto& [name, value] : *map) {
      if (const auto* list = value.list())
        for (const auto& each : *list) add(name, each);
      else if (!value.is_null())
        add(name, value);
    }
  return query;
}

std::int64_t revision_of(std::string_view id) {
  std::int64_t revision = 0;
  std::from_chars(id.data(), id.data() + id.size(), revision);
  return revision;
}

// "shop/web.production": what tells one from another in a watch of one kind.
std::string name_in(const Node& document) {
  std::string name;
  for (const char* part : {"project", "name"})
    if (const Node* metadata = document.find("metadata"))
      if (const Node* value = metadata->find(part); value && value->string()) name += *value->string() + "/";
  return name;
}

Node read_answer(const http::Response& response) {
  if (response.status >= 400) throw http::error_of(response);
  return response.body.empty() ? Node{} : parse_json(response.body);
}

}  // namespace

std::string path_of(const Key& key, std::string_view verb) {
  const auto* kind = find_kind(key.kind);
  if (!kind) throw fail(Code::Invalid, "\"{}\" is no kind", key.kind);
  std::string path = "/api/v1/";
  if (kind->in_project && !key.project.empty()) path += "projects/" + http::encode(key.project) + "/";
  path += kind->plural;
  if (!key.name.empty()) path += "/" + http::encode(key.name);
  if (!verb.empty()) path.append(":").append(verb);
  return path;
}

Client::Client(Executor executor, Settings settings)
    : settings_{std::move(settings)}, http_{std::move(executor), settings_.url} {}
Client::~Client() = default;

http::Call Client::prepare(std::string_view method, std::string target) const {
  http::Call call;
  call.method = method;
  call.target = std::move(target);
  if (!settings_.token.empty()) call.headers.set("Authorization", "Bearer " + settings_.token);
  return call;
}

Task<Node> Client::exchange(http::Call call) {
  const auto response = co_await http_.fetch(std::move(call));
  co_return read_answer(response);
}

Task<std::optional<Node>> Client::get(Key key, std::optional<StoreRevision> revision) {
  auto target = path_of(key);
  if (revision) target += fmt::format("?revision={}", *revision);
  const auto response = co_await http_.fetch(prepare("GET", std::move(target)));
  if (response.status == 404) co_return std::nullopt;
  co_return read_answer(response);
}

Task<List> Client::list(Key collection, std::string query) {
  collection.name.clear();
  const Node answer =
      co_await exchange(prepare("GET", path_of(collection) + (query.empty() ? "" : "?" + query)));
  List list;
  if (const Node* revision = answer.find("revision"); revision && revision->integer())
    list.revision = *revision->integer();
  if (const Node* items = answer.find("items"); items && items->list()) list.items = *items->list();
  co_return list;
}

Task<Node> Client::put(Key key, Node document) {
  auto call = prepare("PUT", path_of(key));
  call.headers.set("Content-Type", "application/json");
  call.body = to_json(document);
  co_return co_await exchange(std::move(call));
}

Task<Node> Client::create(Key key, Node document) {
  key.name.clear();
  auto call = prepare("POST", path_of(key));
  call.headers.set("Content-Type", "application/json");
  call.body = to_json(document);
  co_return co_await exchange(std::move(call));
}

Task<> Client::remove(Key key) { co_await exchange(prepare("DELETE", path_of(key))); }

Task<> Client::watch(Key key, std::function<bool(const Change&)> changed) {
  // What was told to exist: after a gap, what is listed no more was removed meanwhile.
  std::map<std::string, Node> known;
  while (true) {
    std::map<std::string, Node> before;
    before.swap(known);
    auto events = co_await http_.events(prepare("GET", path_of(key) + "?watch=true"));
    bool lost = false;
    while (auto event = co_await events.next()) {
      if (event->event == "lost") {
        lost = true;
        break;
      }
      if (event->event != "put" && event->event != "removed" && event->event != "listed") continue;
      Change change{.listed = event->event == "listed",
                    .removed = event->event == "removed",
                    .revision = revision_of(event->id),
                    .document = parse_json(event->data)};
      if (change.listed) {
        for (auto& [name, document] : before)
          if (!known.contains(name) &&
              !changed({.removed = true, .revision = change.revision, .document = std::move(document)}))
            co_return;
        before.clear();
      } else if (change.removed) {
        known.erase(name_in(change.document));
      } else {
        known[name_in(change.document)] = change.document;
      }
      if (!changed(change)) co_return;
    }
    if (!lost) throw fail(Code::Unavailable, "the server ended the watch");
  }
}

Task<Node> Client::call_any(std::string operation, std::string project, std::string name, Node input) {
  const auto [key, verb] = split_operation(operation, std::move(project), std::move(name));
  auto call = prepare("POST", path_of(key, verb));
  call.headers.set("Content-Type", "application/json");
  call.body = to_json(input);
  call.deadline = std::chrono::minutes{5};
  co_return co_await exchange(std::move(call));
}

Task<> Client::stream_any(std::string operation, std::string project, std::string name, Node input,
                          std::function<bool(const Node&)> item) {
  const auto [key, verb] = split_operation(operation, std::move(project), std::move(name));
  auto events = co_await http_.events(prepare("GET", path_of(key, verb) + query_of(input)));
  while (auto event = co_await events.next()) {
    if (event->event == "end") co_return;
    if (event->event == "error") {
      http::Response problem;
      problem.status = 500;
      problem.headers.set("Content-Type", "application/problem+json");
      problem.body = event->data;
      throw http::error_of(problem);
    }
    if (event->event == "item" && !item(parse_json(event->data))) co_return;
  }
  throw fail(Code::Unavailable, "the server ended the stream before its end");
}

Task<std::unique_ptr<http::WebSocket>> Client::terminal(std::string operation, std::string project,
                                                        std::string name, Node input) {
  const auto [key, verb] = split_operation(operation, std::move(project), std::move(name));
  co_return co_await http_.websocket(prepare("GET", path_of(key, verb) + query_of(input)));
}

Task<std::string> Client::fetch(std::string path) {
  auto response = co_await http_.fetch(prepare("GET", std::move(path)));
  if (response.status >= 400) throw http::error_of(response);
  co_return std::move(response.body);
}

}  // namespace tow::client
