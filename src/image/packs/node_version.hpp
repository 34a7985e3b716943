// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which Node a project gets for the version it asks for. Pure.

#include <string>
#include <string_view>

namespace tow::image::packs {

struct NodeChoice {
  std::string npm_version;  // what to install of npm's "node" package; empty: Debian's own, in towpath/node
  std::string words;        // "Node 18 from Debian", "Node 22 from npm"
};

/// `asked` as in engines.node or .nvmrc (empty: nothing was asked for), `where` for the message.
/// Throws Error{Invalid} naming the version, where it was asked for, and what there is.
NodeChoice choose_node(std::string_view asked, std::string_view where);

}  // namespace tow::image::packs
