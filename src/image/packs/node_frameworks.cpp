// SPDX-License-Identifier: Apache-2.0
#include "image/packs/node_frameworks.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

enum class Makes {
  Server,   // `made` is the command that starts it
  OnePage,  // `made` is the directory of a page whose program reads the address
  Pages,    // `made` is the directory of many
  Either,   // a bundler: pages in `made` where there is an index.html, else it is unknown
  Nothing,  // no build of its own; the row says how it listens or what is for development
};

struct Framework {
  std::string_view package;  // among the dependencies
  std::string_view name;
  Makes makes;
  std::string_view made;
  std::string_view development = {};  // commands that production does not want, "|" between them
  std::string_view listens = {};      // what it must be told to listen on every address
  std::string_view builds = {};       // what its build must be told
};

using enum Makes;
constexpr std::string_view kOutput = "node .output/server/index.mjs";
constexpr std::string_view kHost = "HOST=0.0.0.0";

// In the order of precedence: an adapter before its framework, a framework before the tool it is made with.
constexpr auto kFrameworks = std::to_array<Framework>({
    {"@sveltejs/adapter-node", "SvelteKit", Server, "node build"},
    {"@sveltejs/adapter-static", "SvelteKit", Pages, "build"},
    // The automatic adapter takes the one for Node where it is told to be on a platform that runs containers.
    {"@sveltejs/adapter-auto", "SvelteKit", Server, "node build", "", "", "GCP_BUILDPACKS=1"},
    {"@astrojs/node", "Astro", Server, "node ./dist/server/entry.mjs", "astro dev|astro preview", kHost},
    {"astro", "Astro", Pages, "dist", "astro dev|astro preview"},
    {"nuxt", "Nuxt", Server, kOutput, "nuxt|nuxt dev|nuxt preview|nuxi dev|nuxi preview", kHost},
    {"@tanstack/react-start", "TanStack Start", Server, kOutput, "", kHost},
    {"@tanstack/solid-start", "TanStack Start", Server, kOutput, "", kHost},
    {"@solidjs/start", "SolidStart", Server, kOutput, "vinxi dev", kHost},
    {"nitropack", "Nitro", Server, kOutput, "nitro dev|nitropack dev", kHost},
    {"nitro", "Nitro", Server, kOutput, "nitro dev", kHost},
    {"@nestjs/core", "Nest", Server, "node dist/main", "nest start"},
    {"@react-router/serve", "React Router", Server, "react-router-serve ./build/server/index.js",
     "react-router dev"},
    {"@react-router/dev", "React Router", OnePage, "build/client", "react-router dev"},
    {"@remix-run/serve", "Remix", Server, "remix-serve ./build/server/index.js", "remix dev|remix vite:dev"},
    {"@remix-run/dev", "Remix", OnePage, "build/client", "remix dev|remix vite:dev"},
    {"next", "Next.js", Server, "next start", "next|next dev"},
    {"@strapi/strapi", "Strapi", Server, "strapi start", "strapi develop", kHost},
    {"@docusaurus/core", "Docusaurus", Pages, "build", "docusaurus start|docusaurus serve"},
    {"gatsby", "Gatsby", Pages, "public", "gatsby develop|gatsby serve"},
    {"@11ty/eleventy", "Eleventy", Pages, "_site", "eleventy|eleventy --serve"},
    {"vitepress", "VitePress", Pages, ".vitepress/dist", "vitepress dev|vitepress preview"},
    {"vuepress", "VuePress", Pages, ".vuepress/dist", "vuepress dev"},
    {"hexo", "Hexo", Pages, "public", "hexo server"},
    {"@angular/core", "Angular", OnePage, "dist", "ng serve"},
    {"@angular/cli", "Angular", OnePage, "dist", "ng serve"},
    {"@quasar/app-vite", "Quasar", OnePage, "dist/spa", "quasar dev"},
    {"react-scripts", "Create React App", OnePage, "build", "react-scripts start"},
    {"@vue/cli-service", "Vue CLI", OnePage, "dist", "vue-cli-service serve"},
    {"preact-cli", "Preact", OnePage, "build", "preact watch"},
    {"@rsbuild/core", "Rsbuild", OnePage, "dist", "rsbuild dev|rsbuild preview"},
    {"vite", "Vite", Either, "dist", "vite|vite dev|vite serve|vite preview"},
    {"parcel", "Parcel", Either, "dist", "parcel|parcel serve"},
    {"webpack", "webpack", Either, "dist", "webpack serve|webpack-dev-server"},
    {"rollup", "Rollup", Either, "dist"},
    {"esbuild", "esbuild", Either, "dist"},
    {"fastify-cli", "Fastify", Nothing, "", "", "FASTIFY_ADDRESS=0.0.0.0"},
    {"serve", "serve", Nothing, "", "serve -s dist|serve -s build|serve dist|serve build"},
});

/// Whether one of the framework's configuration files says so.
bool configured(const Project& project, std::string_view name, const RE2& pattern) {
  for (const char* suffix : {".js", ".mjs", ".cjs", ".ts", ".mts"})
    if (const auto text = project.tree.read(std::string{name} + suffix);
        text && RE2::PartialMatch(*text, pattern))
      return true;
  return false;
}

/// Frameworks with a server that were told to make pages instead.
bool makes_pages_instead(const Project& project, const Framework& one) {
  static const RE2 exports{R"(output:\s*['"]export['"])"};
  const auto build = project.script("build");
  if (one.name == "Nuxt") return build.contains("nuxt generate") || build.contains("nuxi generate");
  return one.name == "Next.js" && configured(project, "next.config", exports);
}

/// The row that decides what a project's build makes.
const Framework* builder(const Project& project) {
  const auto found = std::ranges::find_if(kFrameworks, [&](const Framework& one) {
    return one.makes != Nothing && project.depends_on(one.package);
  });
  return found == kFrameworks.end() ? nullptr : &*found;
}

Node read_angular(const Project& project) {
  try {
    return parse_json(project.tree.read("angular.json").value_or("{}"));
  } catch (const Error&) {
    return {};  // the build will say what is wrong with it
  }
}

/// Where Angular's builder of the first project writes to.
std::string angular_output(const Project& project) {
  const auto workspace = read_angular(project);
  const Node* projects = workspace.find("projects");
  if (!projects || !projects->map() || projects->map()->empty())
    return "dist/" + project.text("name") + "/browser";
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

/// Where Vite was told to write.
std::string vite_output(const Project& project) {
  for (const char* file : {"vite.config.js", "vite.config.ts", "vite.config.mjs", "vite.config.mts"}) {
    const auto text = project.tree.read(file).value_or("");
    const auto at = text.find("outDir");
    const auto open = at == std::string::npos ? at : text.find_first_of("'\"`", at);
    const auto close = open == std::string::npos ? open : text.find(text[open], open + 1);
    if (close == std::string::npos) continue;
    auto directory = text.substr(open + 1, close - open - 1);
    if (directory.starts_with("./")) directory.erase(0, 2);
    if (!directory.empty() && !directory.contains("..") && !directory.starts_with('/')) return directory;
  }
  return "dist";
}

/// Where the pages are, for builders that can be told.
std::string directory_of(const Project& project, const Framework& one) {
  if (one.name == "Vite") return vite_output(project);
  if (one.name == "Angular") return angular_output(project);
  std::string folder;  // of the pages' sources: "vitepress build docs"
  RE2::PartialMatch(project.script("build"), R"((?:vitepress|vuepress) build ([\w./-]+))", &folder);
  return folder.empty() || folder == "." ? std::string{one.made} : folder + "/" + std::string{one.made};
}

bool has_index(const Project& project) {
  for (const char* file : {"index.html", "public/index.html", "src/index.html"})
    if (project.tree.has(file)) return true;
  return false;
}

/// Own pages for what is not there: then no page answers for every path.
bool has_page_for_missing(const Project& project) {
  for (const char* own : {"public/404.html", "src/404.html", "404.html"})
    if (project.tree.has(own)) return true;
  return false;
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

std::optional<MadeServer> made_server(const Project& project) {
  if (project.script("build").empty()) return {};
  // Angular's own tool writes a script for the server that it makes.
  if (const Node* scripts = project.package.find("scripts"); scripts && scripts->map())
    for (const auto& [name, command] : *scripts->map())
      if (name.starts_with("serve:ssr:") && command.string())
        return MadeServer{
            .framework = "Angular", .command = *command.string(), .whole = {}, .environment = {}};
  const auto* one = builder(project);
  if (!one || one->makes != Server || makes_pages_instead(project, *one)) return {};
  MadeServer made{.framework = std::string{one->name},
                  .command = std::string{one->made},
                  .whole = one->made == kOutput ? ".output" : "",
                  .environment = std::string{one->builds}};
  return made;
}

std::optional<MadeSite> made_site(const Project& project) {
  if (project.script("build").empty() || made_server(project)) return {};
  const auto* one = builder(project);
  if (!one) return {};
  if (one->makes == Server)
    return MadeSite{.builder = std::string{one->name},
                    .directory = one->name == "Nuxt" ? ".output/public" : "out"};
  return MadeSite{
      .builder = std::string{one->name},
      .directory = directory_of(project, *one),
      .one_page = (one->makes == OnePage || one->name == "Vite") && !has_page_for_missing(project),
      .sure = one->makes != Either || has_index(project)};
}

bool serves_for_development(std::string_view script) {
  script = trim(script);
  const auto is = [&](std::string_view command) {
    return script == command ||
           (script.starts_with(command) && script.substr(command.size()).starts_with(" -"));
  };
  return std::ranges::any_of(kFrameworks, [&](const Framework& one) {
    auto rest = one.development;
    while (!rest.empty()) {
      const auto end = std::min(rest.find('|'), rest.size());
      if (is(rest.substr(0, end))) return true;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return false;
  });
}

std::string listening_settings(const Project& project) {
  for (const auto& one : kFrameworks)
    if (!one.listens.empty() && project.depends_on(one.package)) return std::string{one.listens};
  return {};
}

}  // namespace tow::image::packs
