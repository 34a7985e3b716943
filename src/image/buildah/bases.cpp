// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/bases.hpp"

#include <fmt/ranges.h>

#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::image::buildah {
namespace {

constexpr std::string_view kTag = "12";

constexpr std::string_view kBase = R"text(FROM scratch
ADD root.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["/bin/bash"]
)text";

// The empty files are where the platform mounts its settings for builds.
//
// Debian's own npm depends on three hundred packages which every program could then load by mistake: it is
// used once, in a stage that is thrown away, to install npm itself.
constexpr std::string_view kNode = R"text(FROM towpath/base:12 AS node
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nodejs \
 && rm -rf /var/lib/apt/lists/*

FROM node AS npm
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends npm
RUN npm install --global --prefix /usr/local --no-audit --no-fund --fetch-retries=1 npm@10

FROM node
COPY --from=npm /usr/local /usr/local
COPY npmrc /usr/local/lib/node_modules/npm/npmrc
COPY empty /root/.npmrc
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
WORKDIR /app
CMD ["node"]
)text";

constexpr std::string_view kNodeWithoutRegistry = R"text(FROM towpath/base:12
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nodejs npm \
 && rm -rf /var/lib/apt/lists/*
COPY npmrc /etc/npmrc
COPY empty /root/.npmrc
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
WORKDIR /app
CMD ["node"]
)text";

constexpr std::string_view kPython = R"text(FROM towpath/base:12
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /venv
COPY empty /etc/pip.conf
ENV PATH=/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
CMD ["python3"]
)text";

constexpr std::string_view kBuild = R"text(FROM towpath/base:12
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
      ccache cmake g++ git libc6-dev make ninja-build pkg-config \
 && rm -rf /var/lib/apt/lists/*
)text";

constexpr std::string_view kStatic = R"text(FROM towpath/base:12
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
      lighttpd lighttpd-mod-deflate media-types \
 && /usr/share/lighttpd/create-mime.conf.pl \
  | sed -E 's#"text/(html|javascript)"#"text/\1;charset=utf-8"#' > /etc/lighttpd/mime.conf \
 && rm -rf /var/lib/apt/lists/* /var/www
COPY lighttpd.conf /etc/lighttpd/lighttpd.conf
RUN install -d /srv && PORT=8080 lighttpd -tt -f /etc/lighttpd/lighttpd.conf
ENV PORT=8080
EXPOSE 8080
USER app
STOPSIGNAL SIGINT
CMD ["lighttpd", "-D", "-f", "/etc/lighttpd/lighttpd.conf"]
)text";

constexpr std::string_view kNpmrc = "prefix=/usr/local\naudit=false\nfund=false\nupdate-notifier=false\n";

// SIGINT, the image's stop signal, lets requests in flight end; SIGTERM would cut them.
constexpr std::string_view kLighttpd =
    R"text(# A static site in /srv. The log of requests is the platform's; errors go to standard error.
server.document-root = "/srv"
server.port = env.PORT
server.modules = ("mod_access", "mod_deflate")
server.tag = ""
server.upload-dirs = ("/tmp")
server.max-request-size = 64
server.errorfile-prefix = "/srv/"
index-file.names = ("index.html")
include "/etc/lighttpd/mime.conf"
deflate.mimetypes = ("text/", "application/json", "application/wasm", "application/xml", "image/svg+xml")
deflate.allowed-encodings = ("gzip")
# Hidden files are none of a visitor's business, but for what standards put in .well-known.
$HTTP["url"] =~ "/\.(?!well-known(/|$))" { url.access-deny = ("") }
)text";

const std::vector<Recipe>& all() {
  static const std::vector<Recipe> recipes = {
      {.name = "base", .containerfile = kBase},
      {.name = "node",
       .containerfile = kNode,
       .without_registry = kNodeWithoutRegistry,
       .files = {{"npmrc", std::string{kNpmrc}}, {"empty", ""}}},
      {.name = "python", .containerfile = kPython, .files = {{"empty", ""}}},
      {.name = "build", .containerfile = kBuild},
      {.name = "static", .containerfile = kStatic, .files = {{"lighttpd.conf", std::string{kLighttpd}}}},
  };
  return recipes;
}

}  // namespace

std::span<const Recipe> recipes() { return all(); }

const Recipe* find_recipe(std::string_view name) {
  for (const auto& recipe : all())
    if (recipe.name == name) return &recipe;
  return nullptr;
}

std::string digest(const Recipe& recipe) {
  std::string material = "1\n" + std::string{recipe.containerfile};
  for (const auto& [name, text] : recipe.files) material += name + "\n" + text;
  if (recipe.name != "base") material += digest(*find_recipe("base"));
  return sha256_hex(material).substr(0, 16);
}

std::string base_reference(std::string_view name) {
  return fmt::format("localhost/towpath/{}:{}", name, kTag);
}

std::optional<std::string> base_name(std::string_view reference) {
  if (reference.starts_with("localhost/")) reference.remove_prefix(10);
  if (!reference.starts_with("towpath/")) return {};
  reference.remove_prefix(8);
  const auto colon = reference.find(':');
  const auto name = reference.substr(0, colon);
  const auto tag = colon == std::string_view::npos ? kTag : reference.substr(colon + 1);
  if (find_recipe(name) && (tag == kTag || tag == "latest")) return std::string{name};
  std::vector<std::string> names;
  for (const auto& recipe : all()) names.push_back(fmt::format("towpath/{}:{}", recipe.name, kTag));
  throw fail(Code::Invalid, "there is no base image towpath/{}; there are {}", reference,
             fmt::join(names, ", "));
}

}  // namespace tow::image::buildah
