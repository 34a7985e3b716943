// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a new revision replaces the old one, as towpath.yaml says it and a Deployment records it. The words are
// those of Kubernetes and Argo Rollouts. Values; what follows from them is decided by deploy.

#include <concepts>
#include <optional>
#include <string>
#include <vector>

#include "base/reading.hpp"

namespace tow {

enum class StrategyType { Rolling, Recreate, BlueGreen, Canary };
constexpr auto names(Of<StrategyType>) {
  using T = StrategyType;
  return std::array{Name<T>{T::Rolling, "rolling"}, Name<T>{T::Recreate, "recreate"},
                    Name<T>{T::BlueGreen, "blue-green"}, Name<T>{T::Canary, "canary"}};
}

/// A number of instances, or a share of them: 2, "25%".
struct Share {
  int value = 0;
  bool percent = false;
  bool operator==(const Share&) const = default;
};
void read_custom(const Node& node, Share& out, Reading& reading);
Node write_custom(const Share& share);
Node schema_custom(Of<Share>);
enum class Round { Up, Down };
int of(const Share& share, int instances, Round round);

/// Without a duration it lasts until somebody continues.
struct Pause {
  std::optional<Duration> duration;
  bool operator==(const Pause&) const = default;
};
constexpr auto fields(Of<Pause>) {
  return std::tuple{field("duration", &Pause::duration, "How long; absent: until tow rollout continue.")};
}

/// A number N in a document is {setWeight: N}; a pause that stands alone belongs to the weight before it.
struct Step {
  std::optional<int> set_weight;
  std::optional<Pause> pause;
  bool operator==(const Step&) const = default;
};
void read_step(const Node& node, Step& out, Reading& reading);
Node write_step(const Step& step);
template <std::same_as<Step> T>
void read_custom(const Node& node, T& out, Reading& reading) {
  read_step(node, out, reading);
}
template <std::same_as<Step> T>
Node write_custom(const T& step) {
  return write_step(step);
}
Node schema_custom(Of<Step>);

struct Strategy {
  StrategyType type = StrategyType::Rolling;
  std::optional<Share> max_surge;        // rolling
  std::optional<Share> max_unavailable;  // rolling
  std::vector<Step> steps;               // canary
  std::optional<Duration> pause;         // canary, blue-green
  bool auto_promotion = true;            // blue-green
  double max_error_percent = 5;          // canary
  bool operator==(const Strategy&) const = default;
};
/// Reads a map of the fields, or the type alone ("rolling"). What users send is checked as a whole.
void read_strategy(const Node& node, Strategy& out, Reading& reading);
Node write_strategy(const Strategy& strategy);
template <std::same_as<Strategy> T>
void read_custom(const Node& node, T& out, Reading& reading) {
  read_strategy(node, out, reading);
}
template <std::same_as<Strategy> T>
Node write_custom(const T& strategy) {
  return write_strategy(strategy);
}
Node schema_custom(Of<Strategy>);

/// One stage before a new revision gets all of the traffic.
struct Stage {
  int weight = 0;                 // percent of the traffic that it has meanwhile
  std::optional<Duration> pause;  // how long; nothing: until somebody continues
  bool operator==(const Stage&) const = default;
};
/// In order; none where it gets all of it at once.
std::vector<Stage> stages(const Strategy& strategy);

/// Commands around a deployment, each a list of arguments.
struct Hooks {
  std::vector<std::vector<std::string>> before;
  std::vector<std::vector<std::string>> after;
  bool operator==(const Hooks&) const = default;
};
constexpr auto fields(Of<Hooks>) {
  return std::tuple{
      field("before", &Hooks::before,
            "Commands that run one after the other in the image of a new revision, once, before it starts; "
            "when "
            "one fails, the revision has failed."),
      field("after", &Hooks::after, "Commands that run in the same way when it has the traffic."),
  };
}

}  // namespace tow
