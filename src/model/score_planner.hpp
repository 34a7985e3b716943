// SPDX-License-Identifier: Apache-2.0
#pragma once
// One walk over a document for check() and plan(), so that both hold the same rules. Without a context,
// values that only an environment knows are unknown, and the rules about them are left out.
// For score_*.cpp alone.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/score_plan.hpp"

namespace tow::score {

class Planner {
 public:
  /// Faults go to `reading`; faults that are there already silence the rules that build on them.
  Planner(const Document& document, const Context* context, Reading& reading);

  Plan run();
  /// For required_configuration: where source files are read although there is no context.
  void read_sources(const std::string& directory,
                    std::function<std::optional<std::string>(const std::string&)> read_file) {
    directory_ = directory;
    read_file_ = std::move(read_file);
  }
  std::vector<RequiredName> required() const;

 private:
  // A value that has parts the planner does not know is an Expanded with this "secret".
  static constexpr const char* kUnknown = "?";

  // score_check.cpp: what needs no resource
  bool within_bounds();
  void names();
  void ports();
  void mark_http();
  void before();
  void start_order();
  std::optional<PlannedProbe> probe(const std::optional<Located<Probe>>& probe, std::string_view name);
  PlannedLimits limits(const Compute& compute);
  std::optional<int> millis(const std::optional<Text>& cpu, std::string_view what);
  std::optional<Bytes> memory(const std::optional<Located<Memory>>& size, std::string_view what);
  /// The absolute path in its one spelling; a fault and nothing when it cannot be one.
  std::optional<std::string> target(const std::string& target, Position at, bool file);

  // score_resources.cpp
  void resources();
  void resource(const std::string& name, const Located<Resource>& resource);
  bool admit(const std::string& name, const Located<Resource>& resource);
  void route(const std::string& name, const Located<Resource>& resource);
  std::string route_host(const Resource& resource);
  std::string route_path(const Resource& resource);
  void service_port(const std::string& name, const Located<Resource>& resource);
  std::vector<std::string> in_order();
  /// A param that must be there; a fault and null otherwise.
  const Node* needed(const Located<Resource>& resource, std::string_view param);
  /// The text of a param: a string, expanded, or a number. Nothing when it is unknown or wrong.
  std::optional<std::string> param_text(const Node& param);
  const ServicePort* find_port(const std::vector<ServicePort>& ports, const Node& param,
                               std::string_view whose);

  // score_lookup.cpp
  std::optional<Expanded> look_up(const Reference& reference, Position at);
  std::optional<Expanded> look_up_metadata(const Reference& reference, Position at);
  std::optional<Expanded> look_up_configuration(const Reference& reference, Position at);
  void reference_fault(const Reference& reference, Position at, const std::string& message);
  /// False, and a fault once, when a plan grows beyond what a component may be.
  bool fits(std::size_t size, Position at);
  Expanded expand_text(const std::string& text, Position at, bool lines = false);

  // score_plan.cpp: the container
  void container(const std::string& name, const Container& container);
  void order_containers();
  void files(const Container& container);
  void file(const std::string& at_target, const Located<File>& file, bool sound);
  void source(const Text& source, bool expand, PlannedFile& made);
  void volumes(const Container& container);
  void nesting(const Container& container);

  void fault(Position at, std::string message) { reading_.fault_at(at, std::move(message)); }
  void unsupported(Position at, std::string message);
  /// The reading of the document found a fault here, or below here.
  bool broken(std::string_view path) const { return broken_.contains(path); }
  /// The text, when it is known and has no secret; a secret is a fault.
  std::optional<std::string> known(const Expanded& value, Position at, std::string_view what);
  Expanded unknown() const { return Expanded::secret(kUnknown); }

  const Document& document_;
  const Context* context_;
  Reading& reading_;
  std::set<std::string, std::less<>> broken_;  // where the reading found faults, and what is above
  Node metadata_;
  Plan plan_;
  PlannedContainer made_;  // the one that is being planned
  std::string directory_;
  std::function<std::optional<std::string>(const std::string&)> read_file_;
  std::map<std::string, PlannedResource> resolved_;
  std::set<std::string> refused_;                                // resources that have a fault already
  std::set<std::string> routed_;                                 // names of ports to which a route leads
  std::map<std::string, std::pair<std::string, bool>> targets_;  // normal path -> as written, is a file
  std::map<std::string, RequiredName> required_;
  std::map<std::pair<std::string, std::string>, std::string> routes_;  // host and path -> resource
  bool lines_ = false;                                                 // the text has lines worth naming
  std::size_t size_ = 0;                                               // of all that was expanded
};

}  // namespace tow::score
