// SPDX-License-Identifier: Apache-2.0
#include "base/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <stdexcept>

namespace tow {
namespace {

TEST(Error, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Code::Internal); ++code)
    names.insert(name(static_cast<Code>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Code::Internal) + 1);
}

TEST(Error, AFaultSaysWhereItIs) {
  const Fault fault{.path = "containers.web", .at = {14, 7}, .message = "unknown key"};
  EXPECT_EQ(describe(fault, "score.yaml"), "score.yaml:14:7  containers.web: unknown key");
  EXPECT_EQ(describe(fault), "14:7  containers.web: unknown key");
  EXPECT_EQ(describe(Fault{.message = "empty"}, "score.yaml"), "score.yaml  empty");
  EXPECT_EQ(describe(Fault{.message = "empty"}), "empty");
}

TEST(Error, ASystemErrorHasTheCodeOfItsCause) {
  const std::pair<int, Code> cases[] = {{ENOSPC, Code::Exhausted},
                                        {EMFILE, Code::Exhausted},
                                        {ENOENT, Code::NotFound},
                                        {ECONNREFUSED, Code::Unavailable},
                                        {EIO, Code::Internal}};
  for (const auto& [number, code] : cases) EXPECT_EQ(system_error("x", number).code(), code) << number;
  EXPECT_EQ(system_error("cannot write /a", ENOSPC).message(), "cannot write /a: No space left on device");
}

TEST(Error, AnyExceptionCanBeDescribed) {
  EXPECT_EQ(describe(std::make_exception_ptr(fail(Code::NotFound, "no {}", "web"))), "no web");
  EXPECT_EQ(describe(std::make_exception_ptr(std::runtime_error{"burnt"})), "burnt");
  EXPECT_EQ(describe(std::make_exception_ptr(42)), "an exception of an unknown type");
  EXPECT_EQ(describe(std::exception_ptr{}), "");
}

TEST(Error, IsPermanentWhereOnlyAChangeCanHelp) {
  for (const Code code : {Code::Invalid, Code::Unsupported, Code::NotFound, Code::FailedPrecondition})
    EXPECT_TRUE(is_permanent(code)) << name(code);
  for (const Code code :
       {Code::Conflict, Code::Exhausted, Code::Unavailable, Code::Timeout, Code::Cancelled, Code::Internal})
    EXPECT_FALSE(is_permanent(code)) << name(code);
}

}  // namespace
}  // namespace tow
