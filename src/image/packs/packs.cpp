// SPDX-License-Identifier: Apache-2.0
#include "image/packs/packs.hpp"

#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>

#include "base/error.hpp"
#include "image/packs/pack.hpp"
#include "image/packs/text.hpp"
#include "image/packs/tree.hpp"

namespace tow::image::packs {
namespace {

/// The one port that the last stage exposes.
std::optional<std::uint16_t> exposed_port(const std::string& containerfile) {
  std::optional<std::uint16_t> port;
  int count = 0;
  for (const auto& line : lines(containerfile)) {
    static const RE2 from{R"((?i)^\s*FROM\s)"};
    static const RE2 expose{R"((?i)^\s*EXPOSE\s+(\d+)(?:/tcp)?\s*$)"};
    int number = 0;
    if (RE2::PartialMatch(line, from)) count = 0, port.reset();
    if (RE2::FullMatch(line, expose, &number) && number > 0 && number < 65536 && ++count)
      port = static_cast<std::uint16_t>(number);
  }
  return count == 1 ? port : std::nullopt;
}

/// Whether nothing of the source runs: pages, as they are or built.
bool serves_site(const Detection& found) { return found.containerfile.contains("FROM towpath/static:12"); }

}  // namespace

std::vector<std::string> debian_packages(const Tree& tree) {
  static const RE2 name{R"([a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?)"};
  std::vector<std::string> packages;
  for (const auto& line : lines(tree.read("Aptfile").value_or(""))) {
    const auto package = std::string{trim(std::string_view{line}.substr(0, line.find('#')))};
    if (package.empty()) continue;
    if (!RE2::FullMatch(package, name))
      throw fail(Code::Invalid, "{}: \"{}\" is no name of a Debian package; write one name a line",
                 tree.source("Aptfile"), package);
    packages.push_back(package);
  }
  return packages;
}

Detection detect(const std::filesystem::path& context, const std::filesystem::path& component) {
  const Tree tree{context, component};
  for (const char* file : {"Containerfile", "Dockerfile"})
    if (auto text = tree.read(file)) {
      if (trim(*text).empty()) throw fail(Code::Invalid, "{} is empty", tree.source(file));
      const auto port = exposed_port(*text);
      return {.containerfile = std::move(*text), .port = port, .explanation = tree.source(file)};
    }
  Missing missing;
  // A program before its pages: a package.json or an index.html beside a Python program serves that program.
  for (const auto pack : {node, python, cmake, site})
    if (auto found = pack(tree, missing)) {
      // A built site is told its settings when it is built; a program when it is started.
      if (tree.has(".env") && !serves_site(*found))
        found->explanation += "; .env stays outside: give its values with `tow config set`";
      return std::move(*found);
    }
  constexpr std::pair<const char*, const char*> others[] = {{"go.mod", "Go"},
                                                            {"Cargo.toml", "Rust"},
                                                            {"pom.xml", "Java"},
                                                            {"build.gradle", "Java"},
                                                            {"build.gradle.kts", "Kotlin"},
                                                            {"Gemfile", "Ruby"},
                                                            {"composer.json", "PHP"},
                                                            {"mix.exs", "Elixir"},
                                                            {"deno.json", "Deno"},
                                                            {"Makefile", "what make builds"}};
  for (const auto& [file, language] : others)
    if (tree.has(file)) missing.push_back(fmt::format("{} is there, but no pack builds {}", file, language));
  Detection nothing;
  nothing.explanation = fmt::format(
      "{} has none of Containerfile, Dockerfile, package.json, requirements.txt, pyproject.toml, main.py, "
      "app.py, "
      "manage.py, CMakeLists.txt and index.html that a program or a site could be made of",
      component.empty() || component == "." ? "the repository" : tree.source());
  if (!missing.empty()) nothing.explanation += fmt::format(" ({})", fmt::join(missing, "; "));
  return nothing;
}

namespace {

bool is_component(const Tree& tree) {
  return tree.has("score.yaml") || !detect(tree.context(), tree.path()).containerfile.empty();
}

void look_below(const Tree& tree, int levels, std::vector<std::string>& found) {
  constexpr std::string_view others[] = {"node_modules", "docs",        "test",    "tests",
                                         "examples",     "e2e",         "scripts", "vendor",
                                         "build",        "third_party", "venv",    "dist"};
  for (const auto& name : tree.directories()) {
    if (std::ranges::find(others, name) != std::end(others)) continue;
    const Tree folder{tree.context(), tree.source(name)};
    const auto programs = programs_of_workspace(folder);
    found.insert(found.end(), programs.begin(), programs.end());
    if (!programs.empty()) continue;
    if (is_component(folder))
      found.push_back(folder.path());
    else if (levels > 1)
      look_below(folder, levels - 1, found);
  }
}

}  // namespace

std::vector<std::string> find_components(const std::filesystem::path& context) {
  const Tree tree{context, {}};
  for (const char* file : {"score.yaml", "Containerfile", "Dockerfile"})
    if (tree.has(file)) return {""};
  auto found = programs_of_workspace(tree);
  if (!found.empty()) return found;
  if (is_component(tree)) return {""};
  look_below(tree, 2, found);
  return found;
}

std::string ignore_file(const std::string& containerfile) {
  // A pages' builder reads .env, and leaves it behind in its stage.
  const char* settings =
      containerfile.contains("FROM towpath/static:12") && containerfile.contains("AS build")
          ? "**/.env.local\n**/.env.*.local\n"
          : "**/.env\n**/.env.local\n**/.env.*.local\n";
  return std::string{
             "**/.git\n**/.gitignore\n**/node_modules\n**/__pycache__\n**/.venv\n**/*.pyc\n"
             "**/score.yaml\n**/towpath.yaml\n**/catalog-info.yaml\n"} +
         settings;
}

}  // namespace tow::image::packs
