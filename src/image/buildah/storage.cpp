// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/storage.hpp"

#include <fcntl.h>
#include <re2/re2.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <fstream>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::image::buildah {
namespace {

namespace json = boost::json;

std::optional<std::string> read(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) return {};
  return std::string{std::istreambuf_iterator<char>{file}, {}};
}

json::value parse(const std::filesystem::path& path, std::string_view otherwise) {
  const auto text = read(path);
  boost::system::error_code error;
  auto value = json::parse(text ? std::string_view{*text} : otherwise, error);
  if (error) throw fail(Code::Internal, "the image storage is damaged: {} is not JSON", path.string());
  return value;
}

const json::object& object(const json::value* value) {
  static const json::object none;
  return value && value->is_object() ? value->get_object() : none;
}
const json::array& array(const json::value* value) {
  static const json::array none;
  return value && value->is_array() ? value->get_array() : none;
}
std::string text(const json::object& in, std::string_view key) {
  const auto* value = in.if_contains(key);
  return value && value->is_string() ? std::string{value->get_string()} : std::string{};
}
std::vector<std::string> texts(const json::object& in, std::string_view key) {
  std::vector<std::string> result;
  for (const auto& value : array(in.if_contains(key)))
    if (value.is_string()) result.emplace_back(value.get_string());
  return result;
}

/// Files of an image are named by their key, which has characters that file names should not have.
std::string big_data_name(std::string_view key) { return "=" + base64(key); }

}  // namespace

std::vector<StoredImage> Storage::images() const {
  std::vector<StoredImage> result;
  const auto document = parse(root_ / "overlay-images/images.json", "[]");
  for (const auto& value : array(&document)) {
    const auto& entry = object(&value);
    StoredImage image{.id = text(entry, "id"),
                      .digest = text(entry, "digest"),
                      .names = texts(entry, "names"),
                      .layer = text(entry, "layer")};
    if (const auto time = parse_time(text(entry, "created"))) image.created = *time;
    result.push_back(std::move(image));
  }
  return result;
}

std::map<std::string, StoredLayer> Storage::layers() const {
  std::map<std::string, StoredLayer> result;
  const auto document = parse(root_ / "overlay-layers/layers.json", "[]");
  for (const auto& value : array(&document)) {
    const auto& entry = object(&value);
    const auto* size = entry.if_contains("diff-size");
    StoredLayer layer{.id = text(entry, "id"), .parent = text(entry, "parent")};
    if (size && size->is_int64()) layer.size.count = static_cast<std::uint64_t>(size->get_int64());
    result.emplace(layer.id, layer);
  }
  return result;
}

std::map<std::string, std::string> Storage::cgroups() const {
  std::map<std::string, std::string> result;
  const auto document = parse(root_ / "overlay-containers/containers.json", "[]");
  for (const auto& value : array(&document)) {
    const auto id = text(object(&value), "id");
    // Gone between the two readings, or not written yet: then it belongs to a build that is at work.
    const auto file = root_ / "overlay-containers" / id / "userdata/buildah.json";
    const auto state = parse(file, "{}");
    result[id] = text(object(object(&state).if_contains("CommonBuildOpts")), "CgroupParent");
  }
  return result;
}

std::vector<std::string> Storage::working_containers(std::string_view cgroup) const {
  std::vector<std::string> result;
  for (const auto& [id, where] : cgroups())
    if (where == cgroup) result.push_back(id);
  return result;
}

std::vector<std::string> Storage::working_cgroups() const {
  std::vector<std::string> result;
  for (const auto& [id, where] : cgroups()) result.push_back(where);
  return result;
}

std::optional<StoredImage> Storage::resolve(std::string_view reference) const {
  const bool digest = reference.starts_with("sha256:");
  const auto hex_part = digest ? reference.substr(7) : reference;
  const auto at = reference.find('@');
  for (auto& image : images()) {
    if (image.id == hex_part || (digest && image.digest == reference)) return std::move(image);
    if (std::ranges::find(image.names, reference) != image.names.end()) return std::move(image);
    if (at != std::string_view::npos && image.digest == reference.substr(at + 1)) return std::move(image);
  }
  return {};
}

Image Storage::describe(const StoredImage& stored) const {
  const auto document =
      parse(root_ / "overlay-images" / stored.id / big_data_name("sha256:" + stored.id), "");
  const auto& config = object(object(&document).if_contains("config"));
  Image image{.id = stored.id,
              .digest = stored.digest,
              .entrypoint = texts(config, "Entrypoint"),
              .command = texts(config, "Cmd"),
              .environment = texts(config, "Env"),
              .working_directory = text(config, "WorkingDir"),
              .user = text(config, "User"),
              .exposed_ports = {},
              .stop_signal = text(config, "StopSignal"),
              .size = {}};
  for (const auto& [port, unused] : object(config.if_contains("ExposedPorts"))) {
    std::uint16_t number = 0;
    std::from_chars(port.data(), port.data() + port.size(), number);
    if (number != 0) image.exposed_ports.push_back(number);
  }
  std::ranges::sort(image.exposed_ports);
  const auto all = layers();
  for (auto layer = all.find(stored.layer); layer != all.end(); layer = all.find(layer->second.parent))
    image.size.count += layer->second.size.count;
  return image;
}

std::string Storage::label(const std::string& id, std::string_view name) const {
  const auto document = parse(root_ / "overlay-images" / id / big_data_name("sha256:" + id), "{}");
  return text(object(object(object(&document).if_contains("config")).if_contains("Labels")), name);
}

TimePoint Storage::last_used(const std::string& id) const {
  struct stat status{};
  if (::stat((root_ / "overlay-images" / id).c_str(), &status) != 0) return {};
  return TimePoint{std::chrono::seconds{status.st_mtim.tv_sec}};
}

void Storage::mark_used(const std::string& id) const {
  ::utimensat(AT_FDCWD, (root_ / "overlay-images" / id).c_str(), nullptr, 0);
}

std::string normalise(std::string_view reference) {
  static const RE2 id{"(?:sha256:)?[0-9a-f]{64}"};
  static const RE2 shape{
      R"((?:((?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?)/)?)"
      R"(([a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*))"
      R"((:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?)"};
  std::string text{reference};
  if (RE2::FullMatch(text, id)) return text;
  std::string host;
  std::string path;
  std::string tag;
  std::string digest;
  if (text.size() > 512 || !RE2::FullMatch(text, shape, &host, &path, &tag, &digest))
    throw fail(Code::Invalid,
               "\"{}\" is no image reference; write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST",
               reference);
  // What looks like a host but has no dot, no port and is not localhost is the first part of the name.
  if (!host.empty() && host != "localhost" && host.find_first_of(".:") == std::string::npos) {
    path = host + "/" + path;
    host.clear();
  }
  if (std::ranges::any_of(path, [](unsigned char c) { return std::isupper(c); }))
    throw fail(Code::Invalid, "\"{}\" is no image reference: names are lower-case", reference);
  if (host.empty()) {
    if (path.starts_with("towpath/"))
      host = "localhost";
    else
      host = "docker.io";
  }
  if (host == "docker.io" && !path.contains('/')) path = "library/" + path;
  if (!digest.empty()) return host + "/" + path + digest;
  return host + "/" + path + (tag.empty() ? ":latest" : tag);
}

}  // namespace tow::image::buildah
