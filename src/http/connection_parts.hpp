// SPDX-License-Identifier: Apache-2.0
#pragma once
// The faces that a connection shows to its handler. Private to this folder, and only for .cpp files.

#include "http/connection.hpp"

namespace tow::http {

struct Connection::BodyOf final : Body {
  explicit BodyOf(Connection& c) : connection{c} {}
  Task<std::string> read() override { return connection.read_body(); }
  void set_limit(std::optional<std::uint64_t> limit) override { connection.body_limit_ = limit; }
  std::optional<std::uint64_t> size() const override;
  Connection& connection;
};

struct Connection::WriterOf final : Writer {
  explicit WriterOf(Connection& c) : connection{c} {}
  Task<> write(std::string_view bytes) override { return connection.write(bytes); }
  Task<> flush() override { return connection.write({}); }
  Task<> finish() override;
  Connection& connection;
};

struct Connection::EventsOf final : Events {
  explicit EventsOf(Connection& c) : connection{c} {}
  Task<> write(std::string_view encoded) override { return connection.write(encoded); }
  Connection& connection;
};

struct Connection::ResponderOf final : Responder {
  explicit ResponderOf(Connection& c) : connection{c}, writer{c}, events_of{c} {}
  void send(Response response) override { connection.send(std::move(response)); }
  Writer& begin(int status, Headers headers) override;
  Events& events(Headers headers) override;
  bool wants_websocket() const override;
  Task<std::unique_ptr<WebSocket>> accept(WebSocketSettings settings) override {
    return connection.accept(std::move(settings));
  }
  bool begun() const override { return connection.framing_ != Framing::Undecided; }
  Connection& connection;
  WriterOf writer;
  EventsOf events_of;
};

}  // namespace tow::http
