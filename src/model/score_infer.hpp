// SPDX-License-Identifier: Apache-2.0
#pragma once
// A Score document for a component that has none, and the text in which `tow init` writes one. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/score.hpp"

namespace tow::score {

/// What is known of a component by looking at its source.
struct Facts {
  std::string name;                   // a component's name; see component_name
  std::optional<std::uint16_t> port;  // on which it will listen for HTTP; none: it serves nothing
};

/// One container of the image that is built. With a port: the service http:8080 and a route to it.
Document infer(const Facts& facts);

/// The document as YAML for people: sections apart, a line on top that says what it is.
std::string render(const Document& document);

/// A valid component's name out of what a folder or a repository is called: "My_App.git" is "my-app".
std::string component_name(std::string_view folder);

}  // namespace tow::score
