// SPDX-License-Identifier: Apache-2.0
#include "api/api.hpp"

#include <algorithm>

#include "api/openapi.hpp"
#include "api/state.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "http/problem.hpp"
#include "model/identity.hpp"

namespace tow::api {

namespace detail {

AnyOperation begin_operation(std::string_view name, Target target, std::string_view help,
                             Permission permission) {
  const auto dot = name.find('.');
  const auto* kind = find_kind(name.substr(0, dot));
  if (!kind || dot == std::string_view::npos)
    throw fail(Code::Internal, "the operation \"{}\" names no kind: PLURAL.VERB", name);
  AnyOperation operation;
  operation.name = name;
  operation.kind = kind->kind;
  operation.verb = name.substr(dot + 1);
  operation.target = target;
  operation.help = help;
  operation.permission = permission;
  return operation;
}

}  // namespace detail

Api::Api(Settings settings) : state_{std::make_unique<State>(std::move(settings))} {}
Api::~Api() = default;

void Api::add(AnyOperation operation) {
  for (const auto& each : state_->operations)
    if (each.name == operation.name)
      throw fail(Code::Internal, "the operation {} is declared twice", each.name);
  state_->operations.push_back(std::move(operation));
}

void Api::admit(std::string kind, Admission admission) {
  state_->admissions[std::move(kind)].push_back(std::move(admission));
}

const std::vector<AnyOperation>& Api::operations() const { return state_->operations; }
Node Api::openapi() const { return describe_api(state_->operations, state_->settings.version); }

Task<Node> Api::invoke(std::string_view name, Call call, Node input) {
  const auto& operation = state_->find(name);
  call.target.kind = operation.kind;
  co_return co_await state_->call_unary(operation, std::move(call), std::move(input));
}

const AnyOperation& Api::State::find(const Address& address) const {
  const auto target = address.entity() ? Target::Entity : Target::Collection;
  std::vector<std::string> known;
  for (const auto& operation : operations) {
    if (operation.kind != address.kind->kind) continue;
    known.push_back(operation.verb);
    if (operation.verb != address.verb) continue;
    if (operation.target == target) return operation;
    throw fail(Code::NotFound, "{} is an operation on {}", operation.name,
               target == Target::Entity
                   ? fmt::format("the collection: {}:{}", address.kind->plural, operation.verb)
                   : fmt::format("one of them: {}/NAME:{}", address.kind->plural, operation.verb));
  }
  const auto near = nearest(address.verb, known);
  throw fail(Code::NotFound, "{} have no operation \"{}\"{}", address.kind->plural, address.verb,
             near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
}

const AnyOperation& Api::State::find(std::string_view name) const {
  for (const auto& operation : operations)
    if (operation.name == name) return operation;
  throw fail(Code::Internal, "no operation is called {}", name);
}

Task<> Api::State::authorize(const Call& call, Permission permission, std::string action) {
  std::optional<Error> denied;
  try {
    if (permission != Permission::None) settings.gate.authorize(call.subject, permission, call.target);
  } catch (const Error& error) {
    denied = error;
  }
  if (!denied) co_return;
  if (denied->code() == Code::Denied) {
    try {
      co_await record_event(call, std::move(action), "denied: " + denied->message());
    } catch (const Error& error) {
      // A trail that cannot be written to opens no door.
      log::error("api", "a denied call is not in the trail: {}", error.what());
    }
  }
  throw *denied;
}

Record Api::State::event(const Call& call, std::string action, std::string message) const {
  if (message.size() > 2000) message.resize(2000);
  Event::Spec spec{.subject = call.subject.name.empty() ? "anonymous" : call.subject.name,
                   .action = std::move(action),
                   .target = to_string(call.target),
                   .message = std::move(message),
                   .time = call.time};
  return draft<Event>(call.target.project, new_uid(), spec);
}

Task<> Api::State::record_event(const Call& call, std::string action, std::string message) {
  store::Transaction transaction;
  transaction.create(event(call, std::move(action), std::move(message)));
  co_await settings.store.commit(std::move(transaction), store::Durability::Soon);
}

Task<Node> Api::State::call_unary(const AnyOperation& operation, Call call, Node input) {
  co_await authorize(call, operation.permission, operation.name);
  Node output = co_await operation.unary(call, input);
  if (operation.permission != Permission::Read) {
    redact(input, operation.input);
    co_await record_event(call, operation.name, to_json(input));
  }
  co_return output;
}

namespace {

Task<Node> read_input(http::Request& request) {
  const auto type = request.headers.get("Content-Type").value_or("application/json");
  if (!type.starts_with("application/json"))
    throw fail(Code::Invalid, "the body must be application/json, not {}", type);
  const auto text = co_await request.body.all();
  if (text.empty()) co_return Node{Node::Map{}};
  co_return parse_json(text);
}

}  // namespace

Task<> Api::State::handle(http::Request& request, http::Responder& responder) {
  const auto address = parse_address(request.param("rest"));
  Call call{.subject = {}, .target = address.key, .time = settings.clock.now()};
  const AnyOperation* operation = address.verb.empty() ? nullptr : &find(address);
  if (!operation || operation->permission != Permission::None)
    call.subject = co_await settings.gate.authenticate(request);

  if (operation) {
    const bool wants_post = operation->shape == Shape::Unary;
    if (request.method != (wants_post ? "POST" : "GET"))
      throw http::StatusError(
          405, Code::Invalid,
          fmt::format("{} is called with {}", operation->name, wants_post ? "POST" : "GET"));
    if (operation->shape == Shape::Unary) {
      Node input = co_await read_input(request);
      const Node output = co_await call_unary(*operation, std::move(call), std::move(input));
      responder.send(http::Response::json(to_json(output)));
      co_return;
    }
    Node input = input_of_query(request.query, operation->input);
    co_await authorize(call, operation->permission, operation->name);
    if (operation->shape == Shape::Stream)
      co_await stream(*operation, std::move(call), std::move(input), responder);
    else
      co_await terminal(*operation, std::move(call), std::move(input), responder);
  } else if (request.method == "GET" || request.method == "HEAD") {
    co_await authorize(call, Permission::Read, "read");
    if (request.query.has("watch") && request.method == "GET")
      co_await watch(address, request, responder);
    else
      co_await read(address, request, responder, std::move(call));
  } else if (request.method == "PUT" || request.method == "POST") {
    co_await write(address, request, responder, std::move(call));
  } else if (request.method == "DELETE") {
    co_await remove(address, request, responder, std::move(call));
  } else {
    throw http::StatusError(405, Code::Invalid,
                            fmt::format("{} is not used here: GET, PUT, POST or DELETE", request.method));
  }
}

void Api::mount(http::Router& router) {
  router.add("GET", "/api/v1/openapi.json", [this](http::Request&, http::Responder& responder) -> Task<> {
    responder.send(http::Response::json(to_json(openapi())));
    co_return;
  });
  router.add("*", "/api/v1/{rest...}", [this](http::Request& request, http::Responder& responder) -> Task<> {
    co_await state_->handle(request, responder);
  });
}

}  // namespace tow::api
