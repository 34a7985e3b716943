// SPDX-License-Identifier: Apache-2.0
#pragma once
// The few things done with files and with the machine. They throw Error with the path in it.

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace tow::image::buildah {

/// Replaces the file as a whole.
void write_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644);
/// Empty when it cannot be read.
std::string read_file(const std::filesystem::path& path);
/// With its parents; for its owner alone.
void make_directory(const std::filesystem::path& path);

bool in_path(std::string_view program);
/// Whether a path lies on a file system of this kind (TMPFS_MAGIC, …).
bool is_file_system(const std::filesystem::path& path, long magic);
/// Whether text can be a file's name without surprises: letters, digits, "-", "_", ".".
bool is_safe_name(std::string_view text);

}  // namespace tow::image::buildah
