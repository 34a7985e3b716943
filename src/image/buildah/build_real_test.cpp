// SPDX-License-Identifier: Apache-2.0
// Builds with the real buildah: what goes in, what comes out, and what is said when it fails.
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "image/buildah/real_fixture.hpp"

namespace tow::image::buildah {
namespace {

TEST_F(RealImages, BuildsAContainerfileAndStreamsItsLog) {
  write("Containerfile",
        "FROM towpath/base:12\nRUN echo " + new_uid() +
            " is $((6*7))\nENV A=b\nEXPOSE 8080\nUSER app\nSTOPSIGNAL SIGINT\nCMD [\"x\"]\n");
  const auto result = build(request());
  EXPECT_NE(log().find(" is 42\n"), std::string::npos) << log();
  EXPECT_FALSE(result.cached);
  EXPECT_EQ(result.pack, "");
  EXPECT_EQ(result.image.command, (std::vector<std::string>{"x"}));
  EXPECT_EQ(result.image.user, "app");
  EXPECT_EQ(result.image.exposed_ports, (std::vector<std::uint16_t>{8080}));
  EXPECT_EQ(result.image.stop_signal, "SIGINT");
  EXPECT_GT(result.image.size.count, 50'000'000U);
  const auto found = run_blocking(images_->find("sha256:" + result.image.id));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->digest, result.image.digest);
}

TEST_F(RealImages, AFailedBuildSaysWhichStepAndWhy) {
  write(
      "Containerfile",
      "FROM towpath/base:12\nRUN true\nRUN echo the reason; echo to standard error >&2; exit 3\nRUN never\n");
  const auto wanted = request();
  const auto error = error_of([&] { build(wanted); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::Invalid);
  for (const char* part :
       {"step 3/4: RUN echo the reason", "\n  the reason", "\n  to standard error", "exit status 3"})
    EXPECT_NE(error->message().find(part), std::string::npos) << error->message();
  expect_no_traces(wanted.id);
}

TEST_F(RealImages, ArgumentsReachTheBuild) {
  write("Containerfile", "FROM towpath/base:12\nARG COLOUR\nRUN echo colour=$COLOUR\n");
  auto wanted = request();
  wanted.arguments["COLOUR"] = "blue " + wanted.id;
  build(wanted);
  EXPECT_NE(log().find("colour=blue " + wanted.id), std::string::npos) << log();
}

TEST_F(RealImages, SecretsAreReadButNeverKeptOrShown) {
  auto wanted = request();
  wanted.secrets["token"] = "hunter2-" + new_uid();
  write("Containerfile",
        "FROM towpath/base:12\nRUN --mount=type=secret,id=token cat /run/secrets/token; sha256sum "
        "/run/secrets/token; echo " +
            wanted.id + "\nRUN test ! -e /run/secrets/token && echo gone\n");
  const auto result = build(wanted);
  EXPECT_EQ(log().find(wanted.secrets["token"]), std::string::npos) << log();
  EXPECT_NE(log().find("***"), std::string::npos) << log();
  EXPECT_NE(log().find("\ngone\n"), std::string::npos) << log();
  EXPECT_NE(log().find(sha256_hex(wanted.secrets["token"])), std::string::npos) << log();
  // Neither in a layer nor in the image's configuration.
  const auto grep = run_blocking(run({.argv = {"grep", "-rl", "--", wanted.secrets["token"],
                                               (storage_root(settings_) / "overlay-images").string(),
                                               (storage_root(settings_) / "overlay-layers").string(),
                                               top_layer(result.image.id).string()}}));
  EXPECT_EQ(grep.out, "");
  expect_no_traces(wanted.id);
}

TEST_F(RealImages, AnotherProjectsSecretLayersAreNotReused) {
  write("Containerfile",
        "FROM towpath/base:12\nRUN --mount=type=secret,id=token sha256sum /run/secrets/token > /private\n"
        "RUN cat /private\n# " +
            new_uid() + "\n");
  auto theirs = request();
  theirs.project = "theirs-" + theirs.id;
  theirs.secrets["token"] = "first-" + theirs.id;
  build(theirs);
  auto ours = request();
  ours.project = "ours-" + ours.id;
  ours.secrets["token"] = "second-" + ours.id;
  build(ours);
  EXPECT_NE(log().find(sha256_hex(ours.secrets["token"])), std::string::npos) << log();
}

TEST_F(RealImages, CacheMountsAreKeptByProject) {
  write("Containerfile",
        "FROM towpath/base:12\nRUN --mount=type=cache,target=/cache ls /cache; touch /cache/" + request().id +
            "\n");
  const auto in = [&](const std::string& project) {
    auto wanted = request();
    wanted.project = project;
    // Another step before, so that the layer is not taken from the cache.
    write("Containerfile",
          "FROM towpath/base:12\nENV BUILD=" + wanted.id +
              "\nRUN --mount=type=cache,target=/cache echo \"[$(ls /cache)]\"; touch /cache/" + wanted.id +
              "\n");
    build(wanted);
    return wanted.id;
  };
  const auto ours = "p" + new_uid();
  const auto first = in(ours);
  in("q" + new_uid());
  EXPECT_EQ(log().find("[" + first), std::string::npos) << log();
  in(ours);
  EXPECT_NE(log().find("[" + first + "]"), std::string::npos) << log();
}

TEST_F(RealImages, ADeadlineEndsTheBuild) {
  write("Containerfile", "FROM towpath/base:12\nRUN echo started && sleep 1000\n");
  auto wanted = request();
  wanted.deadline = std::chrono::seconds{4};
  const auto error = error_of([&] { build(wanted); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::Timeout) << error->message();
  EXPECT_NE(error->message().find("step 2/2: RUN echo started"), std::string::npos) << error->message();
  expect_no_traces(wanted.id);
}

TEST_F(RealImages, ACancelledBuildLeavesNothing) {
  write("Containerfile", "FROM towpath/base:12\nRUN echo started && sleep 1000\n");
  const auto wanted = request();
  run_blocking([](RealImages& self, BuildRequest request) -> Task<> {
    co_await with_scope("test", [&](Scope& scope) -> Task<> {
      Signal started;
      std::optional<Code> ended;
      scope.spawn([](Images& images, BuildRequest r, Signal& signal, std::optional<Code>& out) -> Task<> {
        try {
          co_await images.build(std::move(r), [&](std::string_view line) {
            if (line == "started") signal.notify();
          });
        } catch (const Error& error) {
          out = error.code();
        }
      }(*self.images_, request, started, ended));
      const bool in_time = co_await started.wait_for(std::chrono::minutes{2});
      EXPECT_TRUE(in_time);
      EXPECT_FALSE(self.traces(request.id).empty()) << "the test looks in the wrong places";
      scope.cancel();
      co_await scope.join();
      EXPECT_EQ(ended, Code::Cancelled);
    });
  }(*this, wanted));
  expect_no_traces(wanted.id);
}

TEST_F(RealImages, ABuildWhoseProcessWasKilledIsCleanedUpByTheNextStart) {
  write("Containerfile", "FROM towpath/base:12\nCOPY . /x\nRUN echo started > /proc/1/fd/1; sleep 1000\n");
  const auto wanted = request();
  run_blocking(images_->ensure_base("base", {}));
  const auto started = context_.string() + ".started";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto images = make(settings_);
    run_blocking(images->start());
    try {
      run_blocking(images->build(wanted, [&](std::string_view line) {
        if (line.starts_with("STEP 3/3")) std::ofstream{started} << line;
      }));
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  for (int i = 0; i < 600 && !std::filesystem::exists(started); ++i) ::usleep(100'000);
  ::usleep(500'000);
  EXPECT_NE(traces(wanted.id), "");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  // The kernel ends the build with its starter; that takes a moment.
  for (int i = 0; i < 50; ++i) {
    images_ = make(settings_);
    run_blocking(images_->start());
    if (traces(wanted.id).empty()) break;
    ::usleep(100'000);
  }
  expect_no_traces(wanted.id);
  std::filesystem::remove(started);
}

TEST_F(RealImages, AnotherProcessesBuildIsLeftAlone) {
  write("Containerfile", "FROM towpath/base:12\nRUN echo started && sleep 2; echo " + new_uid() + "\n");
  const auto wanted = request();
  const auto other = make(settings_);
  std::string seen;
  run_blocking(images_->build(wanted, [&](std::string_view line) {
    if (line != "started") return;
    run_blocking(other->start());
    seen = traces(wanted.id);
  }));
  EXPECT_NE(seen, "") << "another process's start() took a build that is under way for an abandoned one";
}

TEST_F(RealImages, WhatLeavesTheRepositoryIsRefused) {
  write("Containerfile", "FROM towpath/base:12\nCOPY . /src\n");
  EXPECT_EQ(error_of([&] { build(request("../Containerfile")); })->code(), Code::Invalid);
  std::filesystem::create_symlink("/etc/passwd", context_ / "passwd");
  const auto error = error_of([&] { build(request()); });
  ASSERT_TRUE(error);
  EXPECT_NE(error->message().find("passwd -> /etc/passwd"), std::string::npos) << error->message();
}

TEST_F(RealImages, AComponentsOwnContainerfileIsBuiltInItsFolder) {
  write("web/Dockerfile", "FROM scratch\nCOPY package.json ./\nCOPY . /all/\n");
  write("web/.dockerignore", "*.log\n!kept.log\n");
  for (const char* file : {"web/package.json", "web/a.log", "web/kept.log", "other.txt"}) write(file, file);
  auto wanted = request();
  wanted.component_path = "web";
  const auto top = top_layer(build(wanted).image.id);
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator{top / "all"})
    files.push_back(entry.path().filename());
  std::ranges::sort(files);
  EXPECT_EQ(files, (std::vector<std::string>{".dockerignore", "Dockerfile", "kept.log", "package.json"}));
}

TEST_F(RealImages, APathThatIsMeantRelativeToTheComponentIsExplained) {
  write("web/Containerfile", "FROM towpath/base:12\nCOPY package.json ./\n");
  write("web/package.json", "{}");
  auto wanted = request("web/Containerfile");
  wanted.component_path = "web";
  const auto error = error_of([&] { build(wanted); });
  ASSERT_TRUE(error);
  EXPECT_EQ(
      error->message(),
      "the build failed at step 2/2: COPY package.json ./\n  \"package.json\" is not in the repository\n"
      "  Paths in a Containerfile are relative to the repository; write web/package.json");
}

TEST_F(RealImages, SeveralBuildAtTheSameTime) {
  write("Containerfile", "FROM towpath/base:12\nARG N\nRUN echo $N > /n\nRUN sleep 0.3; cat /n\n");
  run_blocking([](RealImages& self) -> Task<> {
    co_await with_scope("test", [&](Scope& scope) -> Task<> {
      std::vector<std::string> ids(4);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        auto wanted = self.request();
        wanted.project = "p" + std::to_string(i);
        wanted.arguments["N"] = wanted.id;
        scope.spawn([](RealImages& test, BuildRequest request, std::string& out) -> Task<> {
          const auto built = co_await test.images_->build(std::move(request), test.sink());
          out = built.image.id;
        }(self, std::move(wanted), ids[i]));
      }
      co_await scope.join();
      std::ranges::sort(ids);
      EXPECT_FALSE(ids.front().empty());
      EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
    });
  }(*this));
}

TEST_F(RealImages, AnUnknownBaseIsNamed) {
  write("Containerfile", "FROM towpath/ruby:12\n");
  const auto error = error_of([&] { build(request()); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::Invalid);
  EXPECT_NE(error->message().find("towpath/node:12"), std::string::npos) << error->message();
}

TEST_F(RealImages, ARegistryThatCannotBeReachedIsNamedSoon) {
  settings_.registry_deadline = std::chrono::seconds{3};
  images_ = make(settings_);
  run_blocking(images_->start());
  const auto begin = std::chrono::steady_clock::now();
  // 192.0.2.0/24 is for documentation: nobody answers there.
  const auto error = error_of([&] { run_blocking(images_->ensure("192.0.2.1/team/app:1", sink())); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::Unavailable) << error->message();
  EXPECT_NE(error->message().find("192.0.2.1"), std::string::npos) << error->message();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{15});
  EXPECT_FALSE(run_blocking(images_->find("192.0.2.1/team/app:1")));
}

TEST_F(RealImages, ABuildSaysWhichImageCouldNotBeFetched) {
  write("Containerfile", "FROM localhost:1/team/app:1\nRUN true\n");
  const auto error = error_of([&] { build(request()); });
  ASSERT_TRUE(error);
  EXPECT_NE(error->message().find("FROM localhost:1/team/app:1"), std::string::npos) << error->message();
}

}  // namespace
}  // namespace tow::image::buildah
