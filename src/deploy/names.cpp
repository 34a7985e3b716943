// SPDX-License-Identifier: Apache-2.0
#include "deploy/names.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/ids.hpp"

namespace tow::deploy {

std::string deployment_name(std::string_view component, std::string_view environment) {
  return fmt::format("{}.{}", component, environment);
}

std::string revision_name(std::string_view deployment, int number) {
  return fmt::format("{}.{}", deployment, number);
}

Key deployment_of_revision(const Key& revision) {
  return key<Deployment>(revision.project, revision.name.substr(0, revision.name.rfind('.')));
}

Labels deployment_labels(std::string_view component, std::string_view environment) {
  return {{"component", std::string{component}}, {"environment", std::string{environment}}};
}

std::string hook_name(std::string_view revision, std::string_view when, int number) {
  return fmt::format("{}.{}-{}", revision, when, number + 1);
}

std::string preview_host(std::string_view host) {
  const auto label = host.substr(0, host.find('.'));
  auto made = fmt::format("preview--{}", label);
  if (made.size() > 63) made = fmt::format("preview--{}", sha256_hex(label).substr(0, 20));
  return made.append(host.substr(label.size()));
}

std::string route_name(std::string_view deployment, std::string_view host, std::string_view path) {
  return fmt::format("{}.{}", deployment, sha256_hex(fmt::format("{}\n{}", host, path)).substr(0, 12));
}

std::string volume_name(std::string_view environment, std::string_view identity) {
  // "volume.CLASS#WORKLOAD.RESOURCE", or "volume.CLASS#ID" where it is shared
  constexpr std::string_view common = "volume.default#";
  if (identity.starts_with(common) && identity.size() < 80) {
    const auto id = identity.substr(common.size());
    const auto dot = id.find('.');
    if (dot == std::string_view::npos && is_name(id)) return fmt::format("{}.{}", environment, id);
    if (dot != std::string_view::npos && is_name(id.substr(0, dot)) && is_name(id.substr(dot + 1)))
      return fmt::format("{}.{}.{}", id.substr(0, dot), environment, id.substr(dot + 1));
  }
  return fmt::format("{}.volume.{}", environment, sha256_hex(identity).substr(0, 20));
}

std::string secret_name(std::string_view scope, std::string_view name) {
  return sha256_hex(fmt::format("{}\n{}", scope, name)).substr(0, 40);
}

std::string secret_context(std::string_view project, std::string_view secret, int version) {
  return fmt::format("secret:{}/{}@{}", project, secret, version);
}

std::string to_string(const SecretReference& reference) {
  return secret_context(reference.project, reference.secret, reference.version);
}

std::optional<SecretReference> parse_secret_reference(std::string_view text) {
  constexpr std::string_view kind = "secret:";
  const auto slash = text.find('/');
  const auto at = text.rfind('@');
  if (!text.starts_with(kind) || slash == std::string_view::npos || at == std::string_view::npos ||
      at < slash)
    return {};
  SecretReference made;
  made.project = text.substr(kind.size(), slash - kind.size());
  made.secret = text.substr(slash + 1, at - slash - 1);
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + at + 1, end, made.version);
  if (error != std::errc{} || stop != end) return {};
  return made;
}

}  // namespace tow::deploy
