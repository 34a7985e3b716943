// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/apt_sources.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::image::buildah {
namespace {

TEST(AptSources, FindDebiansMirrorsAndNoOthers) {
  const struct {
    const char* reason;
    std::vector<AptFile> files;
    Mirrors mirrors;
  } cases[] = {
      {"nothing is known", {}, {}},
      {"deb822 style, with a comment inside",
       {{"debian.sources",
         "Types: deb deb-src\n# by hand\nURIs: http://mirror.example/debian/\nSuites: bookworm "
         "bookworm-updates\n"
         "Components: main contrib\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
         "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: "
         "main\n"
         "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"}},
       {"http://mirror.example/debian", "http://mirror.example/debian-security"}},
      {"one-line style, with options",
       {{"sources.list",
         "# deb cdrom:[Debian 12]/ bookworm main\ndeb [arch=amd64] https://m.example/debian bookworm main\n"
         "deb https://m.example/debian-security bookworm-security main # safe\n"}},
       {"https://m.example/debian", "https://m.example/debian-security"}},
      {"the mirror of a newer release serves this one, too",
       {{"sources.list", "deb http://m.example/debian trixie main\n"}},
       {"http://m.example/debian", Mirrors{}.security}},
      {"a vendor signs with a key of its own",
       {{"a.sources",
         "Types: deb\nURIs: https://vendor.example/node\nSuites: bookworm\nComponents: main\n"
         "Signed-By: /usr/share/keyrings/vendor.gpg\n"}},
       {}},
      {"a vendor without a key, called like Debian's release",
       {{"a.list", "deb https://download.example/linux bookworm main\n"}},
       {}},
      {"what is trusted blindly is not trusted here",
       {{"a.list", "deb [trusted=yes] http://m.example/debian bookworm main\n"}},
       {}},
      {"a medium", {{"a.list", "deb cdrom:/debian bookworm main\n"}}, {}},
      {"disabled",
       {{"a.sources",
         "Enabled: no\nTypes: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\n"}},
       {}},
      {"backports alone are no archive",
       {{"a.list", "deb http://m.example/debian bookworm-backports main\n"}},
       {}},
      {"Ubuntu", {{"a.list", "deb http://m.example/ubuntu jammy main\n"}}, {}},
  };
  for (const auto& one : cases) EXPECT_EQ(debian_mirrors(one.files), one.mirrors) << one.reason;
}

TEST(AptSources, AreWrittenForDebian12) {
  const auto text = render_sources({"http://a/debian", "http://b/debian-security"});
  EXPECT_EQ(debian_mirrors({{"x.sources", text}}), (Mirrors{"http://a/debian", "http://b/debian-security"}));
  EXPECT_NE(text.find("Suites: bookworm bookworm-updates\n"), std::string::npos);
  const auto alone = render_sources({"http://a/debian", ""});
  EXPECT_EQ(debian_mirrors({{"x.sources", alone}}), (Mirrors{"http://a/debian", ""}));
}

TEST(AptSources, NoArchiveIsSaidByName) { EXPECT_THROW(render_sources({}), Error); }

}  // namespace
}  // namespace tow::image::buildah
