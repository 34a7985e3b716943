// SPDX-License-Identifier: Apache-2.0
// The visible list of kinds, and the envelope that they share.
#include <algorithm>

#include "base/ids.hpp"
#include "base/schema.hpp"
#include "model/deployment.hpp"
#include "model/entity.hpp"
#include "model/identity.hpp"
#include "model/project.hpp"

namespace tow {
namespace {

enum Trait { InProject = 1, Cold = 2, Writable = 4, Removable = 8 };

template <class K>
KindInfo describe_kind(std::string_view plural, std::string_view help, int traits) {
  return {.kind = K::kind,
          .plural = plural,
          .help = help,
          .in_project = (traits & InProject) != 0,
          .cold = (traits & Cold) != 0,
          .removable = (traits & (Writable | Removable)) != 0,
          .writable = (traits & Writable) != 0,
          .spec_schema = &schema<typename K::Spec>,
          .status_schema = &schema<typename K::Status>,
          .admit = [](const Node& spec) { return write(read_document<typename K::Spec>(spec, K::kind)); }};
}

struct MetadataDocument {
  std::string name;
  std::string project;
  std::string uid;
  std::string owner;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> finalizers;
  std::int64_t generation = 0;
  std::int64_t revision = 0;
  std::optional<TimePoint> created;
  std::optional<TimePoint> updated;
  std::optional<TimePoint> deleted;
};
constexpr auto fields(Of<MetadataDocument>) {
  using M = MetadataDocument;
  // What the platform sets is taken back without complaint, so that a document that was read can be sent
  // again.
  return std::tuple{
      field("name", &M::name, "Its name.", required, at_least(1)),
      field("project", &M::project, "The project that it belongs to."),
      field("uid", &M::uid, "Never used for anything else again."),
      field("owner", &M::owner, "Uid of the entity whose end is this one's end."),
      field("labels", &M::labels, "For selecting."),
      field("annotations", &M::annotations, "For people and tools."),
      field("finalizers", &M::finalizers, "What has to be cleaned up before it can go."),
      field("generation", &M::generation, "Counts changes of spec."),
      field("revision", &M::revision, "The store's revision that changed it last."),
      field("created", &M::created, "When it was made."),
      field("updated", &M::updated, "When it last changed."),
      field("deleted", &M::deleted, "When its deletion was asked for."),
  };
}

struct EntityDocument {
  std::string api_version;
  std::string kind;
  MetadataDocument metadata;
  Node spec;
  Node status;
};
constexpr auto fields(Of<EntityDocument>) {
  using E = EntityDocument;
  return std::tuple{
      field("apiVersion", &E::api_version, "towpath.dev/v1", required,
            matches("towpath\\.dev/v1", "towpath.dev/v1")),
      field("kind", &E::kind, "Its kind.", required),
      field("metadata", &E::metadata, "Its envelope.", required),
      field("spec", &E::spec, "What is wanted."),
      field("status", &E::status, "What was observed."),
  };
}

// A deployment's name, and what is made from it, has dots between names.
bool is_entity_name(std::string_view name) {
  while (true) {
    const auto dot = name.find('.');
    if (!is_name(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

const std::vector<KindInfo>& kinds() {
  static const std::vector<KindInfo> all = {
      describe_kind<Project>("projects", "The boundary of a team's work.", Writable),
      describe_kind<Repository>("repositories", "Code, at /git/PROJECT/REPOSITORY.git.",
                                InProject | Writable),
      describe_kind<Component>("components", "One deployable part of a project.", InProject | Removable),
      describe_kind<Environment>("environments", "A place in a project where components run.",
                                 InProject | Writable),
      describe_kind<EnvironmentType>("environmenttypes", "The platform's policy for such places.", Writable),
      describe_kind<Build>("builds", "One making of an image from a commit.", InProject),
      describe_kind<PipelineRun>("pipelineruns", "What a push set in motion.", InProject),
      describe_kind<Release>("releases", "An immutable record of what can be deployed.", InProject | Cold),
      describe_kind<Deployment>("deployments", "A component in an environment.", InProject | Removable),
      describe_kind<Revision>("revisions", "Release and configuration: one exact setting.", InProject),
      describe_kind<Instance>("instances", "One running copy.", InProject),
      describe_kind<Route>("routes", "Host and path that lead to a deployment.", InProject),
      describe_kind<Volume>("volumes", "Data that outlives instances.", InProject | Removable),
      describe_kind<Job>("jobs", "A command that runs to its end.", InProject | Removable),
      describe_kind<ScheduledJob>("scheduledjobs", "A command that runs on a schedule.", InProject),
      describe_kind<Configuration>("configurations", "Values that differ between environments.", InProject),
      describe_kind<Secret>("secrets", "Values that nobody can read back.", InProject),
      describe_kind<Token>("tokens", "Keys to the API.", Removable),
      describe_kind<Event>("events", "What happened, by whom, to what.", InProject | Cold),
      describe_kind<Platform>("platforms", "The platform's own settings; its name is \"platform\".",
                              Writable),
  };
  return all;
}

const KindInfo* find_kind(std::string_view name) {
  const auto same = [&](std::string_view kind) {
    return kind.size() == name.size() &&
           std::equal(kind.begin(), kind.end(), name.begin(), [](char a, char b) {
             return std::tolower(static_cast<unsigned char>(a)) ==
                    std::tolower(static_cast<unsigned char>(b));
           });
  };
  for (const auto& info : kinds())
    if (same(info.kind) || same(info.plural)) return &info;
  return nullptr;
}

bool is_cold(std::string_view kind) {
  const auto* info = find_kind(kind);
  return info && info->cold;
}

namespace {

// Schemas of the kinds that have something to hide; the others need no tree to be shown.
struct Hiding {
  Node spec;
  Node status;
};
const Hiding* hiding(std::string_view kind) {
  static const auto all = [] {
    std::map<std::string_view, Hiding> made;
    for (const auto& info : kinds()) {
      Hiding schemas{info.spec_schema(), info.status_schema()};
      const auto hides = [](const Node& schema) {
        return to_json(schema).find("\"writeOnly\"") != std::string::npos;
      };
      if (hides(schemas.spec) || hides(schemas.status)) made.emplace(info.kind, std::move(schemas));
    }
    return made;
  }();
  const auto found = all.find(kind);
  return found == all.end() ? nullptr : &found->second;
}

MetadataDocument metadata_of(const Record& record) {
  return {.name = record.key.name,
          .project = record.key.project,
          .uid = record.uid,
          .owner = record.owner,
          .labels = record.labels,
          .annotations = record.annotations,
          .finalizers = record.finalizers,
          .generation = record.generation,
          .revision = record.revision,
          .created = record.created,
          .updated = record.updated,
          .deleted = record.deleted};
}

}  // namespace

Node to_document(const Record& record) {
  EntityDocument document;
  document.api_version = kApiVersion;
  document.kind = record.key.kind;
  document.metadata = metadata_of(record);
  document.spec = parse_json(record.spec);
  document.status = parse_json(record.status);
  if (const auto* schemas = hiding(record.key.kind)) {
    redact(document.spec, schemas->spec);
    redact(document.status, schemas->status);
  }
  if (document.status.map() && document.status.map()->empty()) document.status = Node{};
  return write(document);
}

std::string to_document_json(const Record& record) {
  if (hiding(record.key.kind)) return to_json(to_document(record));
  std::string out = R"({"apiVersion":")";
  out.append(kApiVersion).append(R"(","kind":)");
  append_json_string(out, record.key.kind);
  out.append(R"(,"metadata":)").append(to_json(write(metadata_of(record))));
  out.append(R"(,"spec":)").append(record.spec);
  if (record.status != "{}") out.append(R"(,"status":)").append(record.status);
  return out += '}';
}

Record from_document(const Node& node) {
  Reading reading;
  EntityDocument document;
  document.spec = Node::Map{};  // what is left out is as empty as can be
  read(node, document, reading);
  const auto* info = find_kind(document.kind);
  // One that is missing, or no text, was told by reading already.
  if (const Node* kind = node.find("kind"); kind && kind->string() && !info) {
    std::vector<std::string> known;
    for (const auto& each : kinds()) known.emplace_back(each.kind);
    const auto near = nearest(document.kind, known);
    auto step = reading.into("kind");
    reading.fault(*kind, near.empty()
                             ? fmt::format("\"{}\" is no kind", document.kind)
                             : fmt::format("\"{}\" is no kind; did you mean \"{}\"?", document.kind, near));
  }
  const Node* metadata = node.find("metadata");
  const auto check = [&](const std::string& field, bool good, const std::string& message) {
    auto outer = reading.into("metadata");
    auto inner = reading.into(field);
    const Node* at = metadata ? metadata->find(field) : nullptr;
    if (!good) reading.fault(at ? *at : node, message);
  };
  if (!document.metadata.name.empty())
    check("name", is_entity_name(document.metadata.name),
          fmt::format("\"{}\" is not a name: {}", document.metadata.name, kNameRule));
  if (info && info->in_project)
    check("project", is_name(document.metadata.project),
          document.metadata.project.empty() ? "is missing"
                                            : fmt::format("\"{}\" is not a name", document.metadata.project));
  if (info && !info->in_project)
    check("project", document.metadata.project.empty(), "this kind belongs to no project");

  Record record;
  if (info) {
    try {
      record.spec = to_json(info->admit(document.spec));
    } catch (const Error& error) {
      auto step = reading.into("spec");
      for (const auto& fault : error.faults()) {
        auto inner = reading.into(fault.path);
        Node at;
        at.at = fault.at;
        fault.unsupported ? reading.unsupported(at, fault.message) : reading.fault(at, fault.message);
      }
    }
  }
  reading.finish(document.kind.empty() ? "the document"
                                       : fmt::format("{} {}", document.kind, document.metadata.name));
  record.key = {std::string{info->kind}, document.metadata.project, document.metadata.name};
  record.labels = std::move(document.metadata.labels);
  record.annotations = std::move(document.metadata.annotations);
  return record;
}

}  // namespace tow
