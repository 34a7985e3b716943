// SPDX-License-Identifier: Apache-2.0
#include "api/address.hpp"

#include <vector>

#include "base/ids.hpp"

namespace tow::api {
namespace {

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

const KindInfo& kind_by_plural(std::string_view plural) {
  std::vector<std::string> known;
  for (const auto& info : kinds()) {
    if (info.plural == plural) return info;
    known.emplace_back(info.plural);
  }
  const auto near = nearest(plural, known);
  throw fail(Code::NotFound, "\"{}\" is no kind of entity{}", plural,
             near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
}

}  // namespace

Address parse_address(std::string_view path) {
  Address address;
  // The verb follows the last segment's colon; names have none.
  if (const auto colon = path.find(':', path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/'));
      colon != std::string_view::npos) {
    address.verb = path.substr(colon + 1);
    path = path.substr(0, colon);
    if (address.verb.empty()) throw fail(Code::NotFound, "no operation is named after the colon");
  }
  const auto parts = split(path);
  const auto take = [&](std::string project, std::string_view plural, std::string_view name) {
    address.kind = &kind_by_plural(plural);
    address.key = {std::string{address.kind->kind}, std::move(project), std::string{name}};
  };
  if (parts.size() == 1) {
    take({}, parts[0], {});
  } else if (parts.size() == 2) {
    take({}, parts[0], parts[1]);
    if (address.kind->in_project)
      throw fail(Code::NotFound, "{} belong to projects: projects/PROJECT/{}/{}", parts[0], parts[0],
                 parts[1]);
  } else if ((parts.size() == 3 || parts.size() == 4) && parts[0] == "projects") {
    take(std::string{parts[1]}, parts[2], parts.size() == 4 ? parts[3] : std::string_view{});
    if (!address.kind->in_project)
      throw fail(Code::NotFound, "{} belong to no project: {}", parts[2], address.kind->plural);
  } else {
    throw fail(Code::NotFound, "nothing is at this address");
  }
  return address;
}

std::string path_of(const KindInfo& kind, const Key& key) {
  std::string path = "/api/v1/";
  if (kind.in_project && !key.project.empty()) path += "projects/" + key.project + "/";
  path += kind.plural;
  if (!key.name.empty()) path += "/" + key.name;
  return path;
}

}  // namespace tow::api
