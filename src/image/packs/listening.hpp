// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a program will listen, as far as its source says so plainly. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "image/packs/tree.hpp"

namespace tow::image::packs {

struct Listening {
  int port;                 // kPort, which the program is told in PORT, or one that is fixed in its source
  bool reads_host = false;  // it asks the environment for HOST
  std::string remark;       // "; listens on 3000, which index.js fixes", or empty
};

/// `command` may fix a port (`--port 3000`). Otherwise the sources of the component with one of `suffixes`
/// ("js", "ts") are read: where none of them asks the environment for PORT, and those whose name says that
/// they start the program fix one port and no other, it is that one.
Listening find_listening(const Tree& tree, std::string_view command,
                         std::initializer_list<std::string_view> suffixes);

}  // namespace tow::image::packs
