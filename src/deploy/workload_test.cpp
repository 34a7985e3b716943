// SPDX-License-Identifier: Apache-2.0
#include "deploy/workload.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <tuple>

#include "base/ids.hpp"
#include "deploy/planning.hpp"

namespace tow::deploy {
namespace {

const std::string kScore = R"(
apiVersion: score.dev/v1b1
metadata: { name: worker }
service:
  ports:
    http: { port: 80, targetPort: 8080 }
    metrics: { port: 9090, targetPort: 8080 }
    dns: { port: 53, protocol: UDP }
containers:
  main:
    image: .
    command: [worker]
    args: [--verbose]
    variables:
      GREETING: hello ${resources.env.NAME}
      DATABASE: postgres://u:${resources.env.PASSWORD}@db
    files:
      /etc/worker.conf: { content: "password ${resources.env.PASSWORD}", mode: "0600" }
      /etc/motd: { content: "welcome" }
      /etc/key: { binaryContent: AAEC }
    volumes:
      /data: { source: "${resources.data}" }
      /cache: { source: "${resources.cache}", path: sub, readOnly: true }
    resources:
      limits: { memory: 128Mi, cpu: 250m }
    readinessProbe: { httpGet: { path: /ready, port: 8080 } }
    livenessProbe: { exec: { command: [check] } }
resources:
  env: { type: environment }
  data: { type: volume }
  cache: { type: volume, id: cache }
  route: { type: route, params: { port: http, path: /w } }
)";

struct Planned {
  Release::Spec release;
  score::Document document;
  score::Plan plan;
};

Planned planned(const std::string& yaml) {
  Planned made;
  made.release = {.component = "worker", .image = "image-1", .score = parse_yaml(yaml)};
  made.document = document_of(made.release, {});
  const PlanInput input{.project = "shop",
                        .environment = "development",
                        .component = "worker",
                        .domain = "localhost",
                        .release = &made.release,
                        .document = &made.document};
  const std::map<std::string, ConfigurationValue> values{
      {"NAME", {.value = "world"}}, {"PASSWORD", {.value = {}, .secret = "abc", .version = 3}}};
  made.plan = make_plan(input, values, {});
  return made;
}

WorkloadPlace place() {
  return {.project = "shop",
          .environment = "development",
          .environment_uid = "e1",
          .user_base = 1'000'000,
          .policy = {},
          .volumes = {{"volume.default#worker.data", "v1"}, {"volume.default#cache", "v2"}}};
}

std::string show(const engine::Value& value) {
  std::string text;
  for (const auto& part : value.parts) text += part.secret.empty() ? part.text : "<" + part.secret + ">";
  return text;
}

TEST(Workload, IsWhatTheScoreDocumentSays) {
  const auto made = workload(planned(kScore).plan, {.image = "image-1"}, place());
  EXPECT_EQ(made.main().image, "image-1");
  EXPECT_EQ(made.environment, "e1");
  EXPECT_EQ(made.user_base, 1'000'000u);
  EXPECT_EQ(made.main().command, std::vector<std::string>{"worker"});
  EXPECT_EQ(made.main().args, std::vector<std::string>{"--verbose"});
  EXPECT_EQ(show(made.main().variables.at("GREETING")), "hello world");
  EXPECT_EQ(show(made.main().variables.at("DATABASE")), "postgres://u:<secret:shop/abc@3>@db");

  ASSERT_EQ(made.main().files.size(), 3u);
  std::map<std::string, const engine::File*> files;
  for (const auto& file : made.main().files) files[file.target] = &file;
  EXPECT_EQ(show({files["/etc/worker.conf"]->parts}), "password <secret:shop/abc@3>");
  EXPECT_EQ(files["/etc/worker.conf"]->content, "") << "no secret is written out before an instance starts";
  EXPECT_EQ(files["/etc/worker.conf"]->mode, 0600);
  EXPECT_EQ(files["/etc/motd"]->content, "welcome");
  EXPECT_EQ(files["/etc/key"]->content, (std::string{"\0\1\2", 3}));

  ASSERT_EQ(made.main().volumes.size(), 2u);
  EXPECT_EQ(made.main().volumes[0].volume + made.main().volumes[0].target, "v2/cache");
  EXPECT_TRUE(made.main().volumes[0].read_only);
  EXPECT_EQ(made.main().volumes[0].sub_path, "sub");
  EXPECT_EQ(made.main().volumes[1].volume + made.main().volumes[1].target, "v1/data");

  ASSERT_EQ(made.ports.size(), 2u) << "two names of one port are one port";
  EXPECT_EQ(made.main().readiness->port, 8080);
  EXPECT_EQ(made.main().readiness->path, "/ready");
  EXPECT_EQ(made.main().liveness->command, std::vector<std::string>{"check"});
  EXPECT_EQ(made.main().limits.memory->count, 128u << 20);
  EXPECT_EQ(made.main().limits.cpu_millis, 250);
}

TEST(Workload, WithoutLimitsOfItsOwnItHasThoseOfTheEnvironmentsType) {
  auto where = place();
  where.policy.memory_limit = Bytes{100};
  where.policy.cpu_limit = 0.5;
  where.policy.process_limit = 9;
  where.policy.outbound = false;
  where.policy.runtime = "runsc";
  where.policy.read_only_root = true;
  const auto made = workload(
      planned("{apiVersion: score.dev/v1b1, metadata: {name: worker}, containers: {main: {image: .}}}").plan,
      {.image = "i"}, where);
  EXPECT_EQ(made.main().limits.memory->count, 100u);
  EXPECT_EQ(made.main().limits.cpu_millis, 500);
  EXPECT_EQ(made.main().limits.processes, 9);
  EXPECT_FALSE(made.outbound);
  EXPECT_EQ(made.runtime, "runsc");
  EXPECT_TRUE(made.main().read_only_root);
}

TEST(Workload, MoreThanTheEnvironmentsTypeAllowsIsRefusedByName) {
  auto where = place();
  where.policy.memory_limit = Bytes{100 << 20};
  where.policy.cpu_limit = 0.2;
  try {
    workload(planned(kScore).plan, {.image = "i"}, where);
    FAIL() << "it was taken";
  } catch (const Error& error) {
    ASSERT_EQ(error.faults().size(), 2u);
    EXPECT_EQ(error.faults()[0].path, "containers.main.resources.limits.memory");
    EXPECT_NE(error.faults()[0].message.find("128Mi is more than development allows (100Mi"),
              std::string::npos)
        << error.faults()[0].message;
    EXPECT_EQ(error.faults()[1].path, "containers.main.resources.limits.cpu");
  }
}

const std::string kSeveral = R"(
apiVersion: score.dev/v1b1
metadata: { name: worker }
service: { ports: { http: { port: 80, targetPort: 8080 } } }
containers:
  aside:
    image: registry/aside:1
    variables: { A: "1" }
    livenessProbe: { exec: { command: [check] } }
    before: { main: { ready: healthy } }
    resources: { limits: { memory: 64Mi } }
  main:
    image: .
    volumes: { /data: { source: "${resources.data}" } }
  prepare:
    image: .
    command: [prepare]
    volumes: { /out: { source: "${resources.data}" } }
    before: { main: { ready: complete }, aside: { ready: started } }
resources: { data: { type: volume } }
)";

TEST(Workload, HasEachContainerOfTheDocument) {
  const auto plan = planned(kSeveral).plan;
  const auto made = workload(
      plan, {.image = "built", .images = {{.reference = "registry/aside:1", .image = "fetched"}}}, place());
  ASSERT_EQ(made.containers.size(), 3u);
  const auto& [main, aside, prepare] = std::tie(made.containers[0], made.containers[1], made.containers[2]);
  EXPECT_EQ(main.name + aside.name + prepare.name, "mainasideprepare")
      << "what the others stand beside is first";
  EXPECT_EQ(main.image, "built");
  EXPECT_EQ(aside.image, "fetched");
  EXPECT_EQ(prepare.image, "built");
  using engine::Milestone;
  EXPECT_EQ(main.after, (std::map<std::string, Milestone>{{"aside", Milestone::Ready},
                                                          {"prepare", Milestone::Complete}}));
  EXPECT_EQ(aside.after, (std::map<std::string, Milestone>{{"prepare", Milestone::Started}}));
  EXPECT_EQ(aside.readiness->command, std::vector<std::string>{"check"})
      << "healthy is what its one probe says";
  EXPECT_EQ(aside.limits.memory->count, 64u << 20);
  EXPECT_EQ(main.volumes.at(0).volume, prepare.volumes.at(0).volume);
}

TEST(Workload, WithoutAnImageOfAContainerTheReleaseIsRefused) {
  try {
    workload(planned(kSeveral).plan, {.image = "built"}, place());
    FAIL() << "it was taken";
  } catch (const Error& error) {
    ASSERT_EQ(error.faults().size(), 1u);
    EXPECT_EQ(error.faults()[0].path, "containers.aside.image");
  }
}

TEST(Workload, AJobHasTheMainContainerAlone) {
  auto made =
      workload(planned(kSeveral).plan,
               {.image = "built", .images = {{.reference = "registry/aside:1", .image = "x"}}}, place());
  as_job(made);
  ASSERT_EQ(made.containers.size(), 1u);
  EXPECT_EQ(made.main().name, "main");
  EXPECT_TRUE(made.main().after.empty());
  EXPECT_TRUE(made.ports.empty());
}

TEST(Workload, ARevisionRecordsItsPortsRoutesAndVolumes) {
  Revision::Spec revision;
  record_plan(planned(kScore).plan, "localhost", "development", revision);
  ASSERT_EQ(revision.ports.size(), 3u);
  EXPECT_EQ(revision.ports[0].name, "dns");
  EXPECT_TRUE(revision.ports[0].udp);
  EXPECT_EQ(revision.ports[1].port, 80);
  EXPECT_EQ(revision.ports[1].target, 8080);
  EXPECT_TRUE(revision.ports[1].http);
  ASSERT_EQ(revision.routes.size(), 1u);
  EXPECT_EQ(revision.routes[0].host, "worker--development--shop.localhost");
  EXPECT_EQ(revision.routes[0].path, "/w");
  EXPECT_EQ(revision.volumes, (std::vector<std::string>{"development.cache", "worker.development.data"}));
  EXPECT_TRUE(revision.exclusive);
  EXPECT_EQ(revision.domain, "localhost");
}

TEST(Workload, WhatReadsVolumesAloneMayRunBesideAnother) {
  Revision::Spec revision;
  record_plan(planned(R"({apiVersion: score.dev/v1b1, metadata: {name: worker},
      containers: {main: {image: ., volumes: {/data: {source: "${resources.data}", readOnly: true}}}},
      resources: {data: {type: volume}}})")
                  .plan,
              "localhost", "development", revision);
  EXPECT_FALSE(revision.exclusive);
  EXPECT_EQ(revision.domain, "") << "it has no host name";
}

}  // namespace
}  // namespace tow::deploy
