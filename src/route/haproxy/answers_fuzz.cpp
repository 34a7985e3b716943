// SPDX-License-Identifier: Apache-2.0
// Whatever is heard on the socket: no crash, and nothing but Error is thrown.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "route/haproxy/answers.hpp"
#include "route/haproxy/daemon.hpp"
#include "route/haproxy/plan.hpp"
#include "route/haproxy/tally.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tow::route::haproxy;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  for (const std::string& answer : answers(text)) reply(answer);
  try {
    processes(text);
  } catch (const tow::Error&) {
  }
  Tally tally = Tally::read(text);
  tally.hear("1-2", stats(text), [](const std::string&) { return "a"; });
  tally.sums();
  servers(text);
  entries(text);
  backends(text);
  parse_described(text);
  backend_number(text);
  listening_inodes(text, 80);
  return 0;
}
