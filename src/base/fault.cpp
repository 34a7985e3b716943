// SPDX-License-Identifier: Apache-2.0
#include "base/fault.hpp"

#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace tow {
namespace {

struct Wanted {
  std::string name;
  int time = 1;

  Wanted() {
    const char* text = std::getenv("TOWPATH_FAULT");
    name = text ? text : "";
    if (const auto colon = name.find(':'); colon != std::string::npos) {
      time = std::atoi(name.c_str() + colon + 1);
      name.resize(colon);
    }
  }
};

}  // namespace

void fault_point(std::string_view name) {
  static const Wanted wanted;
  if (wanted.name.empty() || wanted.name != name) return;
  static std::atomic<int> times{0};
  if (++times == wanted.time) ::raise(SIGKILL);
}

}  // namespace tow
