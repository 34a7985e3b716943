// SPDX-License-Identifier: Apache-2.0
#include "model/score_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ids.hpp"

namespace tow::score {
namespace {

using testing::ElementsAre;

// A document around what a case is about.
Document document(const std::string& resources, const std::string& container = {},
                  const std::string& ports = "http: { port: 80, targetPort: 8080 }") {
  return read(
      parse_yaml("apiVersion: score.dev/v1b1\nmetadata: { name: web }\n"
                 "service: { ports: { " +
                 ports +
                 " } }\n"
                 "containers: { main: { image: ., " +
                 container +
                 " } }\n"
                 "resources: { " +
                 resources + " }\n"));
}

Context development() { return {.project = "shop", .environment = "development"}; }

std::vector<std::string> faults_of(const Document& document, const Context& context) {
  try {
    plan(document, context);
  } catch (const Error& error) {
    std::vector<std::string> all;
    for (const auto& fault : error.faults()) all.push_back(fault.path + ": " + fault.message);
    return all;
  }
  return {};
}

TEST(HostName, IsOneLabelBelowTheDomain) {
  EXPECT_EQ(host_name("web", "production", "shop", "localhost"), "web--production--shop.localhost");
}

TEST(HostName, IsHashedAboveSixtyThreeCharactersAndNeverEqualsAPlainOne) {
  const std::string long_name(40, 'a');
  const auto host = host_name(long_name, "production", "a-project-with-a-name", "apps.example.org");
  const auto label = host.substr(0, host.find('.'));
  EXPECT_LE(label.size(), 63u);
  // One double hyphen: a plain label has two, so nobody can name things so that theirs equals it.
  EXPECT_EQ(label.find("--"), label.rfind("--"));
  EXPECT_EQ(label.substr(0, 42), long_name + "--");
  EXPECT_EQ(host, host_name(long_name, "production", "a-project-with-a-name", "apps.example.org"));
  EXPECT_NE(host, host_name(long_name, "production", "a-project-with-another", "apps.example.org"));
}

TEST(HostName, TheLongestPlainLabelIsKept) {
  const std::string project(63 - std::string{"web--production--"}.size(), 'p');
  EXPECT_EQ(host_name("web", "production", project, "x"), "web--production--" + project + ".x");
  EXPECT_NE(host_name("web", "production", project + "p", "x"), "web--production--" + project + "p.x");
}

TEST(HostName, NeverLooksLikeAnInternationalisedName) {
  EXPECT_EQ(host_name("xn", "development", "shop", "x").find("xn--"), std::string::npos);
}

TEST(HostName, OfASharedIdWithDotsIsOneLabel) {
  const auto host = host_name("shop.main", "development", "p", "localhost");
  EXPECT_EQ(host.substr(0, 11), "shop-main--");
  EXPECT_EQ(std::count(host.begin(), host.end(), '.'), 1);
  EXPECT_NE(host, host_name("shop-main", "development", "p", "localhost"));
}

TEST(Identity, IsTheSameForAllWhoShareTheResource) {
  const auto one =
      document("data: { type: volume, id: files }, own: { type: volume }, env: { type: environment }");
  EXPECT_EQ(identity(one, "data"), "volume.default#files");
  EXPECT_EQ(identity(one, "own"), "volume.default#web.own");
}

TEST(Plan, TheSameDocumentAndContextGiveTheSamePlan) {
  const auto one = document("env: { type: environment }, data: { type: volume }",
                            "variables: { A: \"${resources.env.A}\" }, volumes: { /d: { source: data } }");
  Context context = development();
  context.configuration["A"] = {{}, "a@1"};
  EXPECT_EQ(to_json(write(plan(one, context))), to_json(write(plan(one, context))));
  EXPECT_EQ(to_json(write(plan(one, context))), to_json(write(plan(read_stored(write(one)), context))));
}

struct Routed {
  const char* reason;
  const char* params;
  PlannedRoute route;
};

TEST(Route, LeadsToAPortOfTheService) {
  const std::string host = "web--development--shop.localhost";
  const Routed cases[] = {
      {"the port by number", "port: 80", {"it", host, "/", 80, 8080}},
      {"the port by name", "port: http", {"it", host, "/", 80, 8080}},
      {"the number as text", "port: \"80\"", {"it", host, "/", 80, 8080}},
      {"a name that is made of text", "port: \"${metadata.port}\"", {"it", host, "/", 80, 8080}},
      {"a path", "port: 80, path: /api", {"it", host, "/api", 80, 8080}},
      {"a slash at the end of a path says nothing", "port: 80, path: /api/", {"it", host, "/api", 80, 8080}},
      {"the host of the dns resource",
       "port: 80, host: \"${resources.dns.host}\"",
       {"it", host, "/", 80, 8080}},
      {"the host of a shared dns resource",
       "port: 80, host: \"${resources.main.host}\"",
       {"it", "front--development--shop.localhost", "/", 80, 8080}},
  };
  for (const auto& c : cases) {
    const auto one =
        read(parse_yaml(std::string{"apiVersion: score.dev/v1b1\nmetadata: { name: web, port: http }\n"
                                    "service: { ports: { http: { port: 80, targetPort: 8080 } } }\n"
                                    "containers: { main: { image: . } }\n"
                                    "resources:\n  dns: { type: dns }\n  main: { type: dns, id: front }\n"
                                    "  it: { type: route, params: { "} +
                        c.params + " } }\n"));
    const auto routes = plan(one, development()).routes;
    ASSERT_EQ(routes.size(), 1u) << c.reason;
    EXPECT_EQ(to_json(tow::Node{routes[0].host}), to_json(tow::Node{c.route.host})) << c.reason;
    EXPECT_EQ(routes[0].path, c.route.path) << c.reason;
    EXPECT_EQ(routes[0].port, c.route.port) << c.reason;
    EXPECT_EQ(routes[0].target, c.route.target) << c.reason;
  }
}

struct Http {
  const char* reason;
  const char* ports;
  const char* container;
  const char* resources;
  bool http;
};

TEST(Plan, KnowsWhichPortSpeaksHttp) {
  const Http cases[] = {
      {"a route leads to it", "api: { port: 80 }", "", "it: { type: route, params: { port: api } }", true},
      {"its readiness is an HTTP probe on the target", "api: { port: 80, targetPort: 8080 }",
       "readinessProbe: { httpGet: { port: 8080, path: / } }", "", true},
      {"the probe is on another port", "api: { port: 80, targetPort: 8080 }",
       "readinessProbe: { httpGet: { port: 80, path: / } }", "", false},
      {"liveness says nothing about callers", "api: { port: 80 }",
       "livenessProbe: { httpGet: { port: 80, path: / } }", "", false},
      {"it is called http", "http: { port: 80 }", "", "", true},
      {"it is called http-something", "http-admin: { port: 80 }", "", "", true},
      {"it is called web", "web: { port: 80 }", "", "", true},
      {"it is called something else", "https: { port: 80 }", "", "", false},
      {"UDP is never HTTP", "http: { port: 80, protocol: UDP }", "", "", false},
  };
  for (const auto& c : cases) {
    const auto one = document(c.resources, c.container, c.ports);
    EXPECT_EQ(plan(one, development()).ports.at(0).http, c.http) << c.reason;
    EXPECT_EQ(service_ports(one).at(0).http, c.http) << c.reason;
  }
}

struct Cpu {
  const char* text;
  int millis;
};

TEST(Plan, ReadsCores) {
  const Cpu cases[] = {{"1", 1000},   {"0.5", 500},    {"250m", 250},
                       {"0.29", 290}, {"1.001", 1001}, {"0.0001", 1}};
  for (const auto& c : cases) {
    const auto one = document("", fmt::format("resources: {{ limits: {{ cpu: \"{}\" }} }}", c.text));
    EXPECT_EQ(plan(one, development()).containers.at(0).limits.cpu_millis, c.millis) << c.text;
  }
}

TEST(Plan, OfTwoProbesTheCommandIsUsed) {
  const auto one =
      document("", "readinessProbe: { exec: { command: [ok] }, httpGet: { port: 8080, path: /, host: h } }");
  const auto probe = plan(one, development()).containers.at(0).readiness;
  EXPECT_EQ(probe->kind, PlannedProbe::Kind::Exec);
  EXPECT_THAT(probe->command, ElementsAre("ok"));
  EXPECT_TRUE(probe->path.empty());
}

TEST(Plan, ABinarySourceIsKeptAsBytes) {
  const auto one = document("", "files: { /f: { source: f.bin } }");
  Context context = development();
  const std::string bytes{"\xff${x}\0", 6};
  context.read_file = [&](const std::string&) { return bytes; };
  const auto file = plan(one, context).containers.at(0).files.at(0);
  EXPECT_EQ(base64_decode(file.base64), bytes);
  EXPECT_TRUE(file.content.parts.empty());
}

TEST(Plan, ASecretMayBeInAFile) {
  const auto one = document("env: { type: environment }",
                            "files: { /f: { content: \"key=${resources.env.KEY}\", mode: \"400\" } }");
  Context context = development();
  context.configuration["KEY"] = {{}, "key@2"};
  const auto file = plan(one, context).containers.at(0).files.at(0);
  EXPECT_THAT(file.content.parts, ElementsAre(Part{"key=", ""}, Part{"", "key@2"}));
  EXPECT_EQ(file.mode, 0400);
}

struct Refused {
  const char* reason;
  const char* resources;
  const char* container;
  const char* fault;
};

TEST(Plan, SaysWhatTheEnvironmentLacks) {
  Context context = development();
  context.directory = "web";
  context.read_file = [](const std::string& path) -> std::optional<std::string> {
    if (path == "web/link") throw fail(Code::Invalid, "it is a link that leaves the repository");
    if (path == "web/big") return std::string((1u << 20) + 1, 'x');
    if (path == "web/template") return "${resources.env.MISSING}";
    return {};
  };
  const Refused cases[] = {
      {"a source that is a link to elsewhere", "", "files: { /f: { source: link } }",
       "containers.main.files./f.source: \"web/link\" cannot be read: it is a link that leaves the "
       "repository"},
      {"a source that is too large", "", "files: { /f: { source: big } }",
       "containers.main.files./f.source: \"web/big\" has 1048577 bytes; 1Mi is the most that can be mounted"},
      {"a name that only a template reads", "env: { type: environment }",
       "files: { /f: { source: template } }",
       "containers.main.files./f.source: ${resources.env.MISSING} in line 1 of the content: \"MISSING\" is "
       "not "
       "set for web in development; set it with tow config set or tow secret set"},
      {"the caller names another component", "", "",
       "metadata.name: \"web\" must be \"front\", as towpath.yaml calls this component"},
  };
  for (const auto& c : cases) {
    context.component = std::string_view{c.container}.empty() ? "front" : "";
    EXPECT_THAT(faults_of(document(c.resources, c.container), context), ElementsAre(c.fault)) << c.reason;
  }
}

TEST(Plan, StaysWithinBounds) {
  // A large value, read often, would grow without end.
  std::string variables;
  for (int i = 0; i < 100; ++i) variables += fmt::format("      V{}: ${{metadata.big}}\n", i);
  const auto yaml = "apiVersion: score.dev/v1b1\nmetadata: { name: web, big: " + std::string(100'000, 'x') +
                    " }\ncontainers:\n  main:\n    image: .\n    variables:\n" + variables;
  try {
    read(parse_yaml(yaml));
    FAIL();
  } catch (const Error& error) {
    ASSERT_EQ(error.faults().size(), 1u);
    EXPECT_EQ(error.faults()[0].message,
              "with this, the component's texts and files are larger than 4Mi together");
  }
}

TEST(Plan, ALongChainOfResourcesIsRefusedAndNotWalked) {
  std::string resources = "r0: { type: volume }";
  for (int i = 1; i < 5'000; ++i)
    resources += fmt::format(
        ", r{}: {{ type: service-port, params: {{ workload: \"${{resources.r{}.hostname}}\", port: 1 }} }}",
        i, i - 1);
  try {
    document(resources);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::Unsupported);
    ASSERT_EQ(error.faults().size(), 1u);
    EXPECT_EQ(error.faults()[0].message, "5000 entries are not supported; 256 are the most");
  }
}

TEST(RequiredConfiguration, IsEveryNameOnceWithItsFirstPlace) {
  const auto one = read(parse_yaml(R"(apiVersion: score.dev/v1b1
metadata: { name: web }
containers:
  main:
    image: .
    variables:
      Z: ${resources.env.B} ${resources.env.A}
      A: ${resources.other.B}${resources.env}
      C: $${resources.env.NOT_READ}
    args: ["${resources.env.NOT_READ}"]
    files:
      /a: { content: "${resources.env.IN_FILE}" }
      /b: { content: "${resources.env.NOT_READ}", noExpand: true }
      /c: { source: template }
resources:
  env: { type: environment }
  other: { type: environment }
)"));
  const auto names = [](const std::vector<RequiredName>& all) {
    std::vector<std::string> made;
    for (const auto& it : all)
      made.push_back(fmt::format("{} {}:{} {}", it.name, it.at.line, it.at.column, it.path));
    return made;
  };
  EXPECT_THAT(names(required_configuration(one)),
              ElementsAre("A 7:10 containers.main.variables.Z", "B 7:10 containers.main.variables.Z",
                          "IN_FILE 12:23 containers.main.files./a.content"));
  EXPECT_THAT(
      names(required_configuration(
          one, "x", [](const std::string& path) { return "${resources.env." + path.substr(2) + "}"; })),
      testing::Contains("template 14:21 containers.main.files./c.source"));
}

TEST(SourceFiles, AreThePathsThatAReleaseKeeps) {
  const auto one = document("",
                            "files: { /a: { source: a }, /b: { source: \"../conf/${metadata.name}.conf\" }, "
                            "/c: { source: ./a }, /d: { content: x } }");
  EXPECT_THAT(source_files(one, "web"), ElementsAre("conf/web.conf", "web/a"));
  EXPECT_THROW(source_files(one, ""), Error);
}

TEST(ServicePort, IsFoundByNameOrNumberAndIsStable) {
  for (const char* port : {"grpc", "7070"}) {
    const auto one =
        document(fmt::format("cart: {{ type: service-port, params: {{ workload: cart, port: {} }} }}", port),
                 "variables: { A: \"${resources.cart.hostname}:${resources.cart.port}\" }");
    Context context = development();
    context.service = [](const std::string&) { return std::vector{ServicePort{"grpc", 7070, 7000}}; };
    EXPECT_EQ(plan(one, context).containers.at(0).variables.at("A").plain(), "cart:7070") << port;
  }
}

TEST(ServicePort, MayBeTheComponentsOwn) {
  const auto one = document("self: { type: service-port, params: { workload: web, port: http } }",
                            "variables: { A: \"${resources.self.hostname}:${resources.self.port}\" }");
  EXPECT_EQ(plan(one, development()).containers.at(0).variables.at("A").plain(), "web:80");
}

}  // namespace
}  // namespace tow::score
