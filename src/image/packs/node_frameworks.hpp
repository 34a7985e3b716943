// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is known of frameworks: what their builds make, and how that is started or served. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "image/packs/node_project.hpp"

namespace tow::image::packs {

/// The command that starts what a framework's build makes (Nuxt, Next, SvelteKit, Astro, Nest, Remix, …), or
/// empty. Throws Error{Unsupported} for one that was not told to make anything that can be started.
std::string framework_server(const Project& project);

/// The directory a site builder writes to, or nothing when none that is known is among the dependencies.
std::optional<std::string> site_output(const Project& project);
/// Whether a built site is one page whose program reads the address: then that page answers for every path.
bool is_single_page(const Project& project);

/// Servers that are for development, or that only hand out the built site: lighttpd does that better.
bool serves_for_development(std::string_view script);

/// What a framework's server must be told to listen beyond its own loopback: "HOST=0.0.0.0", or empty.
std::string listening_settings(const Project& project);

}  // namespace tow::image::packs
