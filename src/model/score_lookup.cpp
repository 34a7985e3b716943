// SPDX-License-Identifier: Apache-2.0
// Where placeholders lead.
#include <algorithm>

#include "model/score_fields.hpp"
#include "model/score_planner.hpp"

namespace tow::score {
void Planner::reference_fault(const Reference& reference, Position at, const std::string& message) {
  fault(at, fmt::format("{}{}: {}", reference.spelling,
                        lines_ ? fmt::format(" in line {} of the content", reference.line) : "", message));
}

bool Planner::fits(std::size_t size, Position at) {
  constexpr std::size_t kMost = 4u << 20;
  if (size_ > kMost) return false;
  size_ += size;
  if (size_ > kMost) fault(at, "with this, the component's texts and files are larger than 4Mi together");
  return size_ <= kMost;
}

Expanded Planner::expand_text(const std::string& text, Position at, bool lines) {
  lines_ = lines;
  auto made = expand(
      text,
      [&](const Reference& reference) {
        auto value = look_up(reference, at);
        std::size_t size = 0;
        for (const Part& part : value.value_or(Expanded{}).parts) size += part.text.size();
        return fits(size, at) ? value : std::nullopt;
      },
      [&](std::string problem) { fault(at, std::move(problem)); });
  lines_ = false;
  return made;
}

std::optional<std::string> Planner::known(const Expanded& value, Position at, std::string_view what) {
  if (auto text = value.plain()) return text;
  if (context_) fault(at, fmt::format("{} must not be made of a secret", what));
  return {};
}

std::optional<Expanded> Planner::look_up(const Reference& reference, Position at) {
  const auto& keys = reference.keys;
  if (reference.spelling.find_first_of(" \t\r\n") != std::string::npos &&
      (keys[0].find("metadata") != std::string::npos || keys[0].find("resources") != std::string::npos)) {
    reference_fault(reference, at, "write it without spaces");
    return {};
  }
  if (keys[0] == "metadata") return look_up_metadata(reference, at);
  if (keys[0] != "resources") {
    reference_fault(
        reference, at,
        fmt::format("placeholders begin with metadata or resources; write ${} for the text itself",
                    reference.spelling));
    return {};
  }
  if (keys.size() < 2 || keys[1].empty()) {
    reference_fault(reference, at, "names no resource; write ${resources.NAME.OUTPUT}");
    return {};
  }
  const auto found = document_.resources.find(keys[1]);
  if (found == document_.resources.end()) {
    const bool unread = std::any_of(reading_.faults().begin(), reading_.faults().end(),
                                    [](const Fault& fault) { return fault.path == "resources"; });
    if (!unread)
      reference_fault(reference, at,
                      fmt::format("there is no resource \"{}\"{}", keys[1],
                                  suggestion(keys[1], keys_of(document_.resources))));
    return {};
  }
  if (refused_.contains(keys[1])) return {};
  if (keys.size() == 2) return Expanded{identity(document_, keys[1])};
  if (found->second->type.value == "environment") return look_up_configuration(reference, at);
  const auto resolved = resolved_.find(keys[1]);
  if (resolved == resolved_.end()) return {};  // said where it stands
  const auto output = resolved->second.outputs.find(keys[2]);
  if (output != resolved->second.outputs.end() && keys.size() == 3) return output->second;
  const auto outputs = keys_of(resolved->second.outputs);
  reference_fault(reference, at,
                  outputs.empty()
                      ? fmt::format("a {} gives nothing to read", found->second->type.value)
                      : fmt::format("a {} gives {}{}", found->second->type.value, list_of(outputs),
                                    keys.size() == 3 ? suggestion(keys[2], outputs) : std::string{}));
  return {};
}

std::optional<Expanded> Planner::look_up_metadata(const Reference& reference, Position at) {
  if (reference.keys.size() < 2) {
    reference_fault(reference, at, "names no key; write ${metadata.KEY}");
    return {};
  }
  const Node* value = &metadata_;
  std::string way = "metadata";
  for (std::size_t i = 1; i < reference.keys.size(); ++i) {
    const auto& key = reference.keys[i];
    const Node* next = value->find(key);
    if (!next) {
      if (broken("metadata")) return {};
      reference_fault(
          reference, at,
          value->map() ? fmt::format("{} has no \"{}\"{}", way, key, suggestion(key, keys_of(*value->map())))
                       : fmt::format("{} is {}, which has no keys", way, value->kind()));
      return {};
    }
    value = next;
    way += "." + key;
  }
  return Expanded{value->string() ? *value->string() : to_json(*value)};
}

std::optional<Expanded> Planner::look_up_configuration(const Reference& reference, Position at) {
  const auto& resource = reference.keys[1];
  const auto& name = reference.keys[2];
  if (reference.keys.size() != 3 || name.empty()) {
    reference_fault(reference, at, fmt::format("write ${{resources.{}.NAME}}", resource));
    return {};
  }
  const auto [entry, fresh] = required_.try_emplace(name, RequiredName{name, reading_.path(), at});
  if (!fresh && std::pair{at.line, at.column} < std::pair{entry->second.at.line, entry->second.at.column})
    entry->second = {name, reading_.path(), at};
  Expanded value = unknown();
  if (context_) {
    const auto found = context_->configuration.find(name);
    if (found == context_->configuration.end()) {
      reference_fault(
          reference, at,
          fmt::format("\"{}\" is not set for {} in {}; set it with tow config set or tow secret set{}", name,
                      document_.name(), context_->environment,
                      suggestion(name, keys_of(context_->configuration))));
      return {};
    }
    value =
        found->second.secret.empty() ? Expanded{found->second.text} : Expanded::secret(found->second.secret);
  }
  resolved_[resource].outputs[name] = value;
  return value;
}

std::vector<RequiredName> Planner::required() const {
  std::vector<RequiredName> all;
  for (const auto& [name, place] : required_) all.push_back(place);
  return all;
}

}  // namespace tow::score
