// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a source tree is, and the Containerfile that builds it. Pure over the files of the tree: nothing is
// run, fetched or written, and no symbolic link is followed out of it. Thread-safe.

#include <filesystem>
#include <string>
#include <vector>

#include "image/image.hpp"

namespace tow::image::packs {

/// `component` is relative to `context` (empty or "." for the context itself). A Containerfile or Dockerfile
/// of the component's own wins over every pack: then `pack` is empty and `containerfile` its text. With
/// neither, `containerfile` is empty and `explanation` says what was looked for. Throws Error{Invalid} for a
/// version that cannot be had or a file that cannot be understood, Error{Unsupported} for a way to declare
/// dependencies that no pack knows.
Detection detect(const std::filesystem::path& context, const std::filesystem::path& component = {});

/// The folders of a repository that are components, relative to it ("" is the repository): itself when it is
/// a program or a site; the programs and sites of its workspace; else what lies in its folders, two levels
/// deep. A folder with a score.yaml is one. Throws as detect does.
std::vector<std::string> find_components(const std::filesystem::path& context);

/// What a build by a pack leaves out of the context, beside what the source's own ignore file names: what is
/// no source, and .env with its secrets.
std::string ignore_file(const std::string& containerfile);

}  // namespace tow::image::packs
