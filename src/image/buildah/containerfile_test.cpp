// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/containerfile.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::image::buildah {
namespace {

TEST(Containerfile, NamesTheImagesItNeeds) {
  const struct {
    const char* reason;
    const char* text;
    std::vector<std::string> images;
  } cases[] = {
      {"one", "FROM towpath/base:12\nRUN true\n", {"towpath/base:12"}},
      {"stages are none",
       "FROM a:1 AS Build\nFROM build\nFROM b\nCOPY --from=BUILD x y\nCOPY --from=0 x y\n",
       {"a:1", "b"}},
      {"scratch is none", "FROM scratch\nCOPY --from=busybox:1 /bin /bin\n", {"busybox:1"}},
      {"flags, case and continuation",
       "# syntax=x\nfrom --platform=linux/amd64 \\\n  # why\n  a:1 \\\n  as b\n",
       {"a:1"}},
      {"an argument with a default",
       "ARG VERSION=20\nARG BASE=\"node:${VERSION}\"\nFROM $BASE\n",
       {"node:20"}},
      {"an argument that is given", "ARG VERSION=20\nFROM node:${VERSION}-slim\n", {"node:22-slim"}},
      {"a default where it is used", "ARG X\nFROM ${X:-a:1}\n", {"a:1"}},
      {"an argument that is not known", "FROM ${X}\nFROM b\n", {"b"}},
      {"a mount", "FROM a\nRUN --mount=type=bind,from=c:2,target=/x true\n", {"a", "c:2"}},
      {"twice is once", "FROM a\nFROM a\n", {"a"}},
      {"words in a command are none", "FROM a\nRUN echo FROM b\n", {"a"}},
      {"nothing", "", {}},
  };
  for (const auto& one : cases) {
    const bool given = std::string_view{one.reason} == "an argument that is given";
    EXPECT_EQ(images_of(one.text, given ? std::map<std::string, std::string>{{"VERSION", "22"}}
                                        : std::map<std::string, std::string>{}),
              one.images)
        << one.reason;
  }
}

TEST(Containerfile, HereDocumentsAreRefusedByTheirLine) {
  for (const char* text :
       {"FROM a\nRUN <<EOF\necho\nEOF\n", "FROM a\nCOPY <<-\"X\" /x\n", "FROM a\nrun cat <<E > b\n"}) {
    try {
      check_supported(text, "web/Containerfile");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Unsupported);
      EXPECT_NE(error.message().find("web/Containerfile:2:"), std::string::npos) << error.message();
    }
  }
  EXPECT_NO_THROW(
      check_supported("FROM a\nRUN echo $((1 << n)) $((1<<2)); bash -c 'cat <<< x'\n# RUN <<EOF\n", "C"));
}

TEST(Containerfile, WhatIsNoInstructionIsNamedByItsLine) {
  struct Row {
    const char* text;
    const char* message;  // empty: fine
    const char* reason;
  };
  for (const auto& [text, message, reason] : {
           Row{"FROM a\n# x\nCOPPY a b\n", "C:3: there is no instruction COPPY; did you mean COPY?",
               "misspelt"},
           Row{"ARG A=1\nRUN x\nFROM a\n", "C:2: RUN stands before FROM", "nothing to run in"},
           Row{"from a\nrun echo \\\n  # why\n  coppy\nCmd x\n", "", "lines that go on, and any case"},
           Row{"# escape=`\nFROM a\nRUN x `\n  y\n", "", "another sign for lines that go on"},
           Row{"FROM a\r\nRUN x\r\n", "", "lines of another system"},
       }) {
    std::string said;
    try {
      check_supported(text, "C");
    } catch (const Error& error) {
      said = error.message();
    }
    EXPECT_TRUE(*message ? said.starts_with(message) : said.empty()) << reason << ": " << said;
  }
}

TEST(Containerfile, EveryStageGetsTheSalt) {
  EXPECT_EQ(
      salt_stages("# x\nFROM a AS b\nRUN x\n\nfrom \\\n # why\n  c\nRUN y"),
      "# x\nFROM a AS b\nARG TOWPATH_PROJECT\nRUN x\n\nfrom \\\n # why\n  c\nARG TOWPATH_PROJECT\nRUN y\n");
}

}  // namespace
}  // namespace tow::image::buildah
