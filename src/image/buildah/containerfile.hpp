// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a Containerfile needs before it can be built. Pure.

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tow::image::buildah {

/// The images that FROM and COPY --from name, in their order, without the file's own stages and "scratch".
/// Arguments before the first FROM are filled in; what stays unknown ("${BASE}") is left out.
std::vector<std::string> images_of(std::string_view containerfile,
                                   const std::map<std::string, std::string>& arguments);

/// What a line may begin with.
const std::vector<std::string>& instruction_names();

/// Throws Error{Unsupported} with the line for what Debian's buildah would take for something else, and
/// Error{Invalid} with the line of an instruction that there is not, or that stands before FROM.
void check_supported(std::string_view containerfile, std::string_view name);

inline constexpr std::string_view kSaltArgument = "TOWPATH_PROJECT";
/// The same file with an argument declared in every stage, so that steps are found in the cache only by
/// builds that give it the same value.
std::string salt_stages(std::string_view containerfile);

/// What COPY and ADD take out of the context, as far as it is written out (no wildcards, variables,
/// addresses).
std::vector<std::string> copied_paths(std::string_view containerfile);

}  // namespace tow::image::buildah
