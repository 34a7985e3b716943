// SPDX-License-Identifier: Apache-2.0
#include "quotes.hpp"

#include <stdexcept>

#include "check.hpp"
#include "pages.hpp"

using namespace quotes;

namespace {

std::string fault_of(std::string_view text) {
  try {
    parse(text);
  } catch (const std::runtime_error& fault) {
    return fault.what();
  }
  return "no fault";
}

void test_parse() {
  const auto sayings = parse("# comment\n\n One | a \r\nTwo | parts | b");
  check_equal(sayings.size(), std::size_t{2}, "comments and empty lines are no sayings");
  check_equal(sayings.at(0).words, "One", "blanks around the words go");
  check_equal(sayings.at(0).source, "a", "and around the source");
  check_equal(sayings.at(1).words, "Two | parts", "the last bar counts");

  const std::string wrong = ": write the words, a bar and where they come from";
  check_equal(fault_of("a | b\nno bar\n"), "line 2" + wrong, "a line without a bar");
  check_equal(fault_of("words |"), "line 1" + wrong, "a line without a source");
  check_equal(fault_of("| source"), "line 1" + wrong, "a line without words");
  check_equal(fault_of("# only this\n"), "there is no saying in it", "nothing at all");
}

void test_pages() {
  const auto handler =
      pages({{"One", "a"}, {"Say \"two\"", "b"}}, [](std::size_t below) { return below - 1; }, "1.2");
  const auto get = [&](std::string path) { return handler({.method = "GET", .path = path}); };
  check_equal(get("/").body, "Say \"two\"  (b)\n", "the one that was picked");
  check_equal(get("/quotes").body, R"([{"words":"One","source":"a"},{"words":"Say \"two\"","source":"b"}])",
              "all");
  check_equal(get("/quotes/1").body, R"({"words":"One","source":"a"})", "counted from 1");
  check_equal(get("/healthz").body, R"({"status":"ok","version":"1.2"})", "health");
  for (const char* path : {"/quotes/0", "/quotes/3", "/quotes/", "/quotes/1x", "/quotes/-1",
                           "/quotes/99999999999999999999", "/else"}) {
    check_equal(get(path).status, 404, path);
  }
  check_equal(handler({.method = "POST", .path = "/"}).status, 405, "nothing can be written");
  check_equal(handler({.method = "HEAD", .path = "/"}).status, 200, "HEAD is a way to read");
}

void test_json() {
  check_equal(json_string("a\"b\\c\n\x01é"), R"("a\"b\\c\u000a\u0001é")", "what JSON escapes");
}

}  // namespace

int main() {
  test_parse();
  test_pages();
  test_json();
  return finish();
}
