// SPDX-License-Identifier: Apache-2.0
#include "base/node.hpp"

#include <gtest/gtest.h>

namespace tow {
namespace {

struct Scalar {
  const char* reason;
  const char* yaml;
  const char* json;
};

TEST(Yaml, ResolvesScalarsByTheCoreSchema) {
  const Scalar cases[] = {
      {"a plain word is a string", "a", R"("a")"},
      {"digits are an integer", "80", "80"},
      {"quoted digits are a string", "\"80\"", R"("80")"},
      {"a decimal is a number", "1.5", "1.5"},
      {"hexadecimal", "0x1F", "31"},
      {"yes is a string in 1.2", "yes", R"("yes")"},
      {"true is a boolean", "true", "true"},
      {"nothing is null", "~", "null"},
      {"a version is a string", "1.2.3", R"("1.2.3")"},
      {"a time is a string", "12:30", R"("12:30")"},
      {"a size is a string", "512Mi", R"("512Mi")"},
      {"a date is a string", "2026-01-01", R"("2026-01-01")"},
      {"an explicit tag keeps a string", "!!str 80", R"("80")"},
      {"a block keeps its lines", "|\n  a\n  b\n", R"("a\nb\n")"},
  };
  for (const auto& c : cases) EXPECT_EQ(to_json(parse_yaml(c.yaml)), c.json) << c.reason;
}

TEST(Yaml, KeepsOrderAndPositions) {
  const Node node = parse_yaml("b: 1\na:\n  - x\n  - y: 2\n");
  EXPECT_EQ(to_json(node), R"({"b":1,"a":["x",{"y":2}]})");
  const Node& y = *(*node.find("a")->list())[1].find("y");
  EXPECT_EQ(y.at, (Position{4, 8}));
  EXPECT_EQ(y.key_at, (Position{4, 5}));
}

struct Broken {
  const char* reason;
  const char* text;
  int line;
};

TEST(Yaml, SaysWhereItIsBroken) {
  const Broken cases[] = {
      {"an unclosed list", "a: [1,\nb: 2\n", 2},
      {"a tab as indentation", "a:\n\tb: 1\n", 2},
      {"a key twice", "a: 1\nb: 2\na: 3\n", 3},
      {"bytes that are no UTF-8", "a: 1\nb: \xff\n", 2},
      {"bytes that are no UTF-8 in a directive", "a: 1\n%%\xff\xff\xff%%x:\n  y: z\n", 2},
      {"an unknown alias", "a: *nobody\n", 1},
  };
  for (const auto& c : cases) {
    try {
      parse_yaml(c.text);
      ADD_FAILURE() << c.reason << ": was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid) << c.reason;
      ASSERT_EQ(error.faults().size(), 1u) << c.reason;
      EXPECT_EQ(error.faults()[0].at.line, c.line) << c.reason << ": " << error.message();
    }
  }
}

TEST(Yaml, ExpandsAliasesWithinABound) {
  EXPECT_EQ(to_json(parse_yaml("a: &x {k: 1}\nb: *x\n")), R"({"a":{"k":1},"b":{"k":1}})");
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += fmt::format("a{0}: &a{0} [", i);
    for (int k = 0; k < 10; ++k) bomb += fmt::format("{}*a{}", k ? "," : "", i - 1);
    bomb += "]\n";
  }
  EXPECT_THROW(parse_yaml(bomb), Error);
}

TEST(Yaml, RefusesSeveralDocuments) { EXPECT_THROW(parse_yaml("a: 1\n---\nb: 2\n"), Error); }

TEST(Yaml, WhatIsWrittenIsReadBackTheSame) {
  const Node node = parse_json(
      R"({"a":"yes","b":["x",{"c":"1","d":["e"],"f":{}}],"g":"- x","h":"a: b","i":"","j":null,"k":"line\nline","l":[[1,2],[]],"m":"*star","n":-1.5,"o":"#no","p":"12","q":".5","r":"..."})");
  EXPECT_EQ(to_json(parse_yaml(to_yaml(node))), to_json(node)) << to_yaml(node);
}

TEST(Json, WritesWhatItRead) {
  const char* text = R"({"a":[1,2.5,true,null,"q\"\\\n\u0001é"],"b":{}})";
  EXPECT_EQ(to_json(parse_json(text)), text);
}

TEST(Json, TheLastOfRepeatedKeysCounts) {
  EXPECT_EQ(to_json(parse_json(R"({"a":1,"b":2,"a":3})")), R"({"b":2,"a":3})");
}

TEST(Json, SaysWhereItIsBroken) {
  try {
    parse_json("{\"a\": 1,\n \"b\" 2}");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.faults().at(0).at.line, 2) << error.message();
  }
}

TEST(Json, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(to_json(Node{"a\xff\xc0z"}), "\"a\xef\xbf\xbd\xef\xbf\xbdz\"");
}

TEST(Json, RefusesDepthBeyondTheBound) {
  EXPECT_THROW(parse_json(std::string(100, '[') + std::string(100, ']')), Error);
}

struct Merge {
  const char* reason;
  const char* base;
  const char* change;
  const char* merged;
};

TEST(Merge, FollowsScore) {
  const Merge cases[] = {
      {"maps merge deeply", "{a: {b: 1, c: 2}}", "{a: {c: 3}}", R"({"a":{"b":1,"c":3}})"},
      {"lists are replaced", "{a: [1, 2]}", "{a: [3]}", R"({"a":[3]})"},
      {"null deletes", "{a: 1, b: 2}", "{a: null}", R"({"b":2})"},
      {"a map replaces a scalar", "{a: 1}", "{a: {b: 2, c: null}}", R"({"a":{"b":2}})"},
      {"a new map is taken without its nulls", "{}", "{a: {b: null, c: 1}}", R"({"a":{"c":1}})"},
  };
  for (const auto& c : cases) {
    Node base = parse_yaml(c.base);
    merge(base, parse_yaml(c.change));
    EXPECT_EQ(to_json(base), c.merged) << c.reason;
  }
}

}  // namespace
}  // namespace tow
