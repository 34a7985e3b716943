// SPDX-License-Identifier: Apache-2.0
#include "api/openapi.hpp"

#include "model/entity.hpp"

namespace tow::api {
namespace {

Node object(Node::Map properties) {
  return Node::Map{{"type", "object"}, {"properties", std::move(properties)}};
}
Node reference(std::string_view name) {
  return Node::Map{{"$ref", fmt::format("#/components/schemas/{}", name)}};
}

Node content(std::string_view type, Node schema) {
  return Node::Map{{"content", Node::Map{{std::string{type}, Node::Map{{"schema", std::move(schema)}}}}}};
}
Node described(std::string_view description, Node rest) {
  rest.set("description", description);
  return rest;
}
Node responses(std::string_view status, std::string_view description, Node body) {
  return Node::Map{{std::string{status}, described(description, std::move(body))},
                   {"default", described("What went wrong (RFC 9457).",
                                         content("application/problem+json", reference("Problem")))}};
}

Node path_parameter(std::string_view name) {
  return Node::Map{
      {"name", name}, {"in", "path"}, {"required", true}, {"schema", Node::Map{{"type", "string"}}}};
}
Node if_match() {
  return Node::Map{{"name", "If-Match"},
                   {"in", "header"},
                   {"description", "The revision that it must have, in quotation marks, as ETag gave it."},
                   {"schema", Node::Map{{"type", "string"}}}};
}
Node query_parameter(std::string_view name, std::string_view help, Node schema) {
  return Node::Map{{"name", name}, {"in", "query"}, {"description", help}, {"schema", std::move(schema)}};
}

Node entity_schema(const KindInfo& info) {
  return Node::Map{
      {"type", "object"},
      {"description", info.help},
      {"required", Node::List{"apiVersion", "kind", "metadata", "spec"}},
      {"properties", Node::Map{{"apiVersion", Node::Map{{"type", "string"}, {"const", kApiVersion}}},
                               {"kind", Node::Map{{"type", "string"}, {"const", info.kind}}},
                               {"metadata", reference("Metadata")},
                               {"spec", info.spec_schema()},
                               {"status", info.status_schema()}}}};
}

std::string id_of(std::string_view verb, const KindInfo& info) {
  return fmt::format("{}{}", verb, info.kind);
}

void describe_kind(Node& paths, Node& schemas, const KindInfo& info) {
  schemas.set(info.kind, entity_schema(info));
  schemas.set(fmt::format("{}List", info.kind),
              object({{"revision", Node::Map{{"type", "integer"}}},
                      {"items", Node::Map{{"type", "array"}, {"items", reference(info.kind)}}}}));
  const std::string base = info.in_project ? fmt::format("/api/v1/projects/{{project}}/{}", info.plural)
                                           : fmt::format("/api/v1/{}", info.plural);
  Node::List shared;
  if (info.in_project) shared.push_back(path_parameter("project"));
  const Node text = Node::Map{{"type", "string"}};
  const Node number = Node::Map{{"type", "integer"}};

  Node listed = content("application/json", reference(fmt::format("{}List", info.kind)));
  Node types = *listed.find("content");
  types.set("text/event-stream", Node::Map{{"schema", reference(info.kind)}});
  listed.set("content", std::move(types));
  Node collection = Node::Map{
      {"get",
       Node::Map{
           {"operationId", id_of("list", info)},
           {"summary", fmt::format("List {}, or watch them with ?watch.", info.plural)},
           {"parameters", Node::List{query_parameter("labels", "NAME=VALUE,…: all must be equal.", text),
                                     query_parameter("owner", "Uid of the owner.", text),
                                     query_parameter("revision", "As of this revision of the store.", number),
                                     query_parameter("limit", "At most so many, newest first.", number),
                                     query_parameter("before", "Go on below this revision.", number),
                                     query_parameter("watch", "Answer with server-sent events.", text),
                                     query_parameter("from", "Watch from after this revision.", number)}},
           {"responses", responses("200",
                                   "What there is; with ?watch, events \"put\" and \"removed\" with "
                                   "an entity as data, \"listed\" between, \"lost\" at the end.",
                                   std::move(listed))}}}};
  if (info.in_project) {
    Node everywhere = collection;
    Node get = *everywhere.find("get");
    get.set("operationId", id_of("listEvery", info));
    get.set("summary", fmt::format("List {} of all projects, or watch them with ?watch.", info.plural));
    everywhere.set("get", std::move(get));
    paths.set(fmt::format("/api/v1/{}", info.plural), std::move(everywhere));
  }
  if (!shared.empty()) collection.set("parameters", shared);
  shared.push_back(path_parameter("name"));
  Node one = Node::Map{
      {"parameters", shared},
      {"get", Node::Map{{"operationId", id_of("get", info)},
                        {"summary", info.help},
                        {"parameters", Node::List{query_parameter(
                                           "revision", "As of this revision of the store.", number)}},
                        {"responses", responses("200", "The entity.",
                                                content("application/json", reference(info.kind)))}}}};
  if (info.writable) {
    const Node body = [&] {
      Node made = content("application/json", reference(info.kind));
      made.set("required", true);
      return made;
    }();
    collection.set("post",
                   Node::Map{{"operationId", id_of("create", info)},
                             {"summary", fmt::format("Make a {}.", info.kind)},
                             {"requestBody", body},
                             {"responses", responses("201", "It was made.",
                                                     content("application/json", reference(info.kind)))}});
    one.set(
        "put",
        Node::Map{
            {"operationId", id_of("put", info)},
            {"summary", fmt::format("Make or change a {}; metadata.revision is a precondition.", info.kind)},
            {"parameters", Node::List{if_match()}},
            {"requestBody", body},
            {"responses", [&] {
               Node made = responses("200", "It is so.", content("application/json", reference(info.kind)));
               made.set("201", described("It was made.", content("application/json", reference(info.kind))));
               return made;
             }()}});
  }
  if (info.removable)
    one.set("delete", Node::Map{{"operationId", id_of("delete", info)},
                                {"summary", fmt::format("Delete a {} and what it owns.", info.kind)},
                                {"parameters", Node::List{if_match()}},
                                {"responses", [&] {
                                   Node made = responses("202", "It is going.",
                                                         content("application/json", reference(info.kind)));
                                   made.set("200", described("It is gone.", Node::Map{}));
                                   return made;
                                 }()}});
  paths.set(base, std::move(collection));
  paths.set(base + "/{name}", std::move(one));
}

void describe_operation(Node& paths, const AnyOperation& operation) {
  const auto& info = *find_kind(operation.kind);
  std::string path = info.in_project ? fmt::format("/api/v1/projects/{{project}}/{}", info.plural)
                                     : fmt::format("/api/v1/{}", info.plural);
  Node::List parameters;
  if (info.in_project) parameters.push_back(path_parameter("project"));
  if (operation.target == Target::Entity) {
    path += "/{name}";
    parameters.push_back(path_parameter("name"));
  }
  path += ":" + operation.verb;
  Node made = Node::Map{{"operationId", operation.name}, {"summary", operation.help}};
  if (operation.shape == Shape::Unary) {
    made.set("requestBody", content("application/json", operation.input));
    made.set("responses",
             responses("200", "What came of it.", content("application/json", operation.output)));
  } else {
    if (const Node* properties = operation.input.find("properties"))
      for (const auto& [name, property] : *properties->map()) {
        const Node* help = property.find("description");
        parameters.push_back(query_parameter(name, help && help->string() ? *help->string() : "", property));
      }
    if (operation.shape == Shape::Stream)
      made.set("responses", responses("200", "Events \"item\" with this as data, then \"end\" or \"error\".",
                                      content("text/event-stream", operation.output)));
    else
      made.set("responses",
               responses("101", "A WebSocket: binary messages are bytes of the terminal, text messages JSON.",
                         Node::Map{}));
  }
  made.set("x-towpath-repeatable", operation.repeat == Repeat::Safe);
  if (operation.permission == Permission::None) made.set("security", Node::List{});
  Node item = Node::Map{{operation.shape == Shape::Unary ? "post" : "get", std::move(made)}};
  if (!parameters.empty()) item.set("parameters", std::move(parameters));
  paths.set(path, std::move(item));
}

}  // namespace

Node describe_api(const std::vector<AnyOperation>& operations, std::string_view version) {
  const Node text = Node::Map{{"type", "string"}};
  const Node texts = Node::Map{{"type", "object"}, {"additionalProperties", text}};
  const Node time = Node::Map{{"type", "string"}, {"format", "date-time"}};
  const Node number = Node::Map{{"type", "integer"}};
  Node paths{Node::Map{}};
  Node schemas = Node::Map{
      {"Metadata", object({{"name", text},
                           {"project", text},
                           {"uid", text},
                           {"owner", text},
                           {"labels", texts},
                           {"annotations", texts},
                           {"finalizers", Node::Map{{"type", "array"}, {"items", text}}},
                           {"generation", number},
                           {"revision", number},
                           {"created", time},
                           {"updated", time},
                           {"deleted", time}})},
      {"Problem",
       object(
           {{"type", text},
            {"title", text},
            {"status", number},
            {"detail", text},
            {"code", text},
            {"id", text},
            {"faults", Node::Map{{"type", "array"},
                                 {"items", object({{"path", text},
                                                   {"line", number},
                                                   {"column", number},
                                                   {"message", text},
                                                   {"unsupported", Node::Map{{"type", "boolean"}}}})}}}})}};
  for (const auto& info : kinds()) describe_kind(paths, schemas, info);
  for (const auto& operation : operations) describe_operation(paths, operation);
  return Node::Map{
      {"openapi", "3.1.0"},
      {"info", Node::Map{{"title", "Towpath"},
                         {"version", version},
                         {"license", Node::Map{{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
      {"servers", Node::List{Node::Map{{"url", "/"}}}},
      {"security", Node::List{Node::Map{{"token", Node::List{}}}}},
      {"paths", std::move(paths)},
      {"components",
       Node::Map{{"securitySchemes", Node::Map{{"token", Node::Map{{"type", "http"}, {"scheme", "bearer"}}}}},
                 {"schemas", std::move(schemas)}}}};
}

}  // namespace tow::api
