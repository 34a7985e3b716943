// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/workshop.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "image/buildah/files.hpp"
#include "image/buildah/leftovers.hpp"
#include "image/buildah/limits.hpp"

namespace tow::image::buildah {
namespace {

/// What a build needs to get out, from this process's own environment.
std::map<std::string, std::string> proxies() {
  std::map<std::string, std::string> result;
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
    if (const char* value = std::getenv(name); value && *value) result[name] = value;
  return result;
}

/// Whether what is made at this path will be in memory.
bool is_in_memory(std::filesystem::path path) {
  std::error_code error;
  while (!std::filesystem::exists(path, error) && path.has_relative_path()) path = path.parent_path();
  return is_file_system(path, TMPFS_MAGIC);
}

Settings completed(Settings settings) {
  if (settings.proxy.empty()) settings.proxy = proxies();
  auto& run = settings.run_directory;
  if (run.empty())
    run = default_run_directory(settings.directory);
  else if (!is_in_memory(run))
    run = default_run_directory(run);
  return settings;
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

void check_machine() {
  if (::geteuid() != 0)
    throw Error{Code::FailedPrecondition, "images are built and mounted as root; start Towpath as root"};
  constexpr std::pair<const char*, const char*> programs[] = {
      {"buildah", "buildah"}, {"skopeo", "skopeo"},      {"mmdebstrap", "mmdebstrap"},
      {"pasta", "passt"},     {"unshare", "util-linux"}, {"nsenter", "util-linux"},
      {"ip", "iproute2"}};
  for (const auto& [program, package] : programs)
    if (!in_path(program))
      throw fail(Code::FailedPrecondition, "{} is not installed; run script/setup, or: apt-get install {}",
                 program, package);
  if (!std::filesystem::exists("/dev/net/tun"))
    throw Error{Code::FailedPrecondition,
                "/dev/net/tun is not there, which the network of builds needs; load the kernel module tun "
                "(modprobe tun), or pass the device into the container that Towpath runs in"};
}

void check_certificates(const Settings& settings) {
  if (settings.trust_host_certificates && !std::filesystem::exists(settings.host_certificates))
    throw fail(Code::FailedPrecondition,
               "the host's certificates are to be trusted in builds, but {} is not there",
               settings.host_certificates.string());
}

void check_file_system(const std::filesystem::path& storage) {
  if (is_file_system(storage, OVERLAYFS_SUPER_MAGIC))
    throw fail(
        Code::FailedPrecondition,
        "{} lies on an overlay file system (a container's?), where images cannot be kept; choose a data "
        "directory on a disk of its own",
        storage.string());
}

}  // namespace

std::filesystem::path default_run_directory(const std::filesystem::path& directory) {
  const bool in_memory = is_file_system("/run", TMPFS_MAGIC) || !is_file_system("/dev/shm", TMPFS_MAGIC);
  return std::filesystem::path{in_memory ? "/run" : "/dev/shm"} / "towpath" /
         ("images-" + sha256_hex(directory.string()).substr(0, 12));
}

std::string last_message(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  if (const auto line = text.rfind('\n'); line != std::string::npos) text.erase(0, line + 1);
  const auto message = text.find("msg=\"");
  if (message == std::string::npos) return text;
  text.erase(0, message + 5);
  if (text.ends_with('"')) text.pop_back();
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    plain += text[i];
  }
  return plain;
}

Workshop::Workshop(Settings settings)
    : settings_{completed(std::move(settings))},
      layout_{buildah::layout(settings_)},
      storage_{layout_.storage} {}

Task<> Workshop::start() {
  check_machine();
  check_certificates(settings_);
  runtime_ = choose_runtime();
  for (const auto& directory :
       {layout_.storage, layout_.storage_run, layout_.configuration, layout_.configuration / "empty",
        layout_.caches, layout_.temporary, layout_.builds})
    make_directory(directory);
  check_file_system(layout_.storage);
  // A file that is replaced is lost to the steps that are about to mount it: another process may be building.
  for (const auto& [name, text] : configuration_files(settings_, layout_))
    if (const auto file = layout_.configuration / name; read_file(file) != text) write_file(file, text);
  for (const auto& id : abandoned_builds(layout_, storage_)) {
    log::info("image", "removing what the unfinished build {} left", id);
    try {
      co_await sweep(id);
    } catch (const Error& error) {
      // What cannot be tidied up now is tried again at the next start; it is in nobody's way.
      log::warning("image", "the unfinished build {}: {}", id, error.message());
    }
  }
}

std::filesystem::path Workshop::lock_of(const std::string& id) const { return build_lock(layout_, id); }

void Workshop::refuse_twice(const std::string& id) {
  throw fail(Code::Conflict, "the build {} is under way already", id);
}

void Workshop::open_workspace(const std::string& id, const std::string& project) const {
  make_directory(layout_.builds / id);
  make_directory(layout_.builds / id / "secrets");
  make_directory(layout_.temporary / id);
  const auto cache = layout_.caches / (is_safe_name(project) ? project : "none");
  make_directory(cache);
  // When the project last built: collect() drops caches that nobody has used for long.
  write_file(cache / ".used", "");
  std::filesystem::create_directory_symlink(cache, layout_.temporary / id / "buildah-cache");
}

Task<> Workshop::close_workspace(std::string id) const {
  try {
    co_await sweep(id);
  } catch (const std::exception& error) {
    log::warning("image", "the build {} could not be cleaned up yet: {}", id, error.what());
  }
}

Task<> Workshop::sweep(std::string id) const {
  const auto containers = storage_.working_containers(steps_cgroup(id));
  if (!containers.empty()) {
    const auto outcome = co_await run(remove_containers_command(settings_, layout_, containers));
    if (!outcome.ok()) throw fail(Code::Internal, "buildah rm: {}", last_message(outcome.err));
  }
  remove_leftovers(layout_, id);
}

Settings Workshop::current_settings() const {
  Settings settings = settings_;
  if (settings.renew) settings.renew(settings);
  return settings;
}

Task<std::string> Workshop::build(const BuildCommand& build, BuildLog& log) const {
  const auto settings = current_settings();
  check_certificates(settings);
  for (const auto& [name, text] : step_files(settings)) write_file(layout_.builds / build.id / name, text);
  if (build.network) write_file(layout_.builds / build.id / "routes", render_routes(*build.network));
  auto command = build_command(settings, layout_, runtime_, build);
  command.output_limit = 4096;  // the log keeps what a message needs
  const auto limits = build_limits(settings);
  limit_build(build_cgroup(build.id), limits);
  const auto outcome =
      co_await run(std::move(command), [&log](Stream, std::string_view line) { log.line(line); });
  if (outcome.timed_out)
    throw Error{Code::Timeout, log.failure(fmt::format("the build did not end within {}, and was stopped",
                                                       to_string(build.deadline)))};
  if (!outcome.ok()) {
    if (log.disk_full()) throw Error{Code::Exhausted, log.failure("the disk is full, and the build failed")};
    if (log.killed() && was_short_of_memory(build_cgroup(build.id)))
      throw Error{Code::Exhausted, log.failure(fmt::format(
                                       "the build wanted more than the {} of memory that a build's steps may "
                                       "use together, and failed",
                                       to_string(limits.memory)))};
    throw Error{Code::Invalid, log.failure("the build failed")};
  }
  auto id = read_file(build.id_file);
  if (id.starts_with("sha256:")) id.erase(0, 7);
  while (!id.empty() && std::isspace(static_cast<unsigned char>(id.back()))) id.pop_back();
  if (id.size() != 64) throw Error{Code::Internal, "buildah ended well, but named no image"};
  co_return id;
}

}  // namespace tow::image::buildah
