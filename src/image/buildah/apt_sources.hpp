// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where this machine gets Debian from. Pure but for read_apt_sources.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tow::image::buildah {

struct Mirrors {
  std::string archive;   // empty: the machine knows none
  std::string security;  // likewise
  bool operator==(const Mirrors&) const = default;
};

/// One file of apt's sources: "*.list" in one-line style, "*.sources" in deb822 style.
struct AptFile {
  std::string name;
  std::string text;
};

/// Debian's own mirrors among a machine's sources; other vendors' repositories, trusted=yes entries and media
/// are left out. What is not among them stays empty.
Mirrors debian_mirrors(const std::vector<AptFile>& files);

/// The sources of Debian 12 on these mirrors, in deb822 style. Throws Error{FailedPrecondition} without an
/// archive.
std::string render_sources(const Mirrors& mirrors);

std::vector<AptFile> read_apt_sources(const std::filesystem::path& apt);

}  // namespace tow::image::buildah
