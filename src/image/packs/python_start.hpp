// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a Python project depends on, and how it is started. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "image/packs/tree.hpp"

namespace tow::image::packs {

struct PythonDependencies {
  std::string text;  // requirements and pyproject.toml together, lower case: for what it depends on
  std::vector<std::string> files;  // the requirements file and what it includes
  bool needs_source = false;       // a requirement is a directory of the component
  bool requirements = false;
  bool project = false;              // pyproject.toml has [project]
  bool package = false;              // … and says how it is built
  std::vector<std::string> scripts;  // names in [project.scripts]

  /// Whether it is there as a word of its own: "psycopg2" is not in "psycopg2-binary".
  bool on(std::string_view name) const;
};

struct PythonStart {
  std::string line;    // the command
  std::string reason;  // "main.py"
  bool listens = true;
  bool told_port = true;   // the command says where to listen; else the source does
  bool installed = false;  // the project itself must be installed for it
};

/// How the project is started, or nothing.
std::optional<PythonStart> find_python_start(const Tree& tree, const PythonDependencies& dependencies);

}  // namespace tow::image::packs
