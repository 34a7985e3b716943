// SPDX-License-Identifier: Apache-2.0
#pragma once
// The API with types, for programs: the command line, hooks, tests. One server each. Errors come back as the
// tow::Error that the server threw, faults included. Thread-safe; what it returned must be gone before it is.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/reading.hpp"
#include "base/writing.hpp"
#include "http/client.hpp"
#include "model/entity.hpp"

namespace tow::client {

struct Settings {
  std::string url;    // "http://127.0.0.1:8690", "unix:///run/towpath/tow.sock"
  std::string token;  // empty on a local socket
};

/// An entity as people see it (secrets redacted), and its envelope.
struct Item {
  Node document;
  Key key;
  StoreRevision revision = 0;
};
struct List {
  StoreRevision revision = 0;
  std::vector<Node> items;
};
struct Change {
  bool listed = false;  // no change: all that existed at first has been told
  bool removed = false;
  StoreRevision revision = 0;
  Node document;
};

class Client {
 public:
  Client(Executor executor, Settings settings);
  ~Client();

  /// Nothing when it does not exist.
  Task<std::optional<Node>> get(Key key, std::optional<StoreRevision> revision = {});
  /// A key without a name; without a project, over all projects. `query` is appended as it is ("limit=5").
  Task<List> list(Key collection, std::string query = {});
  Task<Node> put(Key key, Node document);
  Task<Node> create(Key key, Node document);
  Task<> remove(Key key);
  /// Calls `changed` with what exists, once with `listed`, then with every change, until it returns false.
  /// After a gap it begins again, and what went meanwhile is told as removed.
  Task<> watch(Key key, std::function<bool(const Change&)> changed);

  /// "deployments.rollback" on shop/web.production.
  template <class Out, class In>
  Task<Out> call(std::string operation, std::string project, std::string name, const In& input) {
    const Node output =
        co_await call_any(std::move(operation), std::move(project), std::move(name), write(input));
    co_return read_document<Out>(output, "the server's answer", Strictness::Stored);
  }
  Task<Node> call_any(std::string operation, std::string project, std::string name, Node input);

  /// Calls `item` with each until the stream ends or it returns false. Throws what the stream ended with.
  template <class Item, class In>
  Task<> stream(std::string operation, std::string project, std::string name, const In& input,
                std::function<bool(const Item&)> item) {
    co_await stream_any(std::move(operation), std::move(project), std::move(name), write(input),
                        [&item](const Node& node) {
                          return item(read_document<Item>(node, "the server's answer", Strictness::Stored));
                        });
  }
  Task<> stream_any(std::string operation, std::string project, std::string name, Node input,
                    std::function<bool(const Node&)> item);

  /// Opens a terminal; its protocol is that of api/streams.cpp.
  Task<std::unique_ptr<http::WebSocket>> terminal(std::string operation, std::string project,
                                                  std::string name, Node input);

  /// Any GET: its text. For /metrics, /api/v1/openapi.json.
  Task<std::string> fetch(std::string path);

 private:
  http::Call prepare(std::string_view method, std::string target) const;
  Task<Node> exchange(http::Call call);

  Settings settings_;
  http::Client http_;
};

/// The address of an entity, a collection (no name), or with a verb of an operation on either.
std::string path_of(const Key& key, std::string_view verb = {});

}  // namespace tow::client
