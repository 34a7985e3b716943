// SPDX-License-Identifier: Apache-2.0
#pragma once
// Prometheus' text exposition format 0.0.4: families in order, each with its HELP and TYPE before its
// samples.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tow::observe {

class Exposition {
 public:
  enum class Type { Counter, Gauge };
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  /// Begins a family, of which the samples that follow are. Without samples it is left out.
  void family(std::string_view name, Type type, std::string_view help);
  void sample(const Labels& labels, double value);
  void sample(const Labels& labels, std::uint64_t value);
  void sample(std::uint64_t value) { sample(Labels{}, value); }
  std::string take() { return std::move(text_); }

 private:
  void begin_sample(const Labels& labels);

  std::string text_;
  std::string head_;  // of the family, until its first sample
  std::string name_;
};

}  // namespace tow::observe
