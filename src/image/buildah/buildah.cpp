// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/buildah.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <re2/re2.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/log.hpp"
#include "image/buildah/base_images.hpp"
#include "image/buildah/collection.hpp"
#include "image/buildah/containerfile.hpp"
#include "image/buildah/context.hpp"
#include "image/buildah/files.hpp"
#include "image/buildah/leftovers.hpp"
#include "image/buildah/registry.hpp"
#include "image/buildah/workshop.hpp"
#include "image/packs/packs.hpp"

namespace tow::image::buildah {
namespace {

/// What is to be built.
struct Source {
  std::string text;
  std::string pack;
  std::filesystem::path file;     // in the context; empty when a pack wrote the text
  std::filesystem::path context;  // what its paths start at
};

Source read_source(const BuildRequest& request) {
  if (!request.containerfile.empty())
    return {.text = read_inside(request.context, request.containerfile),
            .pack = {},
            .file = request.context / std::filesystem::path{request.containerfile}.lexically_normal(),
            .context = request.context};
  auto found = packs::detect(request.context, request.component_path);
  if (found.containerfile.empty())
    throw fail(Code::Invalid, "nothing to build: {}. Add a Containerfile, or one of these files",
               found.explanation);
  if (!found.pack.empty())
    return {.text = std::move(found.containerfile),
            .pack = std::move(found.pack),
            .file = {},
            .context = request.context};
  auto context = choose_context(request.context, request.component_path, found.containerfile);
  return {.text = std::move(found.containerfile),
          .pack = {},
          .file = request.context / found.explanation,
          .context = std::move(context)};
}

void check(const BuildRequest& request, const Layout& layout) {
  if (!is_safe_name(request.id)) throw fail(Code::Invalid, "\"{}\" is no id for a build", request.id);
  for (const auto& [id, unused] : request.secrets)
    if (!is_safe_name(id))
      throw fail(Code::Invalid, "\"{}\" is no id for a build secret: letters, digits, \"-\", \"_\" and \".\"",
                 id);
  if (!request.secrets.empty() && !is_file_system(layout.builds, TMPFS_MAGIC))
    throw fail(Code::FailedPrecondition, "build secrets need {} to be in memory (tmpfs), and it is not",
               layout.builds.string());
}

/// Writes what buildah is to read into the build's workspace.
BuildCommand prepare(const Source& source, const BuildRequest& request, const Settings& settings,
                     const Layout& layout) {
  const auto directory = layout.builds / request.id;
  BuildCommand build;
  build.id = request.id;
  build.context = source.context;
  build.containerfile = source.file;
  build.id_file = directory / "image";
  build.arguments = request.arguments;
  build.deadline = request.deadline;
  build.network = build_network(settings);
  if (!needs_network(source.text)) build.network->outward = false;
  // A layer that was made with a secret must not be found by another project that has the same source.
  const bool salted = !request.secrets.empty();
  if (salted) build.arguments[std::string{kSaltArgument}] = request.project;
  if (salted || source.file.empty()) {
    build.containerfile = directory / "Containerfile";
    write_file(build.containerfile, salted ? salt_stages(source.text) : source.text);
  }
  if (source.file.empty()) {
    auto ignored = packs::ignore_file(source.text);
    for (const char* own : {".containerignore", ".dockerignore"})
      if (std::filesystem::exists(request.context / own)) {
        ignored += read_inside(request.context, own);
        break;
      }
    build.ignore_file = directory / "ignore";
    write_file(build.ignore_file, ignored);
  }
  for (const auto& [id, value] : request.secrets) {
    build.secrets[id] = directory / "secrets" / id;
    write_file(build.secrets[id], value, 0600);
  }
  return build;
}

/// People write the paths of COPY relative to the Containerfile, as other tools take them.
void add_hint(const Error& error, const BuildRequest& request) {
  static const RE2 absent{R"re("([^"]*)" is not in the repository)re"};
  std::string path;
  std::error_code ignored;
  const auto& component = request.component_path;
  if (component.empty() || !RE2::PartialMatch(error.message(), absent, &path)) return;
  if (!std::filesystem::exists(request.context / component / path, ignored)) return;
  throw Error{error.code(),
              fmt::format("{}\n  Paths in a Containerfile are relative to the repository; write {}",
                          error.message(), (component / path).string())};
}

class BuildahImages final : public Images {
 public:
  explicit BuildahImages(Settings settings) : workshop_{std::move(settings)} {}

  Task<> start() override { return workshop_.start(); }
  Task<BuildResult> build(BuildRequest request, ProgressSink progress) override;
  Detection detect(const std::filesystem::path& source,
                   const std::filesystem::path& component) const override {
    return packs::detect(source, component);
  }
  Task<Image> ensure(std::string reference, ProgressSink progress) override;
  Task<std::optional<Image>> find(std::string reference) override;
  Task<> ensure_base(std::string name, ProgressSink progress) override {
    return bases_.ensure(std::move(name), std::move(progress));
  }
  Task<Bytes> collect(std::vector<std::string> used) override;

 private:
  Task<> ensure_images(const Source& source, const BuildRequest& request, const ProgressSink& progress);

  Workshop workshop_;
  const Storage& storage_ = workshop_.storage();
  BaseImages bases_{workshop_};
  BlockingPool pool_{1};
};

Task<> BuildahImages::ensure_images(const Source& source, const BuildRequest& request,
                                    const ProgressSink& progress) {
  for (const auto& image : images_of(source.text, request.arguments)) {
    try {
      co_await ensure(image, progress);
    } catch (const Error& error) {
      // A word alone was perhaps meant as a stage.
      const bool word = image.find_first_of("/:@") == std::string::npos;
      throw Error{
          error.code() == Code::NotFound ? Code::Invalid : error.code(),
          fmt::format(
              "FROM {}: {}{}", image, error.message(),
              word ? fmt::format(" (if a stage is meant: no earlier FROM … AS {} is there)", image) : "")};
    }
  }
}

Task<BuildResult> BuildahImages::build(BuildRequest request, ProgressSink progress) {
  check(request, workshop_.layout());
  const auto source = read_source(request);
  check_supported(source.text,
                  source.file.empty() ? "" : source.file.lexically_relative(request.context).string());
  co_await pool_.run([&] { check_links(request.context); });
  co_await ensure_images(source, request, progress);
  // While images are collected, a build could lose the layers that it found in the cache.
  const auto collecting = co_await FileLock::lock(workshop_.lock_file("collect.lock"), FileLock::Mode::Shared,
                                                  std::chrono::minutes{10});
  if (!collecting)
    throw Error{Code::Unavailable, "images are being collected for ten minutes already; try again"};
  co_return co_await workshop_.in_workspace(request.id, request.project, [&]() -> Task<BuildResult> {
    std::vector<std::string> secrets;
    for (const auto& [unused, value] : request.secrets) secrets.push_back(value);
    BuildLog log{progress, std::move(secrets)};
    std::string id;
    try {
      id = co_await workshop_.build(
          prepare(source, request, workshop_.current_settings(), workshop_.layout()), log);
    } catch (const Error& error) {
      add_hint(error, request);
      throw;
    }
    for (const auto& step : log.from_cache()) storage_.mark_used(step);
    const auto stored = storage_.resolve(id);
    if (!stored) throw fail(Code::Internal, "the image {} was built, but is not in the storage", id);
    co_return BuildResult{.image = storage_.describe(*stored),
                          .containerfile = source.text,
                          .pack = source.pack,
                          .cached = log.cached()};
  });
}

Task<std::optional<Image>> BuildahImages::find(std::string reference) {
  const auto stored = storage_.resolve(normalise(reference));
  if (!stored) co_return std::nullopt;
  co_return storage_.describe(*stored);
}

Task<Image> BuildahImages::ensure(std::string reference, ProgressSink progress) {
  const auto name = normalise(reference);
  const auto base = base_name(name);
  if (base) co_await bases_.ensure(*base, progress);
  auto stored = storage_.resolve(base ? base_reference(*base) : name);
  if (!stored) {
    if (!name.contains('/')) throw fail(Code::NotFound, "there is no image {} on this machine", reference);
    co_await fetch(workshop_, name, progress);
    stored = storage_.resolve(name);
  }
  if (!stored) throw fail(Code::Internal, "{} was fetched, but is not in the storage", name);
  co_return storage_.describe(*stored);
}

Task<Bytes> BuildahImages::collect(std::vector<std::string> used) {
  const auto alone = co_await FileLock::lock(workshop_.lock_file("collect.lock"), FileLock::Mode::Exclusive,
                                             std::chrono::minutes{5});
  if (!alone) {
    log::info("image", "images are not collected now: builds are under way all the time");
    co_return Bytes{};
  }
  const auto& settings = workshop_.settings();
  const auto since = std::chrono::floor<Duration>(std::chrono::system_clock::now()) - settings.cache_age;
  auto images = storage_.images();
  // A fetched image is as old as its making; what counts is when it came here, or last served as a cache.
  for (auto& image : images) image.created = storage_.last_used(image.id);
  const auto before = storage_.layers();
  const auto garbage = choose_garbage(images, before, used, since);
  constexpr std::size_t kAtOnce = 100;
  for (std::size_t at = 0; at < garbage.size(); at += kAtOnce) {
    const auto first = garbage.begin() + static_cast<std::ptrdiff_t>(at);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kAtOnce, garbage.size() - at));
    const auto outcome =
        co_await run(remove_images_command(settings, workshop_.layout(), {first, first + count}));
    if (!outcome.ok())
      log::warning("image", "some images could not be removed: {}", last_message(outcome.err));
  }
  remove_old_caches(workshop_.layout(), since);
  const auto after = storage_.layers();
  Bytes freed;
  for (const auto& [id, layer] : before)
    if (!after.contains(id)) freed.count += layer.size.count;
  co_return freed;
}

}  // namespace

std::unique_ptr<Images> make(Settings settings) {
  return std::make_unique<BuildahImages>(std::move(settings));
}

}  // namespace tow::image::buildah
