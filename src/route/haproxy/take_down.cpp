// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <string_view>
#include <system_error>

#include "route/haproxy/daemon.hpp"
#include "route/haproxy/haproxy.hpp"
#include "route/haproxy/kernel.hpp"
#include "route/haproxy/meter.hpp"
#include "route/haproxy/render.hpp"

namespace tow::route::haproxy {

Task<> take_down(Settings settings) {
  check(settings);
  const std::filesystem::path directory = settings.runtime_directory;
  co_await end_all(directory);
  std::error_code ignored;
  for (const auto& [name, contents] : render({.settings = settings}, {}))
    std::filesystem::remove(directory / name, ignored);
  for (const std::string_view name :
       {kTally, kMasterSocket, kPidFile, std::string_view{"worker.sock"},
        std::string_view{"empty/public.sock"}, std::string_view{"empty/internal.sock"}, kWakeSocket,
        std::string_view{"empty"}}) {
    std::filesystem::remove(directory / name, ignored);
  }
  std::filesystem::remove(directory, ignored);  // only when nothing of anybody else is in it
}

}  // namespace tow::route::haproxy
