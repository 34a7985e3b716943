// SPDX-License-Identifier: Apache-2.0
// Any bytes as an entity that somebody sends, as JSON and as YAML: what is refused has its words, what is
// taken has one form, and can be shown.
#include <cstdlib>

#include "base/error.hpp"
#include "model/entity.hpp"

namespace {

using namespace tow;

void must(bool holds) {
  if (!holds) std::abort();
}

void entity(const Node& node) {
  Record record;
  try {
    record = from_document(node);
  } catch (const Error& error) {
    must(error.code() == Code::Invalid || error.code() == Code::Unsupported);
    must(!error.faults().empty());
    return;
  }
  const KindInfo* kind = find_kind(record.key.kind);
  must(kind != nullptr);
  must(to_json(kind->admit(parse_json(record.spec))) == record.spec);
  must(to_json(parse_json(to_document_json(record))) == to_json(to_document(record)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  for (const auto parse : {+[](std::string_view t) { return parse_json(t); },
                           +[](std::string_view t) { return parse_yaml(t); }}) {
    Node node;
    try {
      node = parse(text);
    } catch (const Error& error) {
      must(error.code() == Code::Invalid);
      continue;
    }
    entity(node);
  }
  return 0;
}
