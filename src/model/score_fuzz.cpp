// SPDX-License-Identifier: Apache-2.0
// Any bytes as score.yaml and as towpath.yaml: read, planned and written again. What is wrong with them must
// come as tow::Error, and what is right must survive being written. Built with -fsanitize=fuzzer,address.
#include <cstdlib>

#include "model/manifest.hpp"
#include "model/score_infer.hpp"
#include "model/score_plan.hpp"

namespace {

using namespace tow;

score::Context context() {
  score::Context made{.project = "shop", .environment = "production", .directory = "web"};
  made.configuration = {{"A", {"text ${x}", {}}}, {"B", {{}, "secret@1"}}};
  made.read_file = [](const std::string& path) -> std::optional<std::string> {
    if (path.ends_with(".bin")) return std::string{"\xff\0", 2};
    if (path.ends_with(".txt")) return "${resources.env.A} ${metadata.name}";
    return {};
  };
  made.service = [](const std::string& name) -> std::optional<std::vector<score::ServicePort>> {
    if (name == "none") return {};
    return std::vector{score::ServicePort{"http", 80, 8080}};
  };
  return made;
}

void must(bool holds) {
  if (!holds) std::abort();
}

// Every fault has its words; a refusal is never empty.
void check(const Error& error) {
  must(error.code() == Code::Invalid || error.code() == Code::Unsupported);
  must(!error.faults().empty());
  for (const Fault& fault : error.faults()) must(!fault.message.empty() && fault.at.line >= 0);
}

void score_document(const Node& node) {
  score::Document document;
  try {
    document = score::read(node);
  } catch (const Error& error) {
    return check(error);
  }
  const Node written = score::write(document);
  must(to_json(score::write(score::read(written))) == to_json(written));
  must(to_json(score::write(score::read(parse_yaml(score::render(document))))) == to_json(written));
  score::required_configuration(document, "web", context().read_file);
  try {
    const auto plan = score::plan(document, context());
    must(to_json(score::write(plan)) == to_json(score::write(score::plan(document, context()))));
    for (const auto& route : plan.routes) must(!route.host.empty() && route.path.starts_with('/'));
    for (const auto& container : plan.containers) {
      for (const auto& file : container.files) must(file.target.starts_with('/'));
      for (const auto& volume : container.volumes)
        must(volume.target.starts_with('/') && !volume.volume.empty());
    }
    // A release finds its files, and the stored document gives the same plan.
    score::source_files(document, "web");
    must(to_json(score::write(score::plan(score::read_stored(written), context()))) ==
         to_json(score::write(plan)));
  } catch (const Error& error) {
    check(error);
  }
}

void manifest_document(const Node& node) {
  try {
    const auto document = manifest::read(node);
    const Node written = manifest::write(document);
    must(to_json(manifest::write(manifest::read(written))) == to_json(written));
    for (const auto& [name, component] : document.components) manifest::watches(*component, "web/score.yaml");
  } catch (const Error& error) {
    check(error);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Node node;
  try {
    node = parse_yaml({reinterpret_cast<const char*>(data), size});
  } catch (const Error& error) {
    check(error);
    return 0;
  }
  score_document(node);
  manifest_document(node);
  return 0;
}
