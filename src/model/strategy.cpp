// SPDX-License-Identifier: Apache-2.0
#include "model/strategy.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/schema.hpp"

namespace tow {
namespace {

// The tables; the types themselves are read by way of them.
struct StepTable : Step {};
constexpr auto fields(Of<StepTable>) {
  return std::tuple{
      field("setWeight", &Step::set_weight, "Percent of the traffic that the new revision gets.",
            between(0, 100)),
      field(
          "pause", &Step::pause,
          "How long it stays so; absent: as long as the strategy's pause, else until tow rollout continue."),
  };
}
struct StrategyTable : Strategy {};
constexpr auto fields(Of<StrategyTable>) {
  using S = Strategy;
  return std::tuple{
      field("type", &S::type, "How the new revision replaces the old one.", required),
      field("maxSurge", &S::max_surge,
            "rolling: how many instances more than the scale may exist meanwhile, a number or a percentage; "
            "absent: as many again, so that the new revision comes up whole."),
      field("maxUnavailable", &S::max_unavailable,
            "rolling: how many instances fewer than the scale may be ready meanwhile, a number or a "
            "percentage; "
            "absent: none."),
      field("steps", &S::steps,
            "canary: weights that the new revision has one after the other, each a number or {setWeight, "
            "pause}."),
      field("pause", &S::pause,
            "canary: how long a step lasts that does not say; blue-green: how long the new side can be "
            "looked at "
            "before the switch."),
      field("autoPromotionEnabled", &S::auto_promotion,
            "blue-green: false waits for tow rollout continue before the switch."),
      field(
          "maxErrorPercent", &S::max_error_percent,
          "canary: when more of the new revision's answers than this are errors (5xx), and more than of the "
          "old one's, it is taken back.",
          between(0, 100)),
  };
}

void belongs(const Node& node, std::string_view key, bool fits, std::string_view to, Reading& reading) {
  const Node* found = node.find(key);
  if (!found || fits) return;
  auto step = reading.into(key);
  reading.fault_at(found->key_at, fmt::format("belongs to {} only", to));
}

// Each pause with the weight before it.
std::vector<Step> merged(const Node& list, const std::vector<Step>& steps, Reading& reading) {
  std::vector<Step> made;
  int last = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto& step = steps[i];
    auto place = reading.into(i);
    const Node& at = (*list.list())[i];
    if (step.set_weight) {
      if (*step.set_weight < last || (*step.set_weight == last && !made.empty()))
        reading.fault_at(at.at, fmt::format("must rise, and {} comes after {}", *step.set_weight, last));
      last = *step.set_weight;
      made.push_back(step);
    } else if (!step.pause) {
      reading.fault_at(at.at, "must have setWeight or pause");
    } else if (made.empty()) {
      made.push_back({.set_weight = 0, .pause = step.pause});
    } else if (made.back().pause) {
      reading.fault_at(at.at, "comes after a pause; it needs a setWeight");
    } else {
      made.back().pause = step.pause;
    }
  }
  return made;
}

void check(const Node& node, Strategy& strategy, Reading& reading) {
  using T = StrategyType;
  belongs(node, "maxSurge", strategy.type == T::Rolling, "rolling", reading);
  belongs(node, "maxUnavailable", strategy.type == T::Rolling, "rolling", reading);
  belongs(node, "steps", strategy.type == T::Canary, "canary", reading);
  belongs(node, "pause", strategy.type == T::Canary || strategy.type == T::BlueGreen, "canary and blue-green",
          reading);
  belongs(node, "autoPromotionEnabled", strategy.type == T::BlueGreen, "blue-green", reading);
  belongs(node, "maxErrorPercent", strategy.type == T::Canary, "canary", reading);
  const auto none = [](const std::optional<Share>& share) { return share && share->value == 0; };
  if (none(strategy.max_surge) && (!strategy.max_unavailable || none(strategy.max_unavailable)))
    reading.fault_at(node.find("maxSurge")->at,
                     "with maxSurge and maxUnavailable 0 nothing could be replaced");
  if (strategy.type == T::BlueGreen && !strategy.auto_promotion && strategy.pause) {
    auto step = reading.into("pause");
    reading.fault_at(node.find("pause")->key_at,
                     "has no effect with autoPromotionEnabled: false, which waits for tow rollout continue");
  }
  if (strategy.type != T::Canary) return;
  auto place = reading.into("steps");
  const Node* list = node.find("steps");
  if (list && list->list() && list->list()->size() == strategy.steps.size())
    strategy.steps = merged(*list, strategy.steps, reading);
  if (strategy.steps.empty()) reading.fault_at(list ? list->at : node.at, "canary needs at least one step");
}

}  // namespace

void read_custom(const Node& node, Share& out, Reading& reading) {
  constexpr std::string_view help = "must be a number of instances (2) or a percentage of them (25%)";
  if (const auto* number = node.integer()) {
    if (*number < 0 || *number > 100) return reading.fault(node, "must be between 0 and 100");
    out = {.value = static_cast<int>(*number), .percent = false};
    return;
  }
  const auto* text = node.string();
  if (!text || !text->ends_with('%')) return reading.fault(node, std::string{help});
  int value = 0;
  const auto end = text->data() + text->size() - 1;
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc{} || stop != end) return reading.fault(node, std::string{help});
  if (value < 0 || value > 100) return reading.fault(node, "must be between 0% and 100%");
  out = {.value = value, .percent = true};
}
Node write_custom(const Share& share) {
  return share.percent ? Node{fmt::format("{}%", share.value)} : Node{share.value};
}
Node schema_custom(Of<Share>) {
  return Node::Map{{"anyOf", Node::List{Node::Map{{"type", "integer"}, {"minimum", 0}, {"maximum", 100}},
                                        Node::Map{{"type", "string"}, {"pattern", "^(100|[1-9]?[0-9])%$"}}}}};
}
int of(const Share& share, int instances, Round round) {
  if (!share.percent) return share.value;
  return (share.value * instances + (round == Round::Up ? 99 : 0)) / 100;
}

void read_step(const Node& node, Step& out, Reading& reading) {
  if (const auto* weight = node.integer()) {
    if (*weight < 0 || *weight > 100) return reading.fault(node, "must be between 0 and 100");
    out = {.set_weight = static_cast<int>(*weight), .pause = {}};
    return;
  }
  StepTable table;
  read(node, table, reading);
  out = std::move(table);
}
Node write_step(const Step& step) {
  if (step.set_weight && !step.pause) return Node{*step.set_weight};
  Node made = Node::Map{};
  if (step.set_weight) made.set("setWeight", Node{*step.set_weight});
  if (step.pause) made.set("pause", write(*step.pause));
  return made;
}
Node schema_custom(Of<Step>) {
  return Node::Map{{"anyOf", Node::List{Node::Map{{"type", "integer"}, {"minimum", 0}, {"maximum", 100}},
                                        schema<StepTable>()}}};
}

void read_strategy(const Node& node, Strategy& out, Reading& reading) {
  StrategyTable table;
  if (node.string()) {
    read(node, table.type, reading);
    if (table.type == StrategyType::Canary && reading.strictness == Strictness::Admission)
      reading.fault(node, "canary needs steps: {type: canary, steps: [10, 50], pause: 2m}");
    out = std::move(table);
    return;
  }
  const auto before = reading.faults().size();
  read(node, table, reading);
  out = std::move(table);
  if (node.map() && reading.faults().size() == before && reading.strictness == Strictness::Admission)
    check(node, out, reading);
}
Node write_strategy(const Strategy& strategy) {
  StrategyTable table;
  static_cast<Strategy&>(table) = strategy;
  return write(table);
}
Node schema_custom(Of<Strategy>) { return schema<StrategyTable>(); }

std::vector<Stage> stages(const Strategy& strategy) {
  std::vector<Stage> made;
  if (strategy.type == StrategyType::BlueGreen) {
    if (!strategy.auto_promotion)
      made.push_back({});
    else if (strategy.pause)
      made.push_back({.weight = 0, .pause = strategy.pause});
  }
  if (strategy.type == StrategyType::Canary)
    for (const auto& step : strategy.steps) {
      const int weight = step.set_weight.value_or(0);
      if (weight == 100 && !step.pause) continue;
      made.push_back({.weight = weight, .pause = step.pause ? step.pause->duration : strategy.pause});
    }
  return made;
}

}  // namespace tow
