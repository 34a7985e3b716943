// SPDX-License-Identifier: Apache-2.0
#include "http/text.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "http/http.hpp"

namespace tow::http {
namespace {

TEST(Text, DecodesPathsOrRefusesThem) {
  struct Case {
    const char* reason;
    std::string_view raw;
    std::optional<std::string> path;
  };
  const Case cases[] = {
      {"a plain path is itself", "/a/b-c.d", "/a/b-c.d"},
      {"the root", "/", "/"},
      {"a trailing slash stays", "/a/", "/a/"},
      {"percent-encoding, either case", "/a%20b%c3%A9", "/a b\xc3\xa9"},
      {"an encoded slash does not become one", "/a%2fb/c", "/a%2Fb/c"},
      {"dot segments are refused", "/a/../b", {}},
      {"encoded dot segments, too", "/a/%2e%2E/b", {}},
      {"a single dot", "/./a", {}},
      {"a dot at the end", "/a/.", {}},
      {"names that begin with dots are names", "/.well-known/..a/...", "/.well-known/..a/..."},
      {"an empty segment inside would make a relative rest absolute", "/a//etc", {}},
      {"two slashes in front", "//a", {}},
      {"a NUL", "/a%00b", {}},
      {"a line break", "/a%0Ab", {}},
      {"half an escape", "/a%2", {}},
      {"no hexadecimal digits", "/a%zz", {}},
      {"not UTF-8", "/a%ff", {}},
      {"an overlong form of a slash", "/a%c0%af", {}},
      {"a surrogate", "/a%ed%a0%80", {}},
      {"no path", "a", {}},
  };
  for (const auto& c : cases) EXPECT_EQ(decode_path(c.raw), c.path) << c.reason;
}

TEST(Text, SplitsTargets) {
  struct Case {
    const char* reason;
    std::string_view text, path, query, authority;
    bool valid = true;
  };
  const Case cases[] = {
      {"origin form", "/a?b=c", "/a", "b=c", ""},
      {"a query may have question marks and slashes", "/a?b=/?", "/a", "b=/?", ""},
      {"absolute form", "http://h:1/a?b", "/a", "b", "h:1"},
      {"absolute form without a path", "HTTPS://h?b", "/", "b", "h"},
      {"asterisk", "*", "*", "", ""},
      {"authority form is of CONNECT alone", "h:443", "", "", "", false},
      {"another scheme", "ftp://h/a", "", "", "", false},
      {"no host", "http:///a", "", "", "", false},
      {"a fragment is never sent", "/a#b", "", "", "", false},
      {"a backslash is a slash to some", "/a\\b", "", "", "", false},
      {"raw bytes beyond ASCII", "/\xc3\xa9", "", "", "", false},
      {"a space", "/a b", "", "", "", false},
      {"empty", "", "", "", "", false},
  };
  for (const auto& c : cases) {
    const auto target = split_target(c.text);
    ASSERT_EQ(target.has_value(), c.valid) << c.reason;
    if (!target) continue;
    EXPECT_EQ(target->path, c.path) << c.reason;
    EXPECT_EQ(target->query, c.query) << c.reason;
    EXPECT_EQ(target->authority, c.authority) << c.reason;
  }
}

TEST(Text, EncodesWhatItDecodes) {
  const std::string all = "a b/c?d&e=f+g%h\xc3\xa9~._-";
  EXPECT_EQ(encode(all), "a%20b%2Fc%3Fd%26e%3Df%2Bg%25h%C3%A9~._-");
  EXPECT_EQ(decode(encode(all)), all);
}

TEST(Text, FindsTokensInLists) {
  EXPECT_TRUE(list_has("keep-alive, Upgrade", "upgrade"));
  EXPECT_TRUE(list_has("upgrade", "upgrade"));
  EXPECT_FALSE(list_has("upgraded", "upgrade"));
  EXPECT_FALSE(list_has("", "upgrade"));
}

TEST(Query, KeepsOrderAndRepetition) {
  const Query query{"a=1&b=x+y%26&a=2&c&=d&&"};
  EXPECT_EQ(query.get("a"), "1");
  EXPECT_EQ(query.all("a"), (std::vector<std::string_view>{"1", "2"}));
  EXPECT_EQ(query.get("b"), "x y&");
  EXPECT_EQ(query.get("c"), "");
  EXPECT_EQ(query.get(""), "d");
  EXPECT_FALSE(query.has("e"));
}

TEST(Query, RefusesBrokenEncodings) {
  for (const std::string_view raw : {"a=%", "a=%0", "%00", "a=%ff"}) EXPECT_THROW(Query{raw}, Error) << raw;
}

TEST(Headers, CompareNamesWithoutCaseAndKeepOrder) {
  Headers headers{{"Accept", "a"}, {"X-One", "1"}, {"accept", "b"}};
  EXPECT_EQ(headers.get("ACCEPT"), "a");
  EXPECT_EQ(headers.all("accept"), (std::vector<std::string_view>{"a", "b"}));
  headers.set("Accept", "c");
  EXPECT_EQ(headers.all("accept"), (std::vector<std::string_view>{"c"}));
  EXPECT_EQ(headers[0].name, "X-One");
  headers.remove("x-one");
  EXPECT_EQ(headers.size(), 1U);
  headers.set("Copy", *headers.get("Accept"));
  EXPECT_EQ(headers.get("copy"), "c");
}

TEST(Headers, RefuseWhatWouldSplitAMessage) {
  Headers headers;
  EXPECT_THROW(headers.add("X", "a\r\nSet-Cookie: b"), Error);
  EXPECT_THROW(headers.add("X", std::string_view{"a\0b", 3}), Error);
  EXPECT_THROW(headers.add("X: Y", "a"), Error);
  EXPECT_THROW(headers.add("", "a"), Error);
  EXPECT_TRUE(headers.empty());
}

TEST(Events, AreEncodedSoThatNothingCanBeInjected) {
  EXPECT_EQ(Events::encode("7", "put", "a"), "id: 7\nevent: put\ndata: a\n\n");
  EXPECT_EQ(Events::encode("", "", "a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(Events::encode("1\nid: 2", "", ""), "id: 1 id: 2\ndata: \n\n");
}

}  // namespace
}  // namespace tow::http
