// SPDX-License-Identifier: Apache-2.0
#include "base/reading.hpp"
#include "base/schema.hpp"

#include <gtest/gtest.h>

namespace tow {
namespace {

enum class Protocol { Tcp, Udp };
constexpr auto names(Of<Protocol>) {
  return std::array{Name<Protocol>{Protocol::Tcp, "TCP"}, Name<Protocol>{Protocol::Udp, "UDP"}};
}

struct Port {
  std::uint16_t port = 0;
  Protocol protocol = Protocol::Tcp;
  std::optional<std::uint16_t> target;
};
constexpr auto fields(Of<Port>) {
  return std::tuple{
      field("port", &Port::port, "Port of the service.", required, between(1, 65535)),
      field("protocol", &Port::protocol, "Transport."),
      field("targetPort", &Port::target, "Port inside.", between(1, 65535)),
  };
}

struct Box {
  std::string name;
  std::map<std::string, Port> ports;
  std::vector<std::string> command;
  Bytes memory;
  Duration wait = std::chrono::seconds{5};
  std::string password;
  std::string seen;
  bool privileged = false;
};
constexpr auto fields(Of<Box>) {
  return std::tuple{
      field("name", &Box::name, "Its name.", required, matches("[a-z]+", "lower-case letters")),
      field("ports", &Box::ports, "By name.", matches("[a-z]+", "lower-case letters")),
      field("command", &Box::command, "What it runs."),
      field("memory", &Box::memory, "At most."),
      field("wait", &Box::wait, "How long."),
      field("password", &Box::password, "Hidden.", hidden),
      field("seen", &Box::seen, "Observed.", observed),
      field("privileged", &Box::privileged, "All rights.", not_yet("isolation first")),
  };
}

std::vector<std::string> faults_of(const char* yaml) {
  try {
    read_document<Box>(parse_yaml(yaml), "box");
  } catch (const Error& error) {
    std::vector<std::string> all;
    for (const auto& fault : error.faults()) all.push_back(describe(fault, "box.yaml"));
    return all;
  }
  return {};
}

TEST(Fields, ReadsADocument) {
  const auto box = read_document<Box>(
      parse_yaml(
          "name: web\nports: {http: {port: 80, targetPort: 8080}}\ncommand: [a, b]\nmemory: 512Mi\nwait: 2m"),
      "box");
  EXPECT_EQ(box.ports.at("http").port, 80);
  EXPECT_EQ(box.ports.at("http").target, 8080);
  EXPECT_EQ(box.memory.count, 512u << 20);
  EXPECT_EQ(box.wait, std::chrono::minutes{2});
}

struct Case {
  const char* reason;
  const char* yaml;
  const char* fault;
};

TEST(Fields, SaysWhatIsWrongAndWhere) {
  const Case cases[] = {
      {"a misspelt key names the nearest", "name: a\nports:\n  http: {prot: 80, port: 80}",
       "box.yaml:3:10  ports.http.prot: unknown key; did you mean \"port\"?"},
      {"a required key", "ports: {}", "box.yaml:1:1  name: is missing"},
      {"a number out of bounds", "name: a\nports: {http: {port: 70000}}",
       "box.yaml:2:22  ports.http.port: 70000 is out of range"},
      {"zero is below the bound", "name: a\nports: {http: {port: 0}}",
       "box.yaml:2:22  ports.http.port: must be between 1 and 65535, not 0"},
      {"an enum lists what is allowed", "name: a\nports: {http: {port: 1, protocol: tcp}}",
       "box.yaml:2:35  ports.http.protocol: must be one of TCP, UDP, not \"tcp\"; did you mean \"TCP\"?"},
      {"a number where a string belongs", "name: 12",
       "box.yaml:1:7  name: must be a string; write it in quotes: \"12\""},
      {"a scalar where a map belongs", "name: a\nports: 80", "box.yaml:2:8  ports: must be a map, not 80"},
      {"a size in a foreign spelling", "name: a\nmemory: 512mb",
       "box.yaml:2:9  memory: \"512mb\" is not a size; write 512M or 512Mi"},
      {"a list's element by its index", "name: a\ncommand: [a, {}]",
       "box.yaml:2:11  command[1]: must be a string, not a map"},
      {"an observed field", "name: a\nseen: now",
       "box.yaml:2:1  seen: \"seen\" is observed by the platform and cannot be set"},
      {"the pattern of a map's keys", "name: a\nports: {H1: {port: 1}}",
       "box.yaml:2:9  ports.H1: \"H1\" must be lower-case letters"},
      {"what is not supported yet", "name: a\nprivileged: true",
       "box.yaml:2:13  privileged: is not supported yet: isolation first"},
  };
  for (const auto& c : cases) {
    const auto faults = faults_of(c.yaml);
    ASSERT_EQ(faults.size(), 1u) << c.reason;
    EXPECT_EQ(faults[0], c.fault) << c.reason;
  }
}

TEST(Fields, ReportsEveryFaultAtOnceInOrderOfTheirPlace) {
  const auto faults = faults_of("nmae: x\nports: {http: {}}\ncommand: 3\nmemory: much\nwait: long\n");
  ASSERT_EQ(faults.size(), 6u);
  EXPECT_EQ(faults[0].substr(0, 12), "box.yaml:1:1");
  EXPECT_EQ(faults[5].substr(0, 12), "box.yaml:5:7");
}

TEST(Fields, OnlyUnsupportedFaultsMakeTheDocumentUnsupported) {
  try {
    read_document<Box>(parse_yaml("name: a\nprivileged: true"), "box");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::Unsupported);
  }
}

TEST(Fields, StoredBodiesAreReadLeniently) {
  const auto box = read_stored<Box>(R"({"future":1,"seen":"yes","privileged":true})");
  EXPECT_EQ(box.seen, "yes");
  EXPECT_TRUE(box.privileged);
}

TEST(Fields, WritesWithoutDefaults) {
  Box box;
  box.name = "web";
  box.ports["http"].port = 80;
  EXPECT_EQ(to_json(write(box)), R"({"name":"web","ports":{"http":{"port":80}}})");
}

TEST(Fields, SchemaSaysWhatTheTableSays) {
  const Node made = schema<Box>();
  EXPECT_EQ(to_json(*made.find("required")), R"(["name"])");
  const Node& ports = *made.find("properties")->find("ports");
  EXPECT_EQ(to_json(*ports.find("additionalProperties")->find("properties")->find("protocol")),
            R"({"type":"string","enum":["TCP","UDP"],"description":"Transport.","default":"TCP"})");
  EXPECT_EQ(to_json(*made.find("additionalProperties")), "false");
}

TEST(Fields, RedactsSecretFields) {
  Node document = parse_json(R"({"name":"a","password":"hunter2"})");
  redact(document, schema<Box>());
  EXPECT_EQ(to_json(document), R"~({"name":"a","password":"(secret)"})~");
}

}  // namespace
}  // namespace tow
