// SPDX-License-Identifier: Apache-2.0
#include "http.hpp"

#include "check.hpp"

using namespace quotes;

namespace {

void test_parse() {
  struct Case {
    std::string_view reason;
    std::string input;
    Parsed state;
    std::string method{};
    std::string path{};
    bool keep_alive = true;
    bool has_body = false;
  };
  const std::string long_header = "GET / HTTP/1.1\r\nA: " + std::string(kLargestHead, 'x');
  const Case cases[] = {
      {"a plain request", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", Parsed::Complete, "GET", "/a"},
      {"a query is no part of the path", "GET /a?b=c HTTP/1.1\r\n\r\n", Parsed::Complete, "GET", "/a"},
      {"1.0 closes unless asked", "GET / HTTP/1.0\r\n\r\n", Parsed::Complete, "GET", "/", false},
      {"1.0 keeps when asked", "GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", Parsed::Complete, "GET",
       "/"},
      {"1.1 closes when asked", "GET / HTTP/1.1\r\nConnection: te, close\r\n\r\n", Parsed::Complete, "GET",
       "/", false},
      {"a length announces a body", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", Parsed::Complete,
       "POST", "/", true, true},
      {"a length of 0 does not", "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Parsed::Complete, "POST",
       "/"},
      {"chunks are a body", "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", Parsed::Complete, "PUT",
       "/", true, true},
      {"half a request", "GET / HTTP/1.1\r\nHost: x\r\n", Parsed::Incomplete},
      {"nothing", "", Parsed::Incomplete},
      {"an endless head", long_header, Parsed::TooLarge},
      {"a head that ends too late", long_header + "\r\n\r\n", Parsed::TooLarge},
      {"another version", "GET / HTTP/2\r\n\r\n", Parsed::Bad},
      {"no version", "GET /\r\n\r\n", Parsed::Bad},
      {"a space in the target", "GET /a b HTTP/1.1\r\n\r\n", Parsed::Bad},
      {"a header without a colon", "GET / HTTP/1.1\r\nHost\r\n\r\n", Parsed::Bad},
      {"a space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", Parsed::Bad},
      {"an empty line first", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", Parsed::Bad},
      {"TLS by mistake", std::string{"\x16\x03\x01\x02\r\n\r\n"}, Parsed::Bad},
  };
  for (const auto& c : cases) {
    const auto result = parse_request(c.input);
    check(result.state == c.state, c.reason);
    if (result.state != Parsed::Complete) continue;
    check_equal(result.request.method, c.method, c.reason);
    check_equal(result.request.path, c.path, c.reason);
    check_equal(result.request.keep_alive, c.keep_alive, c.reason);
    check_equal(result.request.has_body, c.has_body, c.reason);
  }
  const std::string two = "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
  const auto first = parse_request(two);
  check_equal(parse_request(two.substr(first.used)).request.path, "/b", "the second of two");
}

void test_render() {
  check_equal(render({200, "text/plain", "hi"}, false, true),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi", "an answer");
  check_equal(render({405, "text/plain", "no"}, true, false),
              "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
              "Allow: GET, HEAD\r\nConnection: close\r\n\r\n",
              "the answer to a HEAD, on a connection that ends");
}

}  // namespace

int main() {
  test_parse();
  test_render();
  return finish();
}
