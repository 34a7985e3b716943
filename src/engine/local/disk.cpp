// SPDX-License-Identifier: Apache-2.0
#include "engine/local/disk.hpp"

#include <cerrno>

namespace tow::engine::local {

Error disk_error(std::string_view doing, const std::filesystem::path& path, int number) {
  if (number == ENOSPC || number == EDQUOT)
    return fail(Code::Exhausted, "no space is left on the disk of {}: free some there",
                path.parent_path().string());
  return system_error(fmt::format("{} {}", doing, path.string()), number);
}

Error explained(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (const std::filesystem::filesystem_error& error) {
    return disk_error("working on", error.path1(), error.code().value());
  } catch (...) {
    return Error{Code::Internal, describe(thrown)};
  }
}

}  // namespace tow::engine::local
