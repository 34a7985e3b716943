// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/buildah.hpp"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <fstream>
#include <set>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "image/buildah/apt_sources.hpp"
#include "image/buildah/bases.hpp"
#include "image/buildah/build_log.hpp"
#include "image/buildah/collection.hpp"
#include "image/buildah/commands.hpp"
#include "image/buildah/containerfile.hpp"
#include "image/buildah/context.hpp"
#include "image/buildah/file_lock.hpp"
#include "image/buildah/leftovers.hpp"
#include "image/buildah/storage.hpp"
#include "image/packs/packs.hpp"

namespace tow::image::buildah {
namespace {

void write_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644) {
  const auto temporary = path.string() + "." + new_uid();
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor < 0) throw system_error("cannot write " + path.string(), errno);
  const bool written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int number = errno;
  ::close(descriptor);
  std::error_code error;
  if (written) std::filesystem::rename(temporary, path, error);
  if (written && !error) return;
  ::unlink(temporary.c_str());
  throw system_error("cannot write " + path.string(), written ? error.value() : number);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

void make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw system_error("cannot make " + path.string(), error.value());
  ::chmod(path.c_str(), 0700);
}

bool in_path(const char* program) {
  for (const char* directory :
       {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"})
    if (::access((std::filesystem::path{directory} / program).c_str(), X_OK) == 0) return true;
  return false;
}

bool is_file_system(const char* path, long magic) {
  struct statfs status{};
  return ::statfs(path, &status) == 0 && static_cast<long>(status.f_type) == magic;
}

/// crun is quicker, but refuses a host with cgroup v1 and v2 side by side.
std::string choose_runtime() {
  const bool hybrid = is_file_system("/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC);
  if (!hybrid && in_path("crun")) return "crun";
  if (in_path("runc")) return "runc";
  throw Error{
      Code::FailedPrecondition,
      "no OCI runtime for builds is installed; run: apt-get install runc (crun does where the host has "
      "cgroup v2 alone)"};
}

bool is_safe(std::string_view text) {
  return !text.empty() && text.size() <= 128 && text.front() != '.' && text.front() != '-' &&
         std::ranges::all_of(
             text, [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

std::vector<std::string> values(const std::map<std::string, std::string>& map) {
  std::vector<std::string> result;
  for (const auto& [unused, value] : map) result.push_back(value);
  return result;
}

/// What skopeo said, without its time and level.
std::string registry_message(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  if (const auto line = text.rfind('\n'); line != std::string::npos) text.erase(0, line + 1);
  if (const auto message = text.find("msg=\""); message != std::string::npos) {
    text.erase(0, message + 5);
    if (text.ends_with('"')) text.pop_back();
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      plain += text[i];
    }
    return plain;
  }
  return text;
}

bool says_absent(const std::string& text) {
  for (const char* sign :
       {"manifest unknown", "name unknown", "not found", "requested access to the resource is denied",
        "authentication required", "unauthorized", "StatusCode: 404"})
    if (text.contains(sign)) return true;
  return false;
}

Settings completed(Settings settings) {
  if (settings.run_directory.empty()) settings.run_directory = default_run_directory(settings.directory);
  return settings;
}

class BuildahImages final : public Images {
 public:
  explicit BuildahImages(Settings settings)
      : settings_{completed(std::move(settings))}, layout_{layout(settings_)}, storage_{layout_.storage} {}

  Task<> start() override;
  Task<BuildResult> build(BuildRequest request, ProgressSink progress) override;
  Detection detect(const std::filesystem::path& source,
                   const std::filesystem::path& component) const override {
    return packs::detect(source, component);
  }
  Task<Image> ensure(std::string reference, ProgressSink progress) override;
  Task<std::optional<Image>> find(std::string reference) override;
  Task<> ensure_base(std::string name, ProgressSink progress) override;
  Task<Bytes> collect(std::vector<std::string> used) override;

 private:
  struct Source {
    std::string text;
    std::string pack;
    std::filesystem::path file;  // in the context; empty when a pack wrote the text
  };
  Source read_source(const BuildRequest& request) const;
  void check(const BuildRequest& request) const;
  Task<> ensure_images(const Source& source, const BuildRequest& request, const ProgressSink& progress);
  BuildCommand prepare(const Source& source, const BuildRequest& request) const;
  void open_workspace(const std::string& id, const std::string& project) const;
  /// Runs buildah in the workspace of `build.id` and returns the new image's id.
  Task<std::string> run_build(const BuildCommand& build, BuildLog& log) const;
  /// Removes all that a build left: also what an unfinished one did.
  Task<> sweep(std::string id) const;
  template <class F>
  auto in_workspace(std::string id, std::string project, F body)
      -> Task<typename std::invoke_result_t<F>::value_type>;

  bool has_base(const Recipe& recipe) const;
  Task<> make_base(const Recipe& recipe, const ProgressSink& progress);
  Task<> make_base_from(const Recipe& recipe, std::string_view containerfile, const ProgressSink& progress);
  Task<> bootstrap(const std::filesystem::path& directory, const ProgressSink& progress);
  Task<> fetch(const std::string& reference, const ProgressSink& progress);
  std::filesystem::path lock_file(const char* name) const { return settings_.directory / name; }

  const Settings settings_;
  const Layout layout_;
  const Storage storage_;
  std::string runtime_;
  BlockingPool pool_{1};
};

Task<> BuildahImages::start() {
  if (::geteuid() != 0)
    throw Error{Code::FailedPrecondition, "images are built and mounted as root; start Towpath as root"};
  for (const char* program : {"buildah", "skopeo", "mmdebstrap", "unshare"})
    if (!in_path(program))
      throw fail(Code::FailedPrecondition, "{} is not installed; run script/setup, or: apt-get install {}",
                 program, std::string_view{program} == "unshare" ? "util-linux" : program);
  runtime_ = choose_runtime();
  if (settings_.trust_host_certificates && !std::filesystem::exists(settings_.host_certificates))
    throw fail(Code::FailedPrecondition,
               "the host's certificates are to be trusted in builds, but {} is not there",
               settings_.host_certificates.string());
  for (const auto& directory :
       {layout_.storage, layout_.storage_run, layout_.configuration, layout_.configuration / "empty",
        layout_.caches, layout_.temporary, layout_.builds})
    make_directory(directory);
  // The engine's containers look through it; what it holds has modes of its own.
  ::chmod(layout_.storage.c_str(), 0711);
  for (const auto& [name, text] : configuration_files(settings_, layout_))
    write_file(layout_.configuration / name, text);
  for (const auto& id : abandoned_builds(layout_, storage_)) {
    log::info("image", "removing what the unfinished build {} left", id);
    co_await sweep(id);
  }
}

// ---- builds

void BuildahImages::check(const BuildRequest& request) const {
  if (!is_safe(request.id)) throw fail(Code::Invalid, "\"{}\" is no id for a build", request.id);
  for (const auto& [id, unused] : request.secrets)
    if (!is_safe(id))
      throw fail(Code::Invalid, "\"{}\" is no id for a build secret: letters, digits, \"-\", \"_\" and \".\"",
                 id);
  if (!request.secrets.empty() && !is_file_system(layout_.builds.c_str(), TMPFS_MAGIC))
    throw fail(Code::FailedPrecondition, "build secrets need {} to be in memory (tmpfs), and it is not",
               layout_.builds.string());
}

BuildahImages::Source BuildahImages::read_source(const BuildRequest& request) const {
  Source source;
  if (!request.containerfile.empty()) {
    source.text = read_inside(request.context, request.containerfile);
    source.file = request.context / std::filesystem::path{request.containerfile}.lexically_normal();
    return source;
  }
  const auto found = packs::detect(request.context, request.component_path);
  if (found.containerfile.empty())
    throw fail(Code::Invalid, "nothing to build: {}. Add a Containerfile, or one of these files",
               found.explanation);
  source.text = found.containerfile;
  source.pack = found.pack;
  if (found.pack.empty()) source.file = request.context / found.explanation;
  return source;
}

void BuildahImages::open_workspace(const std::string& id, const std::string& project) const {
  make_directory(layout_.builds / id);
  make_directory(layout_.builds / id / "secrets");
  make_directory(layout_.temporary / id);
  const auto cache = layout_.caches / (is_safe(project) ? project : "none");
  make_directory(cache);
  // When the project last built: collect() drops caches that nobody has used for long.
  write_file(cache / ".used", "");
  std::filesystem::create_directory_symlink(cache, layout_.temporary / id / "buildah-cache");
}

template <class F>
auto BuildahImages::in_workspace(std::string id, std::string project, F body)
    -> Task<typename std::invoke_result_t<F>::value_type> {
  const auto owner = FileLock::try_lock(build_lock(layout_, id), FileLock::Mode::Exclusive);
  if (!owner) throw fail(Code::Conflict, "the build {} is under way already", id);
  open_workspace(id, project);
  std::exception_ptr failure;
  std::optional<typename std::invoke_result_t<F>::value_type> result;
  try {
    result.emplace(co_await body());
  } catch (...) {
    failure = std::current_exception();
  }
  const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await while_cleaning_up();
  try {
    co_await sweep(id);
  } catch (const std::exception& error) {
    log::warning("image", "the build {} could not be cleaned up yet: {}", id, error.what());
  }
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  if (failure) std::rethrow_exception(failure);
  co_return std::move(*result);
}

BuildCommand BuildahImages::prepare(const Source& source, const BuildRequest& request) const {
  const auto directory = layout_.builds / request.id;
  BuildCommand build{.id = request.id,
                     .context = request.context,
                     .containerfile = source.file,
                     .ignore_file = {},
                     .id_file = directory / "image",
                     .arguments = request.arguments,
                     .secrets = {},
                     .labels = {},
                     .tags = {},
                     .deadline = request.deadline};
  // A layer that was made with a secret must not be found by another project that has the same source.
  const bool salted = !request.secrets.empty();
  if (salted) build.arguments[std::string{kSaltArgument}] = request.project;
  if (salted || source.file.empty()) {
    build.containerfile = directory / "Containerfile";
    write_file(build.containerfile, salted ? salt_stages(source.text) : source.text);
  }
  if (source.file.empty()) {
    auto ignored = packs::ignore_file();
    for (const char* own : {".containerignore", ".dockerignore"})
      if (std::filesystem::exists(request.context / own)) {
        ignored += read_inside(request.context, own);
        break;
      }
    build.ignore_file = directory / "ignore";
    write_file(build.ignore_file, ignored);
  }
  for (const auto& [id, value] : request.secrets) {
    const auto file = directory / "secrets" / id;
    write_file(file, value, 0600);
    build.secrets.emplace(id, file);
  }
  return build;
}

Task<std::string> BuildahImages::run_build(const BuildCommand& build, BuildLog& log) const {
  auto command = build_command(settings_, layout_, runtime_, build);
  command.output_limit = 4096;  // the log keeps what a message needs
  const auto outcome =
      co_await run(std::move(command), [&log](Stream, std::string_view line) { log.line(line); });
  if (outcome.timed_out)
    throw Error{Code::Timeout, log.failure(fmt::format("the build did not end within {}, and was stopped",
                                                       to_string(build.deadline)))};
  if (!outcome.ok()) {
    if (log.disk_full()) throw Error{Code::Exhausted, log.failure("the disk is full; the build failed")};
    throw Error{Code::Invalid, log.failure("the build failed")};
  }
  auto id = read_file(build.id_file);
  if (id.starts_with("sha256:")) id.erase(0, 7);
  while (!id.empty() && std::isspace(static_cast<unsigned char>(id.back()))) id.pop_back();
  if (id.size() != 64) throw Error{Code::Internal, "buildah ended well, but named no image"};
  co_return id;
}

Task<BuildResult> BuildahImages::build(BuildRequest request, ProgressSink progress) {
  check(request);
  const auto source = read_source(request);
  co_await pool_.run([&] { check_links(request.context); });
  co_await ensure_images(source, request, progress);
  // While images are collected, a build could lose the layers that it found in the cache.
  const auto collecting =
      co_await FileLock::lock(lock_file("collect.lock"), FileLock::Mode::Shared, std::chrono::minutes{10});
  if (!collecting)
    throw Error{Code::Unavailable, "images are being collected for ten minutes already; try again"};
  co_return co_await in_workspace(request.id, request.project, [&]() -> Task<BuildResult> {
    BuildLog log{progress, values(request.secrets)};
    const auto id = co_await run_build(prepare(source, request), log);
    for (const auto& step : log.from_cache()) storage_.mark_used(step);
    const auto stored = storage_.resolve(id);
    if (!stored) throw fail(Code::Internal, "the image {} was built, but is not in the storage", id);
    co_return BuildResult{.image = storage_.describe(*stored),
                          .containerfile = source.text,
                          .pack = source.pack,
                          .cached = log.cached()};
  });
}

Task<> BuildahImages::sweep(std::string id) const {
  const auto containers = storage_.working_containers(build_cgroup(layout_, id));
  if (!containers.empty()) {
    const auto outcome = co_await run(remove_containers_command(settings_, layout_, containers));
    if (!outcome.ok()) throw fail(Code::Internal, "buildah rm: {}", registry_message(outcome.err));
  }
  remove_leftovers(layout_, id);
}

// ---- images of others

Task<> BuildahImages::ensure_images(const Source& source, const BuildRequest& request,
                                    const ProgressSink& progress) {
  for (const auto& image : images_of(source.text, request.arguments)) {
    try {
      const auto base = base_name(image);
      if (base)
        co_await ensure_base(*base, progress);
      else
        co_await ensure(image, progress);
    } catch (const Error& error) {
      throw Error{error.code() == Code::NotFound ? Code::Invalid : error.code(),
                  fmt::format("FROM {}: {}", image, error.message())};
    }
  }
}

Task<> BuildahImages::fetch(const std::string& reference, const ProgressSink& progress) {
  const auto registry = reference.substr(0, reference.find('/'));
  if (registry == "localhost") throw fail(Code::NotFound, "there is no image {} on this machine", reference);
  // The manifest first: whether the registry answers at all shows within its own, short deadline.
  auto look = fetch_command(settings_, layout_, reference);
  look.deadline = settings_.registry_deadline;
  look.argv.erase(std::ranges::find(look.argv, "copy"), look.argv.end());
  for (const char* word : {"inspect", "--raw"}) look.argv.emplace_back(word);
  look.argv.push_back("docker://" + reference);
  if (progress) progress("fetching " + reference);
  const auto fail_with = [&](const Outcome& outcome) {
    const auto said = registry_message(outcome.err);
    if (outcome.timed_out)
      return fail(Code::Unavailable,
                  "the registry {} did not answer in time; is there a way to it from this machine?",
                  registry);
    if (says_absent(said))
      return fail(Code::NotFound, "the registry {} does not give {}: {}", registry, reference, said);
    if (said.contains("no space left")) return fail(Code::Exhausted, "the disk is full: {}", said);
    return fail(Code::Unavailable, "{} cannot be fetched from {}: {}", reference, registry, said);
  };
  const auto looked = co_await run(std::move(look));
  if (!looked.ok()) throw fail_with(looked);
  const auto fetched = co_await run(fetch_command(settings_, layout_, reference));
  if (!fetched.ok()) throw fail_with(fetched);
}

Task<std::optional<Image>> BuildahImages::find(std::string reference) {
  const auto stored = storage_.resolve(normalise(reference));
  if (!stored) co_return std::nullopt;
  co_return storage_.describe(*stored);
}

Task<Image> BuildahImages::ensure(std::string reference, ProgressSink progress) {
  const auto name = normalise(reference);
  if (const auto base = base_name(name)) co_await ensure_base(*base, progress);
  auto stored = storage_.resolve(name);
  if (!stored && name.find('/') == std::string::npos)
    throw fail(Code::NotFound, "there is no image {} on this machine", reference);
  if (!stored) {
    co_await fetch(name, progress);
    stored = storage_.resolve(name);
  }
  if (!stored) throw fail(Code::Internal, "{} was fetched, but is not in the storage", name);
  co_return storage_.describe(*stored);
}

// ---- base images

bool BuildahImages::has_base(const Recipe& recipe) const {
  const auto stored = storage_.resolve(base_reference(recipe.name));
  return stored && storage_.label(stored->id, kRecipeLabel) == digest(recipe);
}

Task<> BuildahImages::ensure_base(std::string name, ProgressSink progress) {
  const auto* recipe = find_recipe(name);
  if (!recipe) throw fail(Code::NotFound, "there is no base image \"{}\"", name);
  if (has_base(*recipe)) co_return;
  auto making = FileLock::try_lock(lock_file("bases.lock"), FileLock::Mode::Exclusive);
  if (!making) {
    if (progress) progress("waiting for another build that makes base images");
    making =
        co_await FileLock::lock(lock_file("bases.lock"), FileLock::Mode::Exclusive, std::chrono::minutes{30});
  }
  if (!making)
    throw Error{Code::Unavailable, "base images are being made for half an hour already; try again"};
  if (recipe->name != "base" && !has_base(*find_recipe("base")))
    co_await make_base(*find_recipe("base"), progress);
  if (!has_base(*recipe)) co_await make_base(*recipe, progress);
}

Task<> BuildahImages::make_base(const Recipe& recipe, const ProgressSink& progress) {
  std::string unreachable;
  try {
    co_await make_base_from(recipe, recipe.containerfile, progress);
  } catch (const Error& error) {
    if (recipe.without_registry.empty() || error.code() != Code::Invalid ||
        !error.message().contains("npm install"))
      throw;
    unreachable = error.message();
  }
  if (unreachable.empty()) co_return;
  if (progress) progress("the npm registry cannot be reached; taking Debian's npm, which is larger");
  log::warning("image", "towpath/{}: {}", recipe.name, unreachable);
  co_await make_base_from(recipe, recipe.without_registry, progress);
}

Task<> BuildahImages::bootstrap(const std::filesystem::path& directory, const ProgressSink& progress) {
  write_file(directory / "debian.sources", render_sources(debian_mirrors(read_apt_sources(settings_.apt))));
  std::deque<std::string> last;
  const auto outcome = co_await run(
      bootstrap_command(settings_, layout_, directory / "debian.sources", directory / "root.tar"),
      [&](Stream, std::string_view line) {
        if (last.size() == 15) last.pop_front();
        last.emplace_back(line);
        if (progress && line.starts_with("I: ")) progress(line.substr(3));
      });
  if (!outcome.ok())
    throw fail(outcome.timed_out ? Code::Timeout : Code::Unavailable,
               "Debian's packages could not be put together by mmdebstrap (exit code {}):\n  {}",
               outcome.exit_code, fmt::join(last, "\n  "));
}

Task<> BuildahImages::make_base_from(const Recipe& recipe, std::string_view containerfile,
                                     const ProgressSink& progress) {
  const auto id = "base-" + new_uid();
  if (progress) progress(fmt::format("making the base image towpath/{}, once on this machine", recipe.name));
  const auto result = co_await in_workspace(id, "towpath", [&]() -> Task<std::string> {
    const auto context = layout_.temporary / id / "context";
    make_directory(context);
    write_file(context / "Containerfile", containerfile);
    for (const auto& [name, text] : recipe.files) write_file(context / name, text);
    BuildCommand build{
        .id = id,
        .context = context,
        .containerfile = context / "Containerfile",
        .ignore_file = {},
        .id_file = layout_.builds / id / "image",
        .arguments = {},
        .secrets = {},
        .labels = {{std::string{kRecipeLabel}, digest(recipe)}},
        .tags = {base_reference(recipe.name), fmt::format("localhost/towpath/{}:latest", recipe.name)},
        .layers = false};
    if (recipe.name == "base") {
      co_await bootstrap(context, progress);
      build.timestamp = TimePoint{std::chrono::seconds{1748736000}};
    }
    // Hundreds of lines about packages are nobody's news; a failure shows the last of them.
    BuildLog log{[&](std::string_view line) {
                   if (progress && line.contains("STEP "))
                     progress(fmt::format("towpath/{}: {}", recipe.name, line));
                 },
                 {}};
    try {
      co_return co_await run_build(build, log);
    } catch (const Error& error) {
      throw Error{error.code(), fmt::format("towpath/{}: {}", recipe.name, error.message())};
    }
  });
  log::info("image", "made the base image towpath/{} ({})", recipe.name, result.substr(0, 12));
}

// ---- what is no longer needed

Task<Bytes> BuildahImages::collect(std::vector<std::string> used) {
  const auto alone =
      co_await FileLock::lock(lock_file("collect.lock"), FileLock::Mode::Exclusive, std::chrono::minutes{5});
  if (!alone) {
    log::info("image", "images are not collected now: builds are under way all the time");
    co_return Bytes{};
  }
  const auto now = std::chrono::floor<Duration>(std::chrono::system_clock::now());
  const auto before = storage_.layers();
  auto images = storage_.images();
  // A fetched image is as old as its making; what counts is when it came here, or last served as a cache.
  for (auto& image : images) image.created = storage_.last_used(image.id);
  const auto garbage = choose_garbage(images, before, used, now - settings_.cache_age);
  constexpr std::size_t kAtOnce = 100;
  for (std::size_t at = 0; at < garbage.size(); at += kAtOnce) {
    const auto end = std::min(at + kAtOnce, garbage.size());
    const std::vector<std::string> ids{garbage.begin() + static_cast<std::ptrdiff_t>(at),
                                       garbage.begin() + static_cast<std::ptrdiff_t>(end)};
    const auto outcome = co_await run(remove_images_command(settings_, layout_, ids));
    if (!outcome.ok())
      log::warning("image", "some images could not be removed: {}", registry_message(outcome.err));
  }
  remove_old_caches(layout_, now - settings_.cache_age);
  const auto after = storage_.layers();
  Bytes freed;
  for (const auto& [id, layer] : before)
    if (!after.contains(id)) freed.count += layer.size.count;
  co_return freed;
}

}  // namespace

std::filesystem::path default_run_directory(const std::filesystem::path& directory) {
  const bool in_memory = is_file_system("/run", TMPFS_MAGIC) || !is_file_system("/dev/shm", TMPFS_MAGIC);
  return std::filesystem::path{in_memory ? "/run" : "/dev/shm"} / "towpath" /
         ("images-" + sha256_hex(directory.string()).substr(0, 12));
}

std::unique_ptr<Images> make(Settings settings) {
  return std::make_unique<BuildahImages>(std::move(settings));
}

}  // namespace tow::image::buildah
