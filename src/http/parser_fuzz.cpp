// SPDX-License-Identifier: Apache-2.0
// libFuzzer: requests, targets, queries and event streams. Beside crashes it holds that a request means the
// same however the network cuts it, and that what is decoded encodes back.
//   clang++ -fsanitize=fuzzer,address,undefined … parser_fuzz.cpp parser.cpp text.cpp http.cpp beast.cpp
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdlib>

#include "base/error.hpp"
#include "http/client.hpp"
#include "http/parser.hpp"
#include "http/text.hpp"

namespace {

using namespace tow;
using namespace tow::http;

class NoBody final : public Body {
 public:
  Task<std::string> read() override { co_return ""; }
  void set_limit(std::optional<std::uint64_t>) override {}
  std::optional<std::uint64_t> size() const override { return 0; }
};

struct Outcome {
  std::string text;
  bool done = false;
  bool operator==(const Outcome&) const = default;
};

// Feeds the bytes as two pieces, the way a connection does.
Outcome parse(std::string_view bytes, std::size_t cut) {
  NoBody none;
  Request request{none};
  RequestParser parser{request};
  Outcome outcome;
  std::string in, body;
  for (const auto piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
    in += piece;
    boost::system::error_code error;
    while (!in.empty() && !error && !parser.is_done()) {
      in.erase(0, parser.put(boost::asio::buffer(in), error));
      body += parser.take_body();
    }
    if (error && error != boost::beast::http::error::need_more) return {};
  }
  outcome.done = parser.is_done();
  if (parser.is_header_done()) {
    outcome.text = request.method + " " + request.path;
    for (const auto field : request.headers) outcome.text.append("\n").append(field.name).append(field.value);
    for (const auto& [name, value] : request.query.pairs())
      outcome.text.append("\n").append(name).append(value);
    if (request.path.contains("/../") || request.path.contains('\0') || !is_utf8(request.path)) std::abort();
  }
  outcome.text += "\n" + body;
  return outcome;
}

class Bytes final : public Reply {
 public:
  Bytes(std::string_view bytes, std::size_t step) : bytes_{bytes}, step_{step} {}
  int status() const override { return 200; }
  const Headers& headers() const override { return headers_; }
  Task<std::string> read() override {
    std::string piece{bytes_.substr(0, step_)};
    bytes_.remove_prefix(piece.size());
    co_return piece;
  }

 private:
  std::string_view bytes_;
  std::size_t step_;
  Headers headers_;
};

std::string events(std::string_view bytes, std::size_t step) {
  return run_blocking([](std::string_view in, std::size_t size) -> Task<std::string> {
    EventReader reader{std::make_unique<Bytes>(in, size)};
    std::string all;
    for (;;) {
      const auto event = co_await reader.next();
      if (!event) co_return all;
      all += event->id + "\1" + event->event + "\1" + event->data + "\2";
    }
  }(bytes, step));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t cut = data[0] * 256U + data[1];
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 2, size - 2};
  const auto whole = parse(bytes, bytes.size()), pieces = parse(bytes, std::min(cut, bytes.size()));
  // A refusal may come earlier or later; what is accepted must be the same.
  if ((whole.done || pieces.done) && whole != pieces) std::abort();
  if (const auto decoded = decode(bytes); decoded && decode(encode(*decoded)) != decoded) std::abort();
  if (events(bytes, bytes.size() + 1) != events(bytes, 1 + cut % 5)) std::abort();
  return 0;
}
