// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every command has at hand: the options that all share, where it stands, and the server.

#include <functional>
#include <memory>
#include <string>

#include "cli/cli.hpp"
#include "cli/output.hpp"
#include "cli/workspace.hpp"
#include "client/client.hpp"
#include "model/operations.hpp"

namespace tow::cli {

/// "web", "web.production", with -e: which component, in which environment.
struct DeploymentName {
  std::string component;
  std::string environment;
  std::string text() const { return component + "." + environment; }
};

class Context {
 public:
  explicit Context(const Extras& extras) : extras{extras} {}

  const Extras& extras;
  Output output;
  // The shared options, as they were given; empty: not at all.
  std::string url_option;
  std::string project_option;
  std::string environment_option;
  /// What stood after "--" for a command that hands it on as it is.
  std::optional<std::vector<std::string>> rest;

  /// What the chosen command does; set by its callback, run after parsing. Returns the exit code.
  std::function<Task<int>()> action;

  const Workspace& workspace();
  /// -p, the repository's remote, TOWPATH_PROJECT. Error{Invalid} that says how to name one.
  std::string project();
  /// COMPONENT[.ENVIRONMENT], with what is left out taken from -e, the repository, `development`.
  DeploymentName deployment(const std::string& given);
  std::string environment() const { return environment_option.empty() ? "development" : environment_option; }
  /// --url, TOWPATH_URL, the repository's remote, where one signed in last, the machine's own socket,
  /// http://127.0.0.1:8690.
  std::string url();
  client::Client& server();
  /// Runs the chosen command. What reaches the server lives no longer than the executor that it runs on.
  Task<int> act();

  template <class Out, class In>
  Task<Out> call(std::string operation, std::string name, In input) {
    co_return co_await server().call<Out>(std::move(operation), project(), std::move(name), input);
  }
  template <class K>
  Task<std::optional<Entity<K>>> find(std::string name) {
    const auto document = co_await server().get(key<K>(project_of<K>(), std::move(name)));
    if (!document) co_return std::nullopt;
    co_return typed<K>(*document);
  }
  template <class K>
  Task<std::vector<Entity<K>>> list() {
    const auto list = co_await server().list(key<K>(project_of<K>(), {}));
    std::vector<Entity<K>> all;
    for (const auto& item : list.items) all.push_back(typed<K>(item));
    co_return all;
  }

  /// Shows what a deployment does until the generation has ended. The exit code.
  Task<int> follow(std::string deployment, std::int64_t generation);
  /// The same for what a push, or a repeated build, set in motion.
  Task<int> follow_run(std::string run);

 private:
  template <class K>
  std::string project_of() {
    return find_kind(K::kind)->in_project ? project() : std::string{};
  }
  template <class K>
  static Entity<K> typed(const Node& document) {
    auto record = std::make_shared<Record>(envelope(document));
    return {record, read_stored_part<typename K::Spec>(document, "spec"),
            read_stored_part<typename K::Status>(document, "status")};
  }
  template <class T>
  static T read_stored_part(const Node& document, std::string_view name) {
    const Node* part = document.find(name);
    return part ? read_document<T>(*part, "the server's answer", Strictness::Stored) : T{};
  }
  static Record envelope(const Node& document);

  Task<int> show_progress(std::string operation, std::string name, FollowInput input);

  std::optional<Workspace> workspace_;
  std::optional<Executor> executor_;
  std::unique_ptr<client::Client> client_;
};

}  // namespace tow::cli
