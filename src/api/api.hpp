// SPDX-License-Identifier: Apache-2.0
#pragma once
// The API: entities and operations over HTTP, through one gate.
//
// A capability declares each of its operations once; from that come the route, the gate's check, the audit
// event, the OpenAPI entry, and the client's call:
//
//   api.add(Operation<RollbackInput, RollbackOutput>{
//       .name = "deployments.rollback",
//       .target = Target::Entity,
//       .help = "Return to an earlier revision: release and configuration together.",
//       .permission = Permission::Deploy,
//       .repeat = Repeat::Safe,
//       .run = [&](Call call, RollbackInput input) { return rollouts.roll_back(call, input); }});
//
// Addresses: entities at /api/v1/[projects/PROJECT/]PLURAL[/NAME]; an operation on an entity at
// …/PLURAL/NAME:VERB, on the collection at …/PLURAL:VERB (POST; streams GET with server-sent events;
// terminals GET with a WebSocket). Everything is added before the server listens; then it is only read, by
// any thread.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/reading.hpp"
#include "base/schema.hpp"
#include "http/http.hpp"
#include "http/router.hpp"
#include "model/record.hpp"
#include "store/store.hpp"

namespace tow::api {

enum class Permission {
  Read,       // look
  Deploy,     // change what runs
  Configure,  // set configuration and secrets
  Manage,     // make and remove projects, environments, repositories
  Platform,   // the platform's own settings, tokens
  None,       // no subject needed: the operation proves its caller by what it is given
};
enum class Repeat { Safe, Unsafe };
enum class Target { Entity, Collection };

/// Who calls. The default is nobody.
struct Subject {
  std::string name;
  bool administrator = false;
};

struct Call {
  Subject subject;
  Key target;  // for Target::Collection without a name
  TimePoint time{};
};

/// Who is asking, and may they? The default is no.
class Gate {
 public:
  virtual ~Gate() = default;
  /// Throws Error{Unauthenticated}.
  virtual Task<Subject> authenticate(const http::Request& request) = 0;
  /// Throws Error{Denied}.
  virtual void authorize(const Subject& subject, Permission permission, const Key& target) const = 0;
};

template <class In, class Out>
struct Operation {
  std::string_view name;  // "PLURAL.VERB"
  Target target = Target::Entity;
  std::string_view help;
  Permission permission = Permission::Platform;
  Repeat repeat = Repeat::Unsafe;
  std::function<Task<Out>(Call, In)> run;
};

/// Gives items until it returns or its caller goes away. What it throws ends the stream with an event
/// "error".
template <class In, class Item>
struct StreamOperation {
  std::string_view name;
  Target target = Target::Entity;
  std::string_view help;
  Permission permission = Permission::Platform;
  std::function<Task<>(Call, In, std::function<Task<>(const Item&)>)> run;
};

/// The caller's side of a terminal.
class Terminal {
 public:
  struct Input {
    std::string bytes;
    std::optional<std::pair<int, int>> size;  // columns, rows
    bool closed = false;                      // no more input will come
  };
  virtual ~Terminal() = default;
  /// Nothing when the caller is gone.
  virtual Task<std::optional<Input>> read() = 0;
  virtual Task<> write(std::string_view bytes) = 0;
};
/// Returns the exit code.
template <class In>
struct TerminalOperation {
  std::string_view name;
  Target target = Target::Entity;
  std::string_view help;
  Permission permission = Permission::Platform;
  std::function<Task<int>(Call, In, Terminal&)> run;
};

enum class Shape { Unary, Stream, Terminal };

/// An operation without its types.
struct AnyOperation {
  std::string name;
  std::string kind;  // "Deployment"
  std::string verb;  // "rollback"
  Target target;
  std::string help;
  Permission permission;
  Repeat repeat = Repeat::Unsafe;
  Shape shape;
  Node input;   // JSON Schema
  Node output;  // JSON Schema; of an item, for a stream
  std::function<Task<Node>(Call, const Node&)> unary;
  std::function<Task<>(Call, const Node&, std::function<Task<>(const Node&)>)> stream;
  std::function<Task<int>(Call, const Node&, Terminal&)> terminal;
};

/// Looks before a plain write or removal of an entity is committed, and may refuse it (throws).
using Admission = std::function<void(const Call& call, const Record* before, const Record* after)>;

struct Settings {
  store::Store& store;
  Gate& gate;
  Clock& clock;
  std::string version;
};

class Api {
 public:
  explicit Api(Settings settings);
  ~Api();

  template <class In, class Out>
  void add(Operation<In, Out> operation);
  template <class In, class Item>
  void add(StreamOperation<In, Item> operation);
  template <class In>
  void add(TerminalOperation<In> operation);
  void add(AnyOperation operation);
  /// For plain writes of a kind.
  void admit(std::string kind, Admission admission);

  /// Adds /api/v1/… to the router.
  void mount(http::Router& router);
  /// Calls an operation in-process as `call.subject`, with the same check and audit event as over HTTP.
  Task<Node> invoke(std::string_view name, Call call, Node input);

  const std::vector<AnyOperation>& operations() const;
  Node openapi() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

namespace detail {
/// Splits "deployments.rollback"; a kind that does not exist is a broken invariant.
AnyOperation begin_operation(std::string_view name, Target target, std::string_view help,
                             Permission permission);
}  // namespace detail

template <class In, class Out>
void Api::add(Operation<In, Out> operation) {
  auto any = detail::begin_operation(operation.name, operation.target, operation.help, operation.permission);
  any.shape = Shape::Unary;
  any.repeat = operation.repeat;
  any.input = schema<In>();
  any.output = schema<Out>();
  any.unary = [run = std::move(operation.run), name = any.name](Call call, const Node& input) -> Task<Node> {
    auto typed = read_document<In>(input.is_null() ? Node{Node::Map{}} : input, name);
    Out output = co_await run(std::move(call), std::move(typed));
    co_return write(output);
  };
  add(std::move(any));
}

template <class In, class Item>
void Api::add(StreamOperation<In, Item> operation) {
  auto any = detail::begin_operation(operation.name, operation.target, operation.help, operation.permission);
  any.shape = Shape::Stream;
  any.repeat = Repeat::Safe;
  any.input = schema<In>();
  any.output = schema<Item>();
  any.stream = [run = std::move(operation.run), name = any.name](
                   Call call, const Node& input, std::function<Task<>(const Node&)> emit) -> Task<> {
    auto typed = read_document<In>(input.is_null() ? Node{Node::Map{}} : input, name);
    std::function<Task<>(const Item&)> sink = [&emit](const Item& item) -> Task<> {
      co_await emit(write(item));
    };
    co_await run(std::move(call), std::move(typed), std::move(sink));
  };
  add(std::move(any));
}

template <class In>
void Api::add(TerminalOperation<In> operation) {
  auto any = detail::begin_operation(operation.name, operation.target, operation.help, operation.permission);
  any.shape = Shape::Terminal;
  any.input = schema<In>();
  any.output = Node::Map{};
  any.terminal = [run = std::move(operation.run), name = any.name](Call call, const Node& input,
                                                                   Terminal& terminal) -> Task<int> {
    auto typed = read_document<In>(input.is_null() ? Node{Node::Map{}} : input, name);
    co_return co_await run(std::move(call), std::move(typed), terminal);
  };
  add(std::move(any));
}

}  // namespace tow::api
