// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/commands.hpp"

#include <gtest/gtest.h>

#include "image/buildah/workshop.hpp"

namespace tow::image::buildah {
namespace {

Settings settings() {
  Settings settings;
  settings.directory = "/data/images";
  settings.run_directory = "/run/t";
  return settings;
}

BuildCommand build() {
  BuildCommand build;
  build.id = "b1";
  build.context = "/src";
  build.containerfile = "/src/Containerfile";
  build.id_file = "/run/t/builds/b1/image";
  return build;
}

std::string text(const Settings& with, const BuildCommand& what) {
  return describe(build_command(with, layout(with), "runc", what));
}

constexpr const char* kIsolated =
    "unshare --mount --pid --fork --kill-child --mount-proc --propagation private -- ";
constexpr const char* kBuildah =
    "buildah --root /data/images/storage --runroot /run/t/storage --storage-driver overlay --registries-conf "
    "/data/images/configuration/registries.conf --registries-conf-dir /data/images/configuration/empty ";

TEST(Commands, ABuild) {
  EXPECT_EQ(
      text(settings(), build()),
      std::string{kIsolated} + kBuildah +
          "bud --isolation oci --runtime runc --runtime-flag root=/run/t/builds/b1/runtime --network host "
          "--cgroup-parent /towpath-build/b1/steps --signature-policy "
          "/data/images/configuration/policy.json "
          "--pull=false --force-rm --iidfile /run/t/builds/b1/image --file /src/Containerfile --layers /src");
}

TEST(Commands, ABuildWithEverything) {
  auto with = settings();
  with.trust_host_certificates = true;
  with.npm_registry = "https://npm.example/";
  auto what = build();
  what.ignore_file = "/run/t/builds/b1/ignore";
  what.arguments = {{"COLOUR", "light blue"}};
  what.secrets = {{"token", "/run/t/builds/b1/secrets/token"}};
  what.labels = {{"a", "b"}};
  what.tags = {"localhost/x:1"};
  what.layers = false;
  what.timestamp = TimePoint{std::chrono::seconds{1000}};
  const auto said = text(with, what);
  for (const char* part :
       {"--layers=false", "--timestamp 1000", "--ignorefile /run/t/builds/b1/ignore",
        "--build-arg 'COLOUR=light blue'", "--label a=b",
        "--secret id=token,src=/run/t/builds/b1/secrets/token", "--tag localhost/x:1",
        "--volume /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro",
        "--volume /run/t/builds/b1/npmrc:/root/.npmrc:ro",
        "--volume /run/t/builds/b1/pip.conf:/etc/pip.conf:ro"})
    EXPECT_NE(said.find(part), std::string::npos) << part << " is not in: " << said;
}

TEST(Commands, NothingOfTheHostsConfigurationIsRead) {
  auto with = settings();
  with.proxy["https_proxy"] = "http://proxy:3128";
  const auto command = build_command(with, layout(with), "runc", build());
  EXPECT_EQ(command.env, (std::map<std::string, std::string>{
                             {"CONTAINERS_CONF", "/data/images/configuration/containers.conf"},
                             {"CONTAINERS_REGISTRIES_CONF", "/data/images/configuration/registries.conf"},
                             {"CONTAINERS_STORAGE_CONF", "/data/images/configuration/storage.conf"},
                             {"HOME", "/data/images/configuration"},
                             {"TMPDIR", "/data/images/temporary/b1"},
                             {"https_proxy", "http://proxy:3128"}}));
}

TEST(Commands, FetchingAndRemoving) {
  const auto with = settings();
  EXPECT_EQ(
      describe(fetch_command(with, layout(with), "docker.io/library/nginx:1")),
      std::string{kIsolated} +
          "skopeo --registries-conf /data/images/configuration/registries.conf --policy "
          "/data/images/configuration/policy.json --registries.d "
          "/data/images/configuration/empty copy --quiet docker://docker.io/library/nginx:1 "
          "'containers-storage:[overlay@/data/images/storage+/run/t/storage]docker.io/library/nginx:1'");
  EXPECT_EQ(describe(remove_containers_command(with, layout(with), {"c1", "c2"})),
            std::string{kIsolated} + kBuildah + "rm c1 c2");
  EXPECT_EQ(describe(remove_images_command(with, layout(with), {"i1"})),
            std::string{kIsolated} + kBuildah + "rmi --force i1");
}

TEST(Commands, DebianIsPutTogetherFromPackagesWithoutWhatNobodyReads) {
  const auto with = settings();
  const auto command = bootstrap_command(with, layout(with), "/t/debian.sources", "/t/root.tar");
  EXPECT_TRUE(command.env.contains("SOURCE_DATE_EPOCH"));
  const auto said = describe(command);
  for (const char* part :
       {"mmdebstrap --mode=root --variant=minbase --format=tar", "'--dpkgopt=path-exclude=/usr/share/man/*'",
        "bookworm /t/root.tar /t/debian.sources"})
    EXPECT_NE(said.find(part), std::string::npos) << part << " is not in: " << said;
}

TEST(Commands, ConfigurationFiles) {
  auto with = settings();
  EXPECT_FALSE(step_files(with).contains("npmrc"));
  EXPECT_FALSE(step_files(with).contains("pip.conf"));
  with.npm_registry = "https://npm.example/";
  with.python_index = "http://user:word@pip.example:8080/simple/";
  auto files = step_files(with);
  EXPECT_EQ(files["npmrc"], "registry=https://npm.example/\n");
  EXPECT_EQ(
      files["pip.conf"],
      "[global]\nindex-url = http://user:word@pip.example:8080/simple/\ntrusted-host = pip.example:8080\n");
  with.trust_host_certificates = true;
  files = step_files(with);
  EXPECT_NE(files["npmrc"].find("cafile=/etc/ssl/certs/ca-certificates.crt\n"), std::string::npos);
  EXPECT_NE(files["pip.conf"].find("cert = /etc/ssl/certs/ca-certificates.crt\n"), std::string::npos);
}

TEST(Commands, ABuildTakesTheSettingsThatHoldNow) {
  auto with = settings();
  with.npm_registry = "https://first.example/";
  std::string registry = "https://second.example/";
  with.renew = [&](Settings& current) { current.npm_registry = registry; };
  const Workshop workshop{with};
  EXPECT_EQ(workshop.current_settings().npm_registry, "https://second.example/");
  registry = "https://third.example/";
  EXPECT_EQ(step_files(workshop.current_settings())["npmrc"], "registry=https://third.example/\n");
  registry.clear();
  EXPECT_TRUE(step_files(workshop.current_settings()).empty());
  with.renew = nullptr;
  EXPECT_EQ(Workshop{with}.current_settings().npm_registry, "https://first.example/");
}

}  // namespace
}  // namespace tow::image::buildah
