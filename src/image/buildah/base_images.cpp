// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/base_images.hpp"

#include <fmt/ranges.h>

#include <deque>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "image/buildah/apt_sources.hpp"
#include "image/buildah/files.hpp"

namespace tow::image::buildah {
namespace {

void tell(const ProgressSink& progress, const std::string& text) {
  if (progress) progress(text);
}

}  // namespace

bool BaseImages::has(const Recipe& recipe) const {
  const auto stored = workshop_.storage().resolve(base_reference(recipe.name));
  return stored && workshop_.storage().label(stored->id, kRecipeLabel) == digest(recipe);
}

Task<> BaseImages::ensure(std::string name, ProgressSink progress) {
  const auto* recipe = find_recipe(name);
  if (!recipe) throw fail(Code::NotFound, "there is no base image \"{}\"", name);
  if (has(*recipe)) co_return;
  const auto file = workshop_.lock_file("bases.lock");
  auto making = FileLock::try_lock(file, FileLock::Mode::Exclusive);
  if (!making) {
    tell(progress, "waiting for another build that makes base images");
    making = co_await FileLock::lock(file, FileLock::Mode::Exclusive, std::chrono::minutes{30});
  }
  if (!making)
    throw Error{Code::Unavailable, "base images are being made for half an hour already; try again"};
  const auto& base = *find_recipe("base");
  if (!has(base)) co_await make(base, progress);
  if (!has(*recipe)) co_await make(*recipe, progress);
}

Task<> BaseImages::make(const Recipe& recipe, const ProgressSink& progress) {
  std::string unreachable;
  try {
    co_await make_from(recipe, recipe.containerfile, progress);
  } catch (const Error& error) {
    const bool registry = error.code() == Code::Invalid && error.message().contains("npm install");
    if (recipe.without_registry.empty() || !registry) throw;
    unreachable = error.message();
  }
  if (unreachable.empty()) co_return;
  tell(progress, "the npm registry cannot be reached; taking Debian's npm, which is larger");
  log::warning("image", "towpath/{}: {}", recipe.name, unreachable);
  co_await make_from(recipe, recipe.without_registry, progress);
}

Task<> BaseImages::make_from(const Recipe& recipe, std::string_view containerfile,
                             const ProgressSink& progress) {
  const auto id = "base-" + new_uid();
  tell(progress, fmt::format("making the base image towpath/{}, once on this machine", recipe.name));
  const auto image = co_await workshop_.in_workspace(id, "towpath", [&]() -> Task<std::string> {
    const auto& layout = workshop_.layout();
    const auto context = layout.temporary / id / "context";
    make_directory(context);
    write_file(context / "Containerfile", containerfile);
    for (const auto& [name, text] : recipe.files) write_file(context / name, text);
    BuildCommand build;
    build.id = id;
    build.context = context;
    build.containerfile = context / "Containerfile";
    build.id_file = layout.builds / id / "image";
    build.labels = {{std::string{kRecipeLabel}, digest(recipe)}};
    build.tags = {base_reference(recipe.name), fmt::format("localhost/towpath/{}:latest", recipe.name)};
    build.layers = false;
    if (recipe.name == "base") {
      co_await bootstrap(context, progress);
      build.timestamp = kSourceDate;
    }
    // Hundreds of lines about packages are nobody's news; a failure shows the last of them.
    const auto steps = [&](std::string_view line) {
      if (line.contains("STEP ")) tell(progress, fmt::format("towpath/{}: {}", recipe.name, line));
    };
    BuildLog log{steps, {}};
    try {
      co_return co_await workshop_.build(build, log);
    } catch (const Error& error) {
      throw Error{error.code(), fmt::format("towpath/{}: {}", recipe.name, error.message())};
    }
  });
  log::info("image", "made the base image towpath/{} ({})", recipe.name, image.substr(0, 12));
}

Task<> BaseImages::bootstrap(const std::filesystem::path& directory, const ProgressSink& progress) {
  const auto& settings = workshop_.settings();
  const auto sources = directory / "debian.sources";
  write_file(sources, render_sources(debian_mirrors(read_apt_sources(settings.apt))));
  std::deque<std::string> last;
  const auto outcome =
      co_await run(bootstrap_command(settings, workshop_.layout(), sources, directory / "root.tar"),
                   [&](Stream, std::string_view line) {
                     if (last.size() == 15) last.pop_front();
                     last.emplace_back(line);
                     const bool detail = line.contains("customize-hook") || line.contains("tempdir");
                     if (line.starts_with("I: ") && !detail) tell(progress, std::string{line.substr(3)});
                   });
  if (!outcome.ok())
    throw fail(outcome.timed_out ? Code::Timeout : Code::Unavailable,
               "Debian's packages could not be put together by mmdebstrap (exit code {}):\n  {}",
               outcome.exit_code, fmt::join(last, "\n  "));
}

}  // namespace tow::image::buildah
