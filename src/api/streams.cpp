// SPDX-License-Identifier: Apache-2.0
// Operations that go on: streams as server-sent events, terminals as WebSockets.
#include <algorithm>
#include <charconv>
#include <deque>

#include "api/state.hpp"
#include "http/problem.hpp"

namespace tow::api {

Node input_of_query(const http::Query& query, const Node& schema) {
  Node input{Node::Map{}};
  const Node* properties = schema.find("properties");
  for (const auto& [name, text] : query.pairs()) {
    const Node* property = properties ? properties->find(name) : nullptr;
    const Node* type = property ? property->find("type") : nullptr;
    const std::string kind = type && type->string() ? *type->string() : "string";
    if (kind == "array") {
      Node list = input.find(name) ? *input.find(name) : Node{Node::List{}};
      list.list()->push_back(text);
      input.set(name, std::move(list));
    } else if (kind == "integer") {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc{} || end != text.data() + text.size())
        throw fail(Code::Invalid, "?{}= must be a whole number, not \"{}\"", name, text);
      input.set(name, value);
    } else if (kind == "boolean") {
      if (text != "true" && text != "false" && !text.empty())
        throw fail(Code::Invalid, "?{}= must be true or false, not \"{}\"", name, text);
      input.set(name, text != "false");
    } else {
      input.set(name, text);
    }
  }
  return input;
}

namespace {
constexpr Duration kPatience{150};
}

Task<> Api::State::stream(const AnyOperation& operation, Call call, Node input, http::Responder& responder) {
  // A failure before the first item is still an ordinary answer with its status, if it comes soon. Who asked
  // for what is silent learns after that moment that it is being listened to.
  http::Events* events = nullptr;
  std::function<Task<>(const Node&)> emit = [&](const Node& item) -> Task<> {
    if (!events) events = &responder.events();
    const auto data = to_json(item);
    co_await events->send({}, "item", data);
  };
  std::optional<std::string> problem;
  co_await with_scope("stream", [&](Scope& scope) -> Task<> {
    scope.spawn([&]() -> Task<> {
      co_await settings.clock.sleep(kPatience);
      if (!events) events = &responder.events();
    });
    try {
      co_await operation.stream(call, input, emit);
    } catch (...) {
      if (!events || is_cancellation(std::current_exception())) throw;
      problem = http::problem(std::current_exception(), operation.name).body;
    }
  });
  if (!events) events = &responder.events();
  if (problem)
    co_await events->send({}, "error", *problem);
  else
    co_await events->send({}, "end", "{}");
}

namespace {

// Binary messages are bytes of the terminal; text messages are JSON: {"resize":{"columns":80,"rows":24}},
// {"close":true} from the caller, {"exit":0} or {"error":{…}} to it.
// A read of a WebSocket that is cancelled ends the whole socket, and whoever serves a terminal may stop
// reading at any moment. So one task of ours reads, and read() takes what it has read.
class SocketTerminal final : public Terminal {
 public:
  explicit SocketTerminal(http::WebSocket& socket) : socket_{socket} {}

  Task<> pump() {
    try {
      while (auto message = co_await socket_.read()) {
        inputs_.push_back(input_of(std::move(*message)));
        arrived_.notify();
        while (inputs_.size() >= kAhead) co_await taken_.wait();
      }
    } catch (const Error& error) {
      if (error.code() == Code::Invalid) broken_ = error;
    } catch (const std::exception&) {
      // However the caller went, it is gone.
    }
    gone_ = true;
    arrived_.notify();
  }

  Task<std::optional<Input>> read() override {
    while (inputs_.empty()) {
      if (broken_) throw *broken_;
      if (gone_) co_return std::nullopt;
      co_await arrived_.wait();
    }
    auto input = std::move(inputs_.front());
    inputs_.pop_front();
    taken_.notify();
    co_return input;
  }

  Task<> write(std::string_view bytes) override {
    co_await socket_.write(http::WebSocket::Kind::Binary, bytes);
  }

 private:
  static constexpr std::size_t kAhead = 64;  // messages; a caller that sends faster waits

  static Input input_of(http::WebSocket::Message message) {
    Input input;
    if (message.kind == http::WebSocket::Kind::Binary) {
      input.bytes = std::move(message.data);
      return input;
    }
    const Node control = parse_json(message.data);
    if (const Node* size = control.find("resize")) {
      const Node* columns = size->find("columns");
      const Node* rows = size->find("rows");
      const auto side = [](const Node* value) {
        return value && value->integer() ? std::clamp<std::int64_t>(*value->integer(), 0, 10'000) : 0;
      };
      if (side(columns) > 0 && side(rows) > 0)
        input.size = {static_cast<int>(side(columns)), static_cast<int>(side(rows))};
    }
    if (const Node* close = control.find("close"); close && close->boolean())
      input.closed = *close->boolean();
    return input;
  }

  http::WebSocket& socket_;
  std::deque<Input> inputs_;
  Signal arrived_, taken_;
  bool gone_ = false;
  std::optional<Error> broken_;  // the caller said what is no message of the protocol
};

}  // namespace

Task<> Api::State::terminal(const AnyOperation& operation, Call call, Node input,
                            http::Responder& responder) {
  if (!responder.wants_websocket())
    throw fail(Code::Invalid, "{} is a terminal: ask for a WebSocket", operation.name);
  if (operation.permission != Permission::Read) {
    Node shown = input;
    redact(shown, operation.input);
    co_await record_event(call, operation.name, to_json(shown));
  }
  auto socket = co_await responder.accept();
  SocketTerminal terminal{*socket};
  co_await with_scope("terminal", [&](Scope& scope) -> Task<> {
    scope.spawn([&]() -> Task<> { co_await terminal.pump(); });
    std::string last;
    try {
      const int code = co_await operation.terminal(call, input, terminal);
      last = to_json(Node::Map{{"exit", code}});
    } catch (...) {
      if (is_cancellation(std::current_exception())) throw;
      last = "{\"error\":" + http::problem(std::current_exception(), operation.name).body + "}";
    }
    co_await socket->write(http::WebSocket::Kind::Text, last);
    co_await socket->close();
  });
}

}  // namespace tow::api
