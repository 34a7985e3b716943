// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/sqlite.hpp"

#include "store/core.hpp"
#include "store/sqlite/log.hpp"

namespace tow::store::sqlite {

std::unique_ptr<Store> open(Settings settings) {
  auto log = std::make_unique<SqliteLog>(settings.directory, std::move(settings.vfs));
  return make_store(std::move(log), {.commits = CoreSettings::Commits::Threaded,
                                     .is_cold = std::move(settings.is_cold),
                                     .clock = settings.clock,
                                     .soon = settings.soon,
                                     .feed = settings.feed});
}

}  // namespace tow::store::sqlite
