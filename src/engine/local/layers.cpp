// SPDX-License-Identifier: Apache-2.0
#include "engine/local/layers.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/node.hpp"
#include "engine/local/descriptor.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

Node read_json(const fs::path& path) {
  std::ifstream in{path};
  if (!in) throw fail(Code::NotFound, "the image storage has no {}", path.string());
  std::ostringstream text;
  text << in.rdbuf();
  return parse_json(text.str());
}

std::string text(const Node& node, std::string_view key) {
  const Node* value = node.find(key);
  return value && value->string() ? *value->string() : std::string{};
}

std::vector<std::string> texts(const Node* node) {
  std::vector<std::string> all;
  if (node && node->list())
    for (const auto& entry : *node->list())
      if (entry.string()) all.push_back(*entry.string());
  return all;
}

bool answers_to(const Node& image, const std::string& name) {
  const std::string id = text(image, "id");
  if (id == name || (name.size() >= 12 && id.starts_with(name))) return true;
  if (name == "sha256:" + id || name == text(image, "digest")) return true;
  for (const auto& known : texts(image.find("names")))
    if (known == name || known == "localhost/" + name || known == name + ":latest" ||
        known == "localhost/" + name + ":latest")
      return true;
  return false;
}

/// A file of the image as a program in the container would see it, or nothing. Links may not leave the layer.
std::optional<std::string> read_file(const StoredImage& image, const char* path) {
  for (const auto& layer : image.layers) {
    const Descriptor root{::open(layer.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!root) continue;
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const Descriptor file{static_cast<int>(::syscall(SYS_openat2, root.get(), path, &how, sizeof how))};
    if (!file) continue;
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = ::read(file.get(), buffer, sizeof buffer)) > 0 && all.size() < (1 << 20);)
      all.append(buffer, static_cast<std::size_t>(n));
    return all;
  }
  return std::nullopt;
}

std::vector<std::string> split(const std::string& line, char separator) {
  std::vector<std::string> parts;
  std::istringstream in{line};
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

std::optional<std::uint32_t> number(const std::string& text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The first line of a passwd or group file whose field `at` is `value`.
std::vector<std::string> entry(const std::string& file, std::size_t at, const std::string& value) {
  std::istringstream in{file};
  for (std::string line; std::getline(in, line);) {
    auto parts = split(line, ':');
    if (parts.size() > 2 && parts[at] == value) return parts;
  }
  return {};
}

std::uint32_t checked(std::uint32_t id, const StoredImage& image) {
  if (id > 65535)
    throw fail(Code::Invalid, "image {} runs as user or group {}; 65535 is the highest", image.id, id);
  return id;
}

}  // namespace

StoredImage Layers::find(const std::string& name) {
  const std::lock_guard lock{mutex_};
  if (const auto known = known_.find(name); known != known_.end()) {
    bool there = true;
    for (const auto& layer : known->second.layers) there = there && fs::exists(layer);
    if (there) return known->second;
    known_.erase(known);
  }

  const Node images = read_json(storage_ / "overlay-images/images.json");
  const Node* found = nullptr;
  if (images.list())
    for (const auto& image : *images.list())
      if (answers_to(image, name)) found = &image;
  if (!found) throw fail(Code::NotFound, "image {} is not in the image store {}", name, storage_.string());

  StoredImage image;
  image.id = text(*found, "id");
  // Names that are no plain words are kept as "=" and their base64.
  const Node document =
      read_json(storage_ / "overlay-images" / image.id / ("=" + base64("sha256:" + image.id)));
  const Node nothing;
  const Node* config = document.find("config");
  if (!config) config = &nothing;
  image.entrypoint = texts(config->find("Entrypoint"));
  image.command = texts(config->find("Cmd"));
  image.environment = texts(config->find("Env"));
  image.working_directory = text(*config, "WorkingDir");
  if (image.working_directory.empty()) image.working_directory = "/";
  image.user = text(*config, "User");

  std::map<std::string, std::string> parents;
  const Node layers = read_json(storage_ / "overlay-layers/layers.json");
  if (layers.list())
    for (const auto& layer : *layers.list()) parents[text(layer, "id")] = text(layer, "parent");
  for (std::string layer = text(*found, "layer"); !layer.empty(); layer = parents[layer]) {
    image.layers.push_back(storage_ / "overlay" / layer / "diff");
    if (!parents.contains(layer) || !fs::exists(image.layers.back()))
      throw fail(Code::NotFound, "image {} lacks its layer {}; build or pull it again", name, layer);
  }
  return known_[image.id] = image;
}

User Layers::user(const StoredImage& image, const std::string& spelling) {
  const auto colon = spelling.find(':');
  const std::string name = spelling.substr(0, colon);
  const std::string group = colon == std::string::npos ? "" : spelling.substr(colon + 1);
  const std::string passwd = read_file(image, "etc/passwd").value_or("");
  User user;

  const auto id = number(name);
  const auto line = name.empty() ? entry(passwd, 2, "0")
                    : id         ? entry(passwd, 2, name)
                                 : entry(passwd, 0, name);
  if (!name.empty() && !id && line.empty())
    throw fail(Code::Invalid, "image {} runs as user \"{}\", whom its /etc/passwd does not have", image.id,
               name);
  user.user = id ? *id : line.empty() ? 0 : number(line[2]).value_or(0);
  if (line.size() > 3) user.group = number(line[3]).value_or(0);
  if (line.size() > 5 && !line[5].empty()) user.home = line[5];

  const std::string groups = read_file(image, "etc/group").value_or("");
  if (!group.empty()) {
    const auto group_id = number(group);
    const auto found = entry(groups, 0, group);
    if (!group_id && found.empty())
      throw fail(Code::Invalid, "image {} runs as group \"{}\", which its /etc/group does not have", image.id,
                 group);
    user.group = group_id ? *group_id : number(found[2]).value_or(0);
  } else if (!line.empty()) {
    std::istringstream in{groups};
    for (std::string one; std::getline(in, one);) {
      const auto parts = split(one, ':');
      if (parts.size() < 4) continue;
      for (const auto& member : split(parts[3], ','))
        if (const auto further = number(parts[2]); member == line[0] && further && *further != user.group)
          user.further_groups.push_back(checked(*further, image));
    }
  }
  checked(user.user, image);
  checked(user.group, image);
  return user;
}

}  // namespace tow::engine::local
