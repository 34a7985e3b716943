// SPDX-License-Identifier: Apache-2.0
// The same entities, plain: get, apply, delete, watch, explain.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>

#include "base/ids.hpp"
#include "cli/commands.hpp"
#include "cli/exit.hpp"
#include "http/text.hpp"

namespace tow::cli {
namespace {

struct Arguments {
  std::string kind;
  std::string name;
  std::vector<std::string> files;
  bool all_projects = false;
  std::string labels;
};

const KindInfo& kind_named(const std::string& name) {
  if (const auto* info = find_kind(name)) return *info;
  std::vector<std::string> known;
  for (const auto& info : kinds()) known.emplace_back(info.plural);
  const auto near = nearest(name, known);
  throw fail(Code::Invalid, "\"{}\" is no kind{}", name,
             near.empty() ? fmt::format("; there are {}", fmt::join(known, ", "))
                          : fmt::format("; did you mean \"{}\"?", near));
}

Key key_of(Context& context, const Arguments& arguments) {
  const auto& info = kind_named(arguments.kind);
  return {std::string{info.kind}, info.in_project && !arguments.all_projects ? context.project() : "",
          arguments.name};
}

std::string text_at(const Node& document, std::initializer_list<std::string_view> path) {
  const Node* node = &document;
  for (const auto part : path)
    if (node) node = node->find(part);
  if (!node) return "";
  return node->string() ? *node->string() : to_json(*node);
}

std::vector<std::string> row_of(Context& context, const Node& document) {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto created = parse_time(text_at(document, {"metadata", "created"}));
  const auto phase = text_at(document, {"status", "phase"});
  return {text_at(document, {"metadata", "project"}), text_at(document, {"metadata", "name"}),
          context.output.paint(colour_of(phase), phase), created ? age(*created, now) : "-",
          text_at(document, {"status", "message"})};
}

Task<int> get(Context& context, Arguments arguments) {
  const auto target = key_of(context, arguments);
  if (!target.name.empty()) {
    const auto document = co_await context.server().get(target);
    if (!document) throw fail(Code::NotFound, "there is no {}", to_string(target));
    context.output.document(*document);
    co_return kOk;
  }
  const auto list = co_await context.server().list(
      target, arguments.labels.empty() ? "" : "labels=" + http::encode(arguments.labels));
  if (context.output.format != Format::Table) {
    context.output.document(list.items);
    co_return kOk;
  }
  std::vector<std::vector<std::string>> rows{{"PROJECT", "NAME", "PHASE", "AGE", "MESSAGE"}};
  for (const auto& item : list.items) rows.push_back(row_of(context, item));
  context.output.table(rows);
  co_return kOk;
}

Task<> apply_document(Context& context, Node document, std::string file) {
  if (!document.map()) throw fail(Code::Invalid, "{} holds no entity", file);
  // A project that is not said is the one that one works in.
  const auto* info = find_kind(text_at(document, {"kind"}));
  if (info && info->in_project && text_at(document, {"metadata", "project"}).empty() &&
      document.find("metadata")) {
    Node metadata = *document.find("metadata");
    metadata.set("project", context.project());
    document.set("metadata", std::move(metadata));
  }
  const auto record = from_document(document);
  co_await context.server().put(record.key, document);
  context.output.line(fmt::format("{} is as {} says", to_string(record.key), file));
}

// One entity, or the list of them that `tow get` prints.
Task<> apply_file(Context& context, std::string file) {
  const auto text = file == "-" ? std::string{std::istreambuf_iterator<char>{std::cin}, {}} : read_file(file);
  Node document = parse_yaml(text);
  if (!document.list()) co_return co_await apply_document(context, std::move(document), std::move(file));
  for (const auto& each : *document.list()) co_await apply_document(context, each, file);
}

Task<int> apply(Context& context, Arguments arguments) {
  for (const auto& file : arguments.files) {
    std::optional<Error> faulty;
    try {
      co_await apply_file(context, file);
    } catch (const Error& error) {
      if (error.faults().empty()) throw;
      faulty = error;
    }
    if (!faulty) continue;
    std::fputs(explain(*faulty, file).c_str(), stderr);
    co_return exit_code(faulty->code());
  }
  co_return kOk;
}

Task<int> remove(Context& context, Arguments arguments) {
  const auto target = key_of(context, arguments);
  context.output.note(fmt::format("Deleting {}", to_string(target)));
  co_await context.server().remove(target);
  co_return kOk;
}

Task<int> watch(Context& context, Arguments arguments) {
  const auto target = key_of(context, arguments);
  co_await context.server().watch(target, [&context](const client::Change& change) {
    if (change.listed) return true;
    if (context.output.format == Format::Table) {
      const auto row = row_of(context, change.document);
      context.output.line(fmt::format("{:<8} {:<40} {} {}", change.revision, row[1],
                                      change.removed ? "removed" : row[2], row[4]));
    } else {
      context.output.line(to_json(change.document));
    }
    return true;
  });
  co_return kOk;
}

// "list of strings", "map of objects", "duration", and the schema in which its own fields are.
std::pair<std::string, const Node*> type_of(const Node& property) {
  if (const Node* items = property.find("items")) {
    const auto [type, inner] = type_of(*items);
    return {"list of " + type + "s", inner};
  }
  if (const Node* values = property.find("additionalProperties"); values && values->map()) {
    const auto [type, inner] = type_of(*values);
    return {"map of " + type + "s", inner};
  }
  auto type = text_at(property, {"type"});
  if (const auto format = text_at(property, {"format"}); !format.empty()) type = format;
  return {type.empty() ? "document" : type, &property};
}

void explain_fields(Context& context, const Node& schema, int depth) {
  const Node* properties = schema.find("properties");
  if (!properties) return;
  const Node* required = schema.find("required");
  for (const auto& [name, property] : *properties->map()) {
    const auto [type, inner] = type_of(property);
    std::string marks;
    if (required && required->list())
      for (const auto& each : *required->list())
        if (each.string() && *each.string() == name) marks += ", required";
    if (property.find("readOnly")) marks += ", observed";
    if (property.find("writeOnly")) marks += ", secret";
    if (const Node* all = property.find("enum")) marks += ", one of " + to_json(*all);
    if (const Node* standard = property.find("default"))
      marks += ", default " + (standard->string() ? *standard->string() : to_json(*standard));
    context.output.line(fmt::format("{}{} {}", std::string(static_cast<std::size_t>(depth) * 2, ' '),
                                    context.output.paint(Colour::Bold, name),
                                    context.output.paint(Colour::Dim, "(" + type + marks + ")")));
    if (const auto description = text_at(property, {"description"}); !description.empty())
      context.output.line(
          fmt::format("{}{}", std::string(static_cast<std::size_t>(depth) * 2 + 4, ' '), description));
    explain_fields(context, *inner, depth + 1);
  }
}

Node described(Node schema, std::string_view description) {
  schema.set("description", description);
  return schema;
}

// explain deployment.spec.scale: the tables themselves, without a server.
Task<int> explain_kind(Context& context, Arguments arguments) {
  const auto dot = arguments.kind.find('.');
  const auto& info = kind_named(arguments.kind.substr(0, dot));
  Node schema =
      Node::Map{{"type", "object"},
                {"properties", Node::Map{{"spec", described(info.spec_schema(), "What is wanted.")},
                                         {"status", described(info.status_schema(), "What was observed.")}}}};
  std::string rest = dot == std::string::npos ? "" : arguments.kind.substr(dot + 1);
  std::string description{info.help};
  while (!rest.empty()) {
    const auto name = rest.substr(0, rest.find('.'));
    rest = rest.find('.') == std::string::npos ? "" : rest.substr(rest.find('.') + 1);
    const Node* inside = &schema;
    if (const Node* items = inside->find("items")) inside = items;
    if (const Node* values = inside->find("additionalProperties"); values && values->map()) inside = values;
    const Node* properties = inside->find("properties");
    const Node* next = properties ? properties->find(name) : nullptr;
    if (!next) {
      std::vector<std::string> known;
      if (properties)
        for (const auto& [each, unused] : *properties->map()) known.push_back(each);
      throw fail(Code::NotFound, "there is no field \"{}\"; there are {}", name, fmt::join(known, ", "));
    }
    description = text_at(*next, {"description"});
    Node copy = *next;
    schema = std::move(copy);
  }
  if (context.output.format != Format::Table) {
    context.output.document(schema);
    co_return kOk;
  }
  context.output.line(context.output.paint(Colour::Bold, arguments.kind) +
                      (description.empty() ? "" : "  " + description));
  explain_fields(context, *type_of(schema).second, 1);
  co_return kOk;
}

using Verb = Task<int> (*)(Context&, Arguments);

CLI::App* add(CLI::App& app, Context& context, const char* name, const char* help, Verb verb,
              const std::shared_ptr<Arguments>& a) {
  auto* command = app.add_subcommand(name, help);
  command->callback(
      [&context, verb, a] { context.action = [&context, verb, a] { return verb(context, *a); }; });
  return command;
}

}  // namespace

void add_entities(CLI::App& app, Context& context) {
  const auto make = [] { return std::make_shared<Arguments>(); };
  const auto target = [](CLI::App* command, const std::shared_ptr<Arguments>& a, bool name_needed) {
    command->add_option("KIND", a->kind, "Such as deployments; `tow explain KIND` says what is in one")
        ->required();
    command->add_option("NAME", a->name, "Which one")->required(name_needed);
  };
  {
    auto a = make();
    auto* command = add(app, context, "get", "Entities as they are", get, a);
    target(command, a, false);
    command->add_flag("-A,--all-projects", a->all_projects, "Of every project");
    command->add_option("-l,--labels", a->labels, "NAME=VALUE,…");
  }
  {
    auto a = make();
    auto* command = add(app, context, "apply", "Make entities as a document says", apply, a);
    command
        ->add_option("-f,--file,FILE", a->files,
                     "YAML or JSON, one entity or a list of them; - is standard input")
        ->option_text("FILE")
        ->required();
  }
  {
    auto a = make();
    target(add(app, context, "delete", "Delete an entity and what it owns", remove, a), a, true);
  }
  {
    auto a = make();
    auto* command = add(app, context, "watch", "Entities as they change", watch, a);
    target(command, a, false);
    command->add_flag("-A,--all-projects", a->all_projects, "Of every project");
  }
  {
    auto a = make();
    auto* command =
        add(app, context, "explain", "What the fields of a kind mean: KIND[.spec.FIELD…]", explain_kind, a);
    command->add_option("KIND", a->kind, "Kind, with the path of a field")->required();
  }
}

}  // namespace tow::cli
