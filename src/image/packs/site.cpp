// SPDX-License-Identifier: Apache-2.0
// Static sites: pages that lie in the repository as they are served.
#include "image/packs/pack.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {

std::optional<Detection> site(const Tree& tree, Missing&) {
  const char* found = nullptr;
  for (const char* directory : {"", "public", "dist", "site", "_site", "www", "html", "docs"})
    if (tree.has(*directory ? std::string{directory} + "/index.html" : "index.html")) {
      found = directory;
      break;
    }
  if (!found) return {};
  const std::string directory = found;
  const std::string index = directory.empty() ? "index.html" : directory + "/index.html";
  Detection detection{.pack = "static", .port = kPort};
  detection.explanation = index + "; served by lighttpd, with 404.html for what is not there";
  detection.containerfile =
      "# " + detection.explanation +
      "\n# The base image is a web server for /srv, run by the user app on PORT, 8080.\n"
      "FROM towpath/static:12\n" +
      copy({directory.empty() ? tree.source() : tree.source(directory + "/")}, "/srv/") + "\n";
  return detection;
}

}  // namespace tow::image::packs
