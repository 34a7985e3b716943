// SPDX-License-Identifier: Apache-2.0
#include "image/packs/node_frameworks.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

struct Server {
  std::string_view package;
  std::string_view command;
};

/// A framework before the tool it is made with.
constexpr std::array<Server, 8> kServers = {{
    {"@sveltejs/adapter-node", "node build"},
    {"@astrojs/node", "node ./dist/server/entry.mjs"},
    {"nuxt", "node .output/server/index.mjs"},
    {"@nestjs/core", "node dist/main"},
    {"@react-router/serve", "react-router-serve ./build/server/index.js"},
    {"@remix-run/serve", "remix-serve ./build/server/index.js"},
    {"nitropack", "node .output/server/index.mjs"},
    {"next", "next start"},
}};

bool exports_next(const Project& project) {
  static const RE2 exports{R"(output:\s*['"]export['"])"};
  for (const char* file : {"next.config.js", "next.config.mjs", "next.config.ts"})
    if (const auto text = project.tree.read(file); text && RE2::PartialMatch(*text, exports)) return true;
  return false;
}

/// The server that the build makes, if it makes one.
const Server* makes_server(const Project& project) {
  const auto build = project.script("build");
  if (build.empty() || build.contains("nuxt generate") || build.contains("nuxi generate")) return nullptr;
  const auto found =
      std::ranges::find_if(kServers, [&](const Server& one) { return project.depends_on(one.package); });
  if (found == kServers.end() || (found->package == "next" && exports_next(project))) return nullptr;
  return found;
}

/// Where Angular's builder of the first project writes to.
std::string angular_output(const Project& project) {
  const auto fallback = "dist/" + project.text("name") + "/browser";
  Node workspace;
  try {
    workspace = parse_json(project.tree.read("angular.json").value_or("{}"));
  } catch (const Error&) {
    return fallback;  // the build will say what is wrong with it
  }
  const Node* projects = workspace.find("projects");
  if (!projects || !projects->map() || projects->map()->empty()) return fallback;
  const auto& [name, first] = projects->map()->front();
  const Node* build = first.find("architect");
  build = build ? build->find("build") : nullptr;
  const Node* builder = build ? build->find("builder") : nullptr;
  const Node* options = build ? build->find("options") : nullptr;
  const Node* output = options ? options->find("outputPath") : nullptr;
  if (output && output->map()) output = output->find("base");
  auto directory = output && output->string() ? *output->string() : "dist/" + name;
  while (directory.ends_with('/')) directory.pop_back();
  const bool old = builder && builder->string() && builder->string()->ends_with(":browser");
  return old ? directory : directory + "/browser";
}

}  // namespace

Project read_project(const Tree& tree, const std::string& json) {
  try {
    Project project{tree, parse_json(json)};
    if (!project.package.map()) throw Error{Code::Invalid, "is not an object"};
    return project;
  } catch (const Error& error) {
    throw fail(Code::Invalid, "{} cannot be read: {}", tree.source("package.json"), error.message());
  }
}

std::string framework_server(const Project& project) {
  if (const auto* server = makes_server(project)) return std::string{server->command};
  const bool chosen = project.depends_on("@sveltejs/adapter-static");
  if (project.depends_on("@sveltejs/kit") && !chosen && !project.script("build").empty())
    throw fail(
        Code::Unsupported,
        "{} builds with SvelteKit, but with no adapter that makes something to start or to serve here; "
        "add @sveltejs/adapter-node (a server) or @sveltejs/adapter-static (a site) to it and to "
        "svelte.config.js",
        project.tree.source("package.json"));
  return {};
}

std::optional<std::string> site_output(const Project& project) {
  if (makes_server(project)) return {};
  if (project.script("build").contains("nuxt generate")) return ".output/public";
  if (project.depends_on("next"))
    return exports_next(project) ? std::optional<std::string>{"out"} : std::nullopt;
  // In the order of precedence: a framework before the tool it is made with.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 17> builders = {{
      {"@docusaurus/core", "build"},
      {"gatsby", "public"},
      {"@11ty/eleventy", "_site"},
      {"vitepress", ".vitepress/dist"},
      {"vuepress", ".vuepress/dist"},
      {"hexo", "public"},
      {"astro", "dist"},
      {"@sveltejs/adapter-static", "build"},
      {"@angular/cli", "dist"},
      {"react-scripts", "build"},
      {"@vue/cli-service", "dist"},
      {"preact-cli", "build"},
      {"parcel", "dist"},
      {"vite", "dist"},
      {"webpack", "dist"},
      {"rollup", "dist"},
      {"esbuild", "dist"},
  }};
  for (const auto& [name, directory] : builders) {
    if (!project.depends_on(name)) continue;
    if (name == "vite") {
      for (const char* file : {"vite.config.js", "vite.config.ts", "vite.config.mjs", "vite.config.mts"}) {
        const auto text = project.tree.read(file).value_or("");
        const auto at = text.find("outDir");
        const auto open = at == std::string::npos ? at : text.find_first_of("'\"`", at);
        const auto close = open == std::string::npos ? open : text.find(text[open], open + 1);
        if (close == std::string::npos) continue;
        auto directory_name = text.substr(open + 1, close - open - 1);
        if (!directory_name.empty() && !directory_name.contains("..") && !directory_name.starts_with('/'))
          return directory_name;
      }
    }
    if (name == "@angular/cli") return angular_output(project);
    return std::string{directory};
  }
  return {};
}

bool is_single_page(const Project& project) {
  for (const char* own : {"public/404.html", "src/404.html", "404.html"})
    if (project.tree.has(own)) return false;
  for (const char* several : {"astro", "@docusaurus/core", "gatsby", "@11ty/eleventy", "vitepress",
                              "vuepress", "hexo", "@sveltejs/kit", "next", "nuxt"})
    if (project.depends_on(several)) return false;
  for (const char* one : {"react-scripts", "@vue/cli-service", "@angular/cli", "preact-cli", "vite"})
    if (project.depends_on(one)) return true;
  return false;
}

bool serves_for_development(std::string_view script) {
  constexpr std::array<std::string_view, 29> commands = {"vite",
                                                         "vite dev",
                                                         "vite serve",
                                                         "vite preview",
                                                         "react-scripts start",
                                                         "ng serve",
                                                         "webpack serve",
                                                         "webpack-dev-server",
                                                         "parcel",
                                                         "parcel serve",
                                                         "gatsby develop",
                                                         "gatsby serve",
                                                         "astro dev",
                                                         "astro preview",
                                                         "docusaurus start",
                                                         "docusaurus serve",
                                                         "eleventy --serve",
                                                         "vue-cli-service serve",
                                                         "vitepress dev",
                                                         "hexo server",
                                                         "nest start",
                                                         "nuxt",
                                                         "nuxt dev",
                                                         "nuxi dev",
                                                         "next",
                                                         "next dev",
                                                         "remix dev",
                                                         "remix vite:dev",
                                                         "react-router dev"};
  script = trim(script);
  return std::ranges::any_of(commands, [&](std::string_view command) {
    return script == command ||
           (script.starts_with(command) && script.substr(command.size()).starts_with(" --"));
  });
}

std::string listening_settings(const Project& project) {
  if (project.depends_on("@astrojs/node") || project.depends_on("nitropack") || project.depends_on("nuxt"))
    return "HOST=0.0.0.0";
  if (project.depends_on("fastify-cli")) return "FASTIFY_ADDRESS=0.0.0.0";
  return {};
}

}  // namespace tow::image::packs
