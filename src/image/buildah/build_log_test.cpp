// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/build_log.hpp"

#include <gtest/gtest.h>

namespace tow::image::buildah {
namespace {

struct Logged {
  explicit Logged(std::vector<std::string> secrets = {})
      : log{[this](std::string_view line) { text += std::string{line} + "\n"; }, std::move(secrets)} {}
  std::string text;
  BuildLog log;
};

TEST(BuildLog, AFailureShowsTheStepAndItsLastLines) {
  Logged logged;
  for (const char* line :
       {"STEP 1/3: FROM towpath/node:12", "STEP 2/3: RUN npm ci", "added 3 packages", "--> 0123456789a",
        "STEP 3/3: RUN npm run build", "src/a.ts(1,1): error TS1", "",
        "Error: building at STEP \"RUN npm run build\": while running runtime: exit status 2",
        "time=\"2026-01-01T00:00:00Z\" level=error msg=\"exit status 2\""})
    logged.log.line(line);
  EXPECT_EQ(logged.log.failure("the build failed"),
            "the build failed at step 3/3: RUN npm run build\n  src/a.ts(1,1): error TS1\n"
            "  exit status 2");
}

TEST(BuildLog, WhatBuildahSaysIsPutIntoWords) {
  const struct {
    const char* line;
    const char* says;
  } cases[] = {
      {"Error: building at STEP \"COPY package.json .\": checking on sources under \"/x/y\": copier: stat: "
       "\"/package.json\": no such file or directory",
       "\n  \"package.json\" is not in the repository"},
      {"Error: building at STEP \"COPY *.txt /x/\": checking on sources under \"/x\": Rel: can't make  "
       "relative to "
       "/x; copier: stat: [\"/*.txt\"]: no such file or directory",
       "\n  \"*.txt\" is not in the repository"},
      {"Error: building at STEP \"RUNN \": Build error: Unknown instruction: \"RUNN\" "
       "&imagebuilder.Step{Env:[]",
       "\n  there is no instruction RUNN; did you mean RUN?"},
      {"Error: no FROM statement found",
       "\n  no FROM names an image (perhaps an ARG before it has no value)"},
      {"time=\"x\" level=error msg=\"+(UNHANDLED LOGLEVEL) &imagebuilder.Step{}\"", ""},
  };
  for (const auto& one : cases) {
    Logged logged;
    logged.log.line(one.line);
    EXPECT_EQ(logged.log.failure("failed"), std::string{"failed"} + one.says);
  }
}

TEST(BuildLog, OnlyTheLastLinesAreShown) {
  Logged logged;
  logged.log.line("STEP 1/1: RUN true");
  for (int i = 0; i < 1000; ++i) logged.log.line("line " + std::to_string(i));
  const auto message = logged.log.failure("the build failed");
  EXPECT_NE(message.find("line 999"), std::string::npos);
  EXPECT_EQ(message.find("line 900\n"), std::string::npos);
}

TEST(BuildLog, KnowsWhetherEverythingCameFromTheCache) {
  Logged logged;
  for (const char* line : {"[1/2] STEP 1/2: FROM a AS x", "[1/2] STEP 2/2: RUN true", "--> Using cache 0f",
                           "[2/2] STEP 1/2: FROM b", "[2/2] STEP 2/2: COPY a b", "--> Using cache 0e"})
    logged.log.line(line);
  EXPECT_TRUE(logged.log.cached());
  logged.log.line("[2/2] STEP 3/3: RUN false");
  EXPECT_FALSE(logged.log.cached());
}

TEST(BuildLog, SecretsAppearNowhere) {
  Logged logged{{"hunter2hunter2", "line one\nline two\n", "abc", "hunter2"}};
  for (const char* line : {"STEP 1/1: RUN x", "token hunter2hunter2 and hunter2", "line two!", "abcabc"})
    logged.log.line(line);
  const auto everything = logged.text + logged.log.failure("failed");
  for (const char* secret : {"hunter2", "line two"}) EXPECT_EQ(everything.find(secret), std::string::npos);
  EXPECT_NE(logged.text.find("token *** and ***\n***!\nabcabc\n"), std::string::npos) << logged.text;
}

TEST(BuildLog, WhatTellsNobodyAnythingIsLeftOut) {
  Logged logged;
  for (const char* line : {"STEP 1/2: RUN true",
                           "--> Using cache 589d89f71778b4a4d91ff1931699015c185dcf3255b5cf2d1aec2725bace7f6e",
                           "[2/2] COMMIT x", "COMMIT", "--> 589d89f7177", "--> my own arrow",
                           "[Warning] one or more build args were not consumed: [TOWPATH_PROJECT]"})
    logged.log.line(line);
  EXPECT_EQ(logged.text, "STEP 1/2: RUN true\n  taken from the cache\n--> my own arrow\n");
  EXPECT_EQ(logged.log.from_cache().size(), 1U);
}

TEST(BuildLog, AProgressBarShowsItsLastState) {
  Logged logged;
  logged.log.line("10%\r50%\r100%\r");
  EXPECT_EQ(logged.text, "100%\n");
}

TEST(BuildLog, AFullDiskIsNoticed) {
  Logged logged;
  EXPECT_FALSE(logged.log.disk_full());
  logged.log.line("write /x: no space left on device");
  EXPECT_TRUE(logged.log.disk_full());
  Logged hidden;
  hidden.log.line("Error: x: storing layer \"fa40\" to file: io: read/write on closed pipe");
  EXPECT_TRUE(hidden.log.disk_full());
}

}  // namespace
}  // namespace tow::image::buildah
