// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which Node a project gets for the version it asks for. Pure.

#include <string>
#include <string_view>

namespace tow::image::packs {

struct NodeChoice {
  std::string npm_version;  // what to install of npm's "node" package; empty: Debian's own, in towpath/node
  std::string words;        // "Node 18 from Debian", "Node 24 from npm"
};

/// What a range that several satisfy gets.
enum class Taste {
  Newest,  // the newest with long-term support: packages of others are made for that
  Debian,  // what is in the base image already: nothing is fetched
};

/// `asked` as in engines.node or .nvmrc (empty: nothing was asked for), `where` for the message.
/// Throws Error{Invalid} naming the version, where it was asked for, and what there is.
NodeChoice choose_node(std::string_view asked, std::string_view where, Taste taste);

}  // namespace tow::image::packs
