// SPDX-License-Identifier: Apache-2.0
// The document against the rules of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), as far as they can be
// told without its schema.
#include "api/openapi.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/schema.hpp"
#include "model/operations.hpp"

namespace tow::api {
namespace {

const std::set<std::string> kMethods{"get", "put", "post", "delete"};

std::vector<AnyOperation> operations() {
  auto make = [](std::string_view name, Target target, Shape shape, Node input, Node output) {
    auto made = detail::begin_operation(name, target, "Does it.", Permission::Deploy);
    made.shape = shape;
    made.input = std::move(input);
    made.output = std::move(output);
    return made;
  };
  return {
      make("deployments.scale", Target::Entity, Shape::Unary, schema<ScaleInput>(), schema<Accepted>()),
      make("secrets.set", Target::Collection, Shape::Unary, schema<SecretInput>(), schema<Accepted>()),
      make("deployments.logs", Target::Entity, Shape::Stream, schema<LogInput>(), schema<LogEntry>()),
      make("deployments.exec", Target::Entity, Shape::Terminal, schema<ExecInput>(), Node::Map{}),
      make("tokens.create", Target::Collection, Shape::Unary, schema<TokenInput>(), schema<TokenOutput>())};
}

const Node& document() {
  static const Node made = describe_api(operations(), "1.2.3");
  return made;
}

template <class Visit>
void walk(const Node& node, const std::string& at, const Visit& visit) {
  visit(node, at);
  if (const auto* map = node.map())
    for (const auto& [name, value] : *map) walk(value, at + "/" + name, visit);
  if (const auto* list = node.list())
    for (std::size_t i = 0; i < list->size(); ++i) walk((*list)[i], at + "/" + std::to_string(i), visit);
}

const Node* resolve(std::string_view reference) {
  if (!reference.starts_with("#/")) return nullptr;
  const Node* node = &document();
  reference.remove_prefix(2);
  while (node) {
    const auto slash = reference.find('/');
    node = node->find(reference.substr(0, slash));
    if (slash == std::string_view::npos) break;
    reference.remove_prefix(slash + 1);
  }
  return node;
}

template <class Visit>
void each_operation(const Visit& visit) {
  for (const auto& [path, item] : *document().find("paths")->map())
    for (const auto& [method, operation] : *item.map())
      if (kMethods.contains(method)) visit(path, method, item, operation);
}

TEST(OpenApi, HasTheRequiredHead) {
  EXPECT_EQ(*document().find("openapi")->string(), "3.1.0");
  EXPECT_EQ(*document().find("info")->find("version")->string(), "1.2.3");
  EXPECT_TRUE(document().find("info")->find("title"));
  for (const auto& [name, value] : *document().map())
    EXPECT_TRUE(
        (std::set<std::string>{"openapi", "info", "servers", "security", "tags", "paths", "components"}
             .contains(name)))
        << name << " is no member of an OpenAPI document";
}

TEST(OpenApi, HasEveryRouteOfEveryKind) {
  for (const auto& info : kinds()) {
    SCOPED_TRACE(info.kind);
    const auto base = info.in_project ? fmt::format("/api/v1/projects/{{project}}/{}", info.plural)
                                      : fmt::format("/api/v1/{}", info.plural);
    const Node& paths = *document().find("paths");
    const Node* all = paths.find(base);
    const Node* one = paths.find(base + "/{name}");
    ASSERT_TRUE(all && one);
    EXPECT_TRUE(paths.find(fmt::format("/api/v1/{}", info.plural))) << "over all projects, too";
    EXPECT_TRUE(all->find("get") && one->find("get"));
    EXPECT_EQ(all->find("post") != nullptr, info.writable);
    EXPECT_EQ(one->find("put") != nullptr, info.writable);
    EXPECT_EQ(one->find("delete") != nullptr, info.removable);
  }
}

TEST(OpenApi, HasEveryOperation) {
  std::set<std::string> there;
  each_operation([&](const auto& path, const auto& method, const auto&, const Node& operation) {
    there.insert(method + " " + path + " " + *operation.find("operationId")->string());
  });
  for (const char* wanted : {"post /api/v1/projects/{project}/deployments/{name}:scale deployments.scale",
                             "post /api/v1/projects/{project}/secrets:set secrets.set",
                             "get /api/v1/projects/{project}/deployments/{name}:logs deployments.logs",
                             "get /api/v1/projects/{project}/deployments/{name}:exec deployments.exec",
                             "post /api/v1/tokens:create tokens.create"})
    EXPECT_TRUE(there.contains(wanted)) << wanted;
}

TEST(OpenApi, EveryReferenceResolves) {
  int count = 0;
  walk(document(), "#", [&](const Node& node, const std::string& at) {
    const Node* reference = node.map() ? node.find("$ref") : nullptr;
    if (!reference || !reference->string()) return;
    ++count;
    EXPECT_TRUE(resolve(*reference->string())) << at << " -> " << *reference->string();
  });
  EXPECT_GT(count, 100);
}

TEST(OpenApi, OperationsHaveIdsResponsesAndParametersOfTheirPath) {
  std::set<std::string> ids;
  each_operation([&](const std::string& path, const auto& method, const Node& item, const Node& operation) {
    SCOPED_TRACE(method + " " + path);
    EXPECT_TRUE(ids.insert(*operation.find("operationId")->string()).second) << "an id names one operation";
    EXPECT_TRUE(operation.find("summary") && !operation.find("summary")->string()->empty());
    const Node* responses = operation.find("responses");
    ASSERT_TRUE(responses && responses->map() && !responses->map()->empty());
    for (const auto& [status, response] : *responses->map()) {
      EXPECT_TRUE(status == "default" || (status.size() == 3 && status >= "100" && status <= "599"))
          << status;
      EXPECT_TRUE(response.find("description") && response.find("description")->string());
    }
    std::set<std::string> in_path, seen;
    for (auto at = path.find('{'); at != std::string::npos; at = path.find('{', at + 1))
      in_path.insert(path.substr(at + 1, path.find('}', at) - at - 1));
    std::set<std::string> declared;
    for (const Node* list : {item.find("parameters"), operation.find("parameters")}) {
      if (!list) continue;
      for (const auto& parameter : *list->list()) {
        const auto name = *parameter.find("name")->string();
        const auto in = *parameter.find("in")->string();
        EXPECT_TRUE(seen.insert(in + " " + name).second) << name << " is declared twice";
        EXPECT_TRUE(in == "path" || in == "query" || in == "header");
        EXPECT_TRUE(parameter.find("schema")) << name;
        if (in == "path") {
          declared.insert(name);
          EXPECT_TRUE(parameter.find("required") && *parameter.find("required")->boolean());
        }
      }
    }
    EXPECT_EQ(declared, in_path);
    if (method == "get") {
      EXPECT_FALSE(operation.find("requestBody")) << "a GET has no body";
    }
  });
}

// JSON Schema 2020-12: keywords have values of the right kind.
void check_schema(const Node& schema, const std::string& at) {
  const std::set<std::string> types{"object", "array", "string", "integer", "number", "boolean", "null"};
  ASSERT_TRUE(schema.map() || schema.boolean()) << at;
  if (!schema.map()) return;
  for (const auto& [key, value] : *schema.map()) {
    const auto here = at + "/" + key;
    if (key == "type") {
      EXPECT_TRUE(value.string() && types.contains(*value.string())) << here;
    } else if (key == "properties") {
      ASSERT_TRUE(value.map()) << here;
      for (const auto& [name, property] : *value.map()) check_schema(property, here + "/" + name);
    } else if (key == "items" || key == "additionalProperties" || key == "propertyNames") {
      check_schema(value, here);
    } else if (key == "required") {
      ASSERT_TRUE(value.list()) << here;
      for (const auto& name : *value.list())
        EXPECT_TRUE(schema.find("properties")->find(*name.string())) << here << " names no property";
    } else if (key == "enum") {
      EXPECT_TRUE(value.list() && !value.list()->empty()) << here;
    } else if (key == "anyOf" || key == "oneOf" || key == "allOf") {
      ASSERT_TRUE(value.list() && !value.list()->empty()) << here;
      for (const auto& each : *value.list()) check_schema(each, here);
    } else if (key == "minimum" || key == "maximum") {
      EXPECT_TRUE(value.integer() || value.real()) << here;
    } else if (key == "minLength" || key == "minItems" || key == "minProperties") {
      EXPECT_TRUE(value.integer() && *value.integer() >= 0) << here;
    } else if (key == "readOnly" || key == "writeOnly") {
      EXPECT_TRUE(value.boolean()) << here;
    } else if (key == "description" || key == "pattern" || key == "format" || key == "$ref" ||
               key == "title") {
      EXPECT_TRUE(value.string()) << here;
    } else if (key != "default" && key != "const" && key != "examples" && !key.starts_with("x-")) {
      ADD_FAILURE() << here << " is no keyword that is known here";
    }
  }
}

TEST(OpenApi, EverySchemaIsOne) {
  for (const auto& [name, each] : *document().find("components")->find("schemas")->map()) {
    EXPECT_EQ(name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"),
              std::string::npos)
        << name;
    check_schema(each, name);
  }
  walk(*document().find("paths"), "paths", [](const Node& node, const std::string& at) {
    if (const Node* each = node.map() ? node.find("schema") : nullptr) check_schema(*each, at);
  });
}

}  // namespace
}  // namespace tow::api
