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

}  // namespace tow::image::buildah
