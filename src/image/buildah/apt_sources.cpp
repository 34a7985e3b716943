// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/apt_sources.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

namespace tow::image::buildah {
namespace {

constexpr std::string_view kKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

struct Source {
  std::vector<std::string> types;
  std::vector<std::string> uris;
  std::vector<std::string> suites;
  std::vector<std::string> components;
  std::string signed_by;
  bool trusted = false;
  bool enabled = true;
};

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream{text};
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::vector<Source> one_line_style(const std::string& text) {
  std::vector<Source> result;
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) {
    line = line.substr(0, line.find('#'));
    Source source;
    const auto open = line.find('[');
    const auto close = line.find(']');
    if (open != std::string::npos && close != std::string::npos && open < close) {
      for (const auto& option : words(line.substr(open + 1, close - open - 1))) {
        if (option.starts_with("signed-by=")) source.signed_by = option.substr(10);
        if (option == "trusted=yes") source.trusted = true;
      }
      line.erase(open, close - open + 1);
    }
    auto list = words(line);
    if (list.size() < 4) continue;
    source.types = {list[0]};
    source.uris = {list[1]};
    source.suites = {list[2]};
    source.components.assign(list.begin() + 3, list.end());
    result.push_back(std::move(source));
  }
  return result;
}

std::vector<Source> deb822_style(const std::string& text) {
  std::vector<Source> result;
  std::map<std::string, std::string> fields;
  std::string key;
  const auto flush = [&] {
    if (fields.empty()) return;
    result.push_back({.types = words(fields["types"]),
                      .uris = words(fields["uris"]),
                      .suites = words(fields["suites"]),
                      .components = words(fields["components"]),
                      .signed_by = fields["signed-by"],
                      .trusted = lower(fields["trusted"]).contains("yes"),
                      .enabled = !lower(fields["enabled"]).contains("no")});
    fields.clear();
    key.clear();
  };
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with('#')) continue;
    if (words(line).empty()) {
      flush();
    } else if (std::isspace(static_cast<unsigned char>(line.front()))) {
      fields[key] += " " + line;
    } else if (const auto colon = line.find(':'); colon != std::string::npos) {
      key = lower(line.substr(0, colon));
      fields[key] = line.substr(colon + 1);
    }
  }
  flush();
  return result;
}

/// "bookworm" of "bookworm-security", if it is a release of Debian's.
bool is_debian_suite(const std::string& suite) {
  constexpr std::array<std::string_view, 9> names = {"bullseye", "bookworm", "trixie",  "forky",    "duke",
                                                     "sid",      "stable",   "testing", "oldstable"};
  const auto name = suite.substr(0, suite.find_first_of("-/"));
  return std::ranges::find(names, name) != names.end();
}

bool is_debians(const Source& source) {
  const auto signer = words(source.signed_by);
  const bool by_debian = signer.empty() || std::ranges::all_of(signer, [](const std::string& file) {
                           return file.contains("debian-archive-");
                         });
  return source.enabled && !source.trusted && by_debian &&
         std::ranges::find(source.types, "deb") != source.types.end() &&
         std::ranges::find(source.components, "main") != source.components.end() &&
         std::ranges::all_of(source.suites, is_debian_suite);
}

/// A vendor may call its repository "bookworm main", too: without Debian's key by name, its path decides.
bool looks_debian(const Source& source, const std::string& uri) {
  if (!source.signed_by.empty()) return true;
  auto path = uri;
  while (path.ends_with('/')) path.pop_back();
  const auto last = path.substr(path.find_last_of('/') + 1);
  return last == "debian" || last == "debian-security";
}

bool fetches(const std::string& uri) {
  return uri.starts_with("http://") || uri.starts_with("https://") || uri.starts_with("file:/");
}

}  // namespace

Mirrors debian_mirrors(const std::vector<AptFile>& files) {
  std::optional<std::string> archive;
  std::optional<std::string> security;
  for (const auto& file : files) {
    const auto sources =
        file.name.ends_with(".sources") ? deb822_style(file.text) : one_line_style(file.text);
    for (const auto& source : sources) {
      if (!is_debians(source)) continue;
      for (auto uri : source.uris) {
        if (!fetches(uri) || !looks_debian(source, uri)) continue;
        while (uri.ends_with('/')) uri.pop_back();
        for (const auto& suite : source.suites) {
          auto& found = suite.ends_with("-security") || suite.ends_with("/updates") ? security : archive;
          if (!found && (&found == &security || !suite.contains("-backports"))) found = uri;
        }
      }
    }
  }
  Mirrors mirrors;
  if (archive) mirrors.archive = *archive;
  if (security) mirrors.security = *security;
  return mirrors;
}

std::string render_sources(const Mirrors& mirrors) {
  if (mirrors.archive.empty())
    throw fail(
        Code::FailedPrecondition,
        "base images are made of Debian's packages, and apt on this machine names no archive of Debian's: "
        "add one to /etc/apt/sources.list");
  auto text = fmt::format(
      "Types: deb\nURIs: {}\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: {}\n",
      mirrors.archive, kKeyring);
  if (!mirrors.security.empty())
    text +=
        fmt::format("\nTypes: deb\nURIs: {}\nSuites: bookworm-security\nComponents: main\nSigned-By: {}\n",
                    mirrors.security, kKeyring);
  return text;
}

std::vector<AptFile> read_apt_sources(const std::filesystem::path& apt) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{apt / "sources.list.d", error}) {
    const auto extension = entry.path().extension();
    if (extension == ".sources" || extension == ".list") paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  paths.insert(paths.begin(), apt / "sources.list");
  std::vector<AptFile> files;
  for (const auto& path : paths) {
    std::ifstream stream{path};
    if (stream) files.push_back({path.filename().string(), {std::istreambuf_iterator<char>{stream}, {}}});
  }
  return files;
}

}  // namespace tow::image::buildah
