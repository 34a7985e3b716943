// SPDX-License-Identifier: Apache-2.0
#include "image/packs/node_version.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::image::packs {
namespace {

TEST(NodeVersion, IsHonoured) {
  const struct {
    const char* reason;
    const char* asked;
    const char* npm_version;
  } cases[] = {
      {"nothing was asked for", "", ""},
      {"Debian's major", "18", ""},
      {"a range that Debian's satisfies", ">=16", ""},
      {"a range whose first choice is Debian's", "^18.18 || ^20.9 || >=21.1", ""},
      {"an exact version is taken exactly", "v18.17.1", "18.17.1"},
      {"another major", "22", "22"},
      {"the releases of a major from one on", "^20.9", "20"},
      {"an open range above Debian's gets long-term support", ">=20", "24"},
      {"an open range above the newest long-term support", ">=25", "26"},
      {"some releases of a major", "~20.11", "~20.11"},
      {"a code name", "lts/Iron", "20"},
      {"whatever has long-term support", "lts/*", "24"},
      {"the newest", "node", "26"},
      {"newer than Debian's of the same major", "18.20.8", "18.20.8"},
  };
  for (const auto& one : cases)
    EXPECT_EQ(choose_node(one.asked, ".nvmrc", Taste::Debian).npm_version, one.npm_version)
        << one.reason << ": " << one.asked;
}

TEST(NodeVersion, OtherPeoplesPackagesGetTheNewestLongTermSupport) {
  const struct {
    const char* reason;
    const char* asked;
    const char* npm_version;
  } cases[] = {
      {"nothing was asked for", "", "24"},
      {"a range that many satisfy", ">=16", "24"},
      {"the newest of those with long-term support that there are below", ">=18 <23", "22"},
      {"Debian's major alone", "18", ""},
      {"what Debian's alone satisfies", ">=18.20 <19", ""},
      {"an exact version is taken exactly", "18.17.1", "18.17.1"},
  };
  for (const auto& one : cases)
    EXPECT_EQ(choose_node(one.asked, ".nvmrc", Taste::Newest).npm_version, one.npm_version)
        << one.reason << ": " << one.asked;
}

TEST(NodeVersion, WhatCannotBeHadIsNamed) {
  for (const char* asked : {"14", "19", "<18", "27", "0.12", "banana", ">21 <20"}) {
    try {
      choose_node(asked, "engines.node in web/package.json", Taste::Newest);
      ADD_FAILURE() << asked << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid);
      for (const char* part : {asked, "engines.node in web/package.json", "18 (Debian's)", "26"})
        EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
    }
  }
}

}  // namespace
}  // namespace tow::image::packs
