// SPDX-License-Identifier: Apache-2.0
#include "http/problem.hpp"

#include <gtest/gtest.h>

#include "base/node.hpp"

namespace tow::http {
namespace {

TEST(Problem, StatesAnErrorSoThatAClientGetsItBack) {
  const Error error{Code::Invalid,
                    "2 faults",
                    {{.path = "a.b", .at = {3, 7}, .message = "unknown key"},
                     {.path = "c", .message = "not yet", .unsupported = true}}};
  const auto response = problem(error);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.get("content-type"), "application/problem+json");
  EXPECT_EQ(
      response.body,
      R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"2 faults","code":"invalid",)"
      R"("faults":[{"path":"a.b","line":3,"column":7,"message":"unknown key"},)"
      R"({"path":"c","message":"not yet","unsupported":true}]})");
  const auto back = error_of(response);
  EXPECT_EQ(back.code(), error.code());
  EXPECT_EQ(back.message(), error.message());
  EXPECT_EQ(back.faults(), error.faults());
}

TEST(Problem, EveryCodeComesBackAsItself) {
  for (auto code = Code::Invalid; code != Code::Internal;
       code = static_cast<Code>(static_cast<int>(code) + 1))
    EXPECT_EQ(error_of(problem(Error{code, "x"})).code(), code) << name(code);
}

TEST(Problem, InternalErrorsAreLoggedAndNotTold) {
  const auto response = problem(std::make_exception_ptr(fail(Code::Internal, "secret path")), "GET /x");
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
  const auto document = parse_json(response.body);
  ASSERT_TRUE(document.find("id"));
  EXPECT_EQ(document.find("id")->string()->size(), 26U);
  EXPECT_EQ(problem(std::make_exception_ptr(std::runtime_error{"secret"}), "x").status, 500);
  EXPECT_EQ(error_of(response).code(), Code::Internal);
}

TEST(Problem, QuotesNoMoreThanAPersonReads) {
  Error error{Code::Invalid, std::string(8191, 'x') + std::string(100'000, 'y'), {}};
  const auto text = *parse_json(problem(error).body).find("detail")->string();
  EXPECT_LT(text.size(), 9000U);
  std::string umlauts;
  for (int i = 0; i < 5000; ++i) umlauts += "ä";
  EXPECT_NO_THROW(parse_json(problem(Error{Code::Invalid, "x" + umlauts}).body)) << "cut between characters";
  const Error many{Code::Invalid, "x", std::vector<Fault>(5000, Fault{.path = "a", .message = "b"})};
  const auto faults = error_of(problem(many)).faults();
  ASSERT_EQ(faults.size(), 101U);
  EXPECT_EQ(faults.back().message, "and 4900 more");
}

TEST(Problem, AStatusOfItsOwn) {
  const auto response = problem(std::make_exception_ptr(StatusError{413, Code::Exhausted, "too large"}), "x");
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(error_of(response).code(), Code::Exhausted);
}

TEST(Problem, WhatIsNoProblemDocumentIsNamedByItsStatus) {
  EXPECT_EQ(error_of({.status = 502}).code(), Code::Unavailable);
  EXPECT_EQ(error_of(Response::text("gone", 404)).code(), Code::NotFound);
  Response broken{.status = 401, .headers = {{"Content-Type", "application/problem+json"}}, .body = "{"};
  EXPECT_EQ(error_of(broken).code(), Code::Unauthenticated);
}

}  // namespace
}  // namespace tow::http
