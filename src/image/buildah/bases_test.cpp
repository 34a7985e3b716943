// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/bases.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/error.hpp"
#include "image/buildah/containerfile.hpp"

namespace tow::image::buildah {
namespace {

TEST(Bases, StandOnTheOneBase) {
  std::set<std::string> digests;
  for (const auto& recipe : recipes()) {
    digests.insert(digest(recipe));
    for (const auto text : {recipe.containerfile, recipe.without_registry}) {
      if (recipe.name == "base" || text.empty()) continue;
      EXPECT_EQ(images_of(text, {}), (std::vector<std::string>{"towpath/base:12"})) << recipe.name;
      // What is copied is there.
      for (const auto& [name, unused] : recipe.files)
        EXPECT_NE(text.find("COPY " + name), std::string::npos) << recipe.name << " does not copy " << name;
    }
  }
  EXPECT_EQ(digests.size(), recipes().size());
}

TEST(Bases, AreKnownByTheirReference) {
  EXPECT_EQ(base_name("towpath/node:12"), "node");
  EXPECT_EQ(base_name("towpath/node"), "node");
  EXPECT_EQ(base_name("localhost/towpath/static:latest"), "static");
  EXPECT_EQ(base_name("docker.io/library/node:20"), std::nullopt);
  EXPECT_EQ(base_name("localhost/other"), std::nullopt);
  EXPECT_EQ(base_reference("node"), "localhost/towpath/node:12");
  for (const char* unknown : {"towpath/ruby:12", "towpath/node:13", "localhost/towpath/ruby", "towpath/"}) {
    try {
      base_name(unknown);
      ADD_FAILURE() << unknown;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid);
      EXPECT_NE(error.message().find("towpath/python:12"), std::string::npos) << error.message();
    }
  }
}

}  // namespace
}  // namespace tow::image::buildah
