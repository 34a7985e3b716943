// SPDX-License-Identifier: Apache-2.0
#pragma once
// The pages that HAProxy shows by itself, as its log-format files: "%[…]" is evaluated for each request.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tow::route::haproxy {

/// File names to contents. `hint`, of printable ASCII, says how to find out which hosts there are; `title` is
/// the expression of what the site of a request is called, `held` the same where the request waits.
std::vector<std::pair<std::string, std::string>> pages(std::string_view hint, std::string_view title,
                                                       std::string_view held);

}  // namespace tow::route::haproxy
