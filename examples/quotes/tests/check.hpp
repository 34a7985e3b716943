// SPDX-License-Identifier: Apache-2.0
#pragma once
// A test is a function that calls check(); main() returns finish().

#include <iostream>
#include <source_location>
#include <string_view>

inline int checks = 0;
inline int failures = 0;

inline void check(bool holds, std::string_view what,
                  std::source_location here = std::source_location::current()) {
  ++checks;
  if (holds) return;
  ++failures;
  std::cerr << here.file_name() << ':' << here.line() << ": " << what << '\n';
}

template <class A, class B>
void check_equal(const A& got, const B& expected, std::string_view what,
                 std::source_location here = std::source_location::current()) {
  check(got == expected, what, here);
  if (!(got == expected)) std::cerr << "  got      " << got << "\n  expected " << expected << '\n';
}

inline int finish() {
  std::cout << checks << " checks, " << failures << " failed\n";
  return failures == 0 && checks > 0 ? 0 : 1;
}
