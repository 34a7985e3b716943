// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is known of frameworks: what their builds make, and how that is started or served. The knowledge is
// one table, in node_frameworks.cpp; a framework more is a row more. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "image/packs/node_project.hpp"

namespace tow::image::packs {

/// What a framework's build makes, when it makes a program.
struct MadeServer {
  std::string framework;    // "Nuxt"
  std::string command;      // starts it
  std::string whole;        // the directory that holds all that running takes (".output"), or empty
  std::string environment;  // what the build must be told: "GCP_BUILDPACKS=1", or empty
};
std::optional<MadeServer> made_server(const Project& project);

/// … when it makes pages.
struct MadeSite {
  std::string builder;  // "Vite"
  std::string directory;
  bool one_page = false;  // its program reads the address: that page answers for every path
  bool sure = true;       // a bundler may as well make a program: only when nothing else can be started
};
std::optional<MadeSite> made_site(const Project& project);

/// Servers that are for development, or that only hand out the built site: lighttpd does that better.
bool serves_for_development(std::string_view script);

/// What servers must be told to listen beyond their own loopback: "HOST=0.0.0.0", or empty.
std::string listening_settings(const Project& project);

}  // namespace tow::image::packs
