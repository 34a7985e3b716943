// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests: the pipeline on one thread and a clock that stands still until it is moved, with repositories
// that are maps of files, an image builder that builds nothing, and deployments that only note what they were
// asked for.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/loop_test.hpp"
#include "image/fake/fake.hpp"
#include "model/deployment.hpp"
#include "model/project.hpp"
#include "model/source.hpp"
#include "pipeline/pipeline.hpp"
#include "store/memory/memory.hpp"

namespace tow::pipeline {

using Files = std::map<std::string, std::string>;

class Bench : public testing::Test, public LoopTest {
 protected:
  Bench() {
    log::set_level(log::Level::Error);
    std::filesystem::create_directories(root);
    make_project("shop");
    start();
  }
  ~Bench() override {
    crash();
    std::filesystem::remove_all(root);
  }

  // --- the control plane ---
  void start() {
    runtime = std::make_unique<control::Runtime>(
        control::Settings{.store = *store, .clock = clock, .executor = io.get_executor()});
    pipeline = std::make_unique<Pipeline>(
        Settings{.store = *store,
                 .images = images,
                 .clock = clock,
                 .executor = io.get_executor(),
                 .work_directory = root / "work",
                 .log_directory = root / "logs",
                 .sources = sources(),
                 .deploy = [this](api::Call call,
                                  DeployInput input) { return deploy(std::move(call), std::move(input)); },
                 .missing_configuration = [this](const auto&...) { return missing; }});
    api = std::make_unique<api::Api>(
        api::Settings{.store = *store, .gate = gate, .clock = clock, .version = "test"});
    pipeline->add_operations(*api);
    for (auto& controller : pipeline->controllers()) runtime->add(std::move(controller));
    runtime->start();
    settle();
  }
  /// As by SIGKILL: wherever it is, it ends, and nothing more is written.
  void crash() {
    if (!runtime) return;
    run(runtime->stop());
    run(pipeline->stop());
    api.reset();
    pipeline.reset();
    runtime.reset();
  }
  void restart() {
    crash();
    start();
  }

  // --- entities ---
  void commit(store::Transaction transaction) {
    run([](store::Store& all, store::Transaction what) -> Task<> { co_await all.commit(std::move(what)); }(
                                                           *store, std::move(transaction)));
  }
  void make_project(const std::string& name) {
    store::Transaction transaction;
    auto project = draft<Project>({}, name, {});
    project.uid = new_uid();
    auto repository = draft<Repository>(name, name, {});
    repository.owner = project.uid;
    transaction.create(std::move(project));
    transaction.create(std::move(repository));
    commit(std::move(transaction));
  }
  void erase(const Key& key) {
    store::Transaction transaction;
    transaction.erase(key);
    commit(std::move(transaction));
    settle();
  }
  template <class K>
  std::vector<Entity<K>> list(const std::string& project = {}) {
    std::vector<Entity<K>> all;
    for (const auto& record :
         run(store->query({.filter = {.kind = std::string{K::kind}, .project = project}, .limit = 1000})))
      all.push_back(decode<K>(record));
    std::ranges::reverse(all);  // oldest first
    return all;
  }
  template <class K>
  Entity<K> get(const std::string& name, const std::string& project = "shop") {
    const auto record = run(store->find(key<K>(project, name)));
    if (!record) throw fail(Code::NotFound, "there is no {} {}", K::kind, name);
    return decode<K>(record);
  }

  // --- code ---
  /// A commit of these files, whose id it returns.
  std::string commit_of(Files files) {
    auto id = sha256_hex(fmt::format("commit {}", commits.size())).substr(0, 40);
    commits[id] = std::move(files);
    return id;
  }
  /// What source makes of a push. The run's name.
  std::string push(const std::string& id, const std::string& branch = "main",
                   const std::string& project = "shop") {
    const auto repository = get<Repository>(project, project);
    auto status = repository.status;
    PipelineRun::Spec spec{.repository = project,
                           .branch = branch,
                           .commit = {.id = id, .author = "Ann", .subject = "A change", .time = {}},
                           .before = status.branches[branch].commit.id,
                           .by = "ann",
                           .rebuild = {}};
    status.branches[branch].commit = spec.commit;
    auto record =
        draft<PipelineRun>(project, fmt::format("{}-{}-{}", project, id.substr(0, 8), ++pushes), spec);
    record.owner = repository.uid();
    const auto name = record.key.name;
    store::Transaction transaction;
    transaction.create(std::move(record));
    transaction.put_status(repository.key(), encode_status<Repository>(status));
    commit(std::move(transaction));
    return name;
  }
  std::string push_files(Files files, const std::string& branch = "main",
                         const std::string& project = "shop") {
    return push(commit_of(std::move(files)), branch, project);
  }
  PipelineRun::Status until_ended(const std::string& run, const std::string& project = "shop") {
    EXPECT_TRUE(until([&] { return ended(get<PipelineRun>(run, project).status.phase); }))
        << run << " did not end";
    return get<PipelineRun>(run, project).status;
  }
  std::vector<std::string> log_of(const std::string& build, LogInput input = {}) {
    std::vector<std::string> lines;
    run(stream("builds.logs", build, write(input),
               [&](const Node& node) { lines.push_back(*node.find("text")->string()); }));
    return lines;
  }
  std::vector<std::string> told_of(const std::string& name) {
    std::vector<std::string> lines;
    run(stream("pipelineruns.follow", name, {}, [&](const Node& node) {
      const Node* source = node.find("source");
      lines.push_back((source ? *source->string() + ": " : "") + *node.find("text")->string());
    }));
    return lines;
  }
  Node invoke(std::string_view operation, const std::string& name) {
    return run(api->invoke(operation, call(name), Node{}));
  }
  api::Call call(const std::string& name) const {
    return {
        .subject = {.name = "ann", .administrator = true}, .target = {{}, "shop", name}, .time = clock.now()};
  }

  std::filesystem::path root = std::filesystem::temp_directory_path() / ("towpath-pipeline-" + new_uid());
  std::unique_ptr<store::Store> store = store::memory::open({.is_cold = &is_cold, .clock = &clock});
  image::fake::FakeImages images{clock};
  std::map<std::string, Files> commits;
  int pushes = 0;
  std::vector<std::string> missing;  // configuration
  std::vector<DeployInput> deployed;
  Deployment::Phase outcome = Deployment::Phase::Healthy;  // of every deployment
  std::unique_ptr<control::Runtime> runtime;
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<api::Api> api;

 private:
  class OpenGate final : public api::Gate {
   public:
    Task<api::Subject> authenticate(const http::Request&) override { co_return api::Subject{"ann", true}; }
    void authorize(const api::Subject&, api::Permission, const Key&) const override {}
  };

  Sources sources() {
    return {.read = [this](std::string, std::string, std::string id,
                           std::string path) -> Task<std::optional<std::string>> {
              const auto& files = commits.at(id);
              const auto found = files.find(path);
              if (found == files.end()) co_return std::nullopt;
              co_return found->second;
            },
            .tree_id = [this](std::string, std::string, std::string id,
                              std::string path) -> Task<std::optional<std::string>> {
              std::string all;
              for (const auto& [file, content] : commits.at(id)) {
                if (path.empty() || file == path || file.starts_with(path + "/"))
                  all += file.substr(path.size()) + "\n" + content + "\n";
              }
              if (all.empty()) co_return std::nullopt;
              co_return sha256_hex(all);
            },
            .checkout = [this](std::string, std::string, std::string id,
                               std::filesystem::path directory) -> Task<> {
              for (const auto& [file, content] : commits.at(id)) {
                std::filesystem::create_directories((directory / file).parent_path());
                std::ofstream{directory / file} << content;
              }
              co_return;
            }};
  }
  // deploy's part: the deployment is what was asked for, at once.
  Task<DeployOutput> deploy(api::Call call, DeployInput input) {
    deployed.push_back(input);
    const auto name = input.component + "." + input.environment;
    const auto id = key<Deployment>(call.target.project, name);
    Deployment::Spec spec;
    spec.component = input.component;
    spec.environment = input.environment;
    spec.release = input.release;
    store::Transaction transaction;
    if (store->snapshot()->get(id))
      transaction.put_spec(id, encode_spec<Deployment>(spec));
    else
      transaction.create(draft<Deployment>(call.target.project, name, spec));
    co_await store->commit(std::move(transaction));
    const auto generation = store->snapshot()->get(id)->generation;
    Deployment::Status status;
    status.observed_generation = generation;
    status.phase = outcome;
    status.message = outcome == Deployment::Phase::Healthy ? "revision 1 serves" : "it exited with 7";
    status.latest = 1;
    store::Transaction observed;
    observed.put_status(id, encode_status<Deployment>(status));
    co_await store->commit(std::move(observed));
    co_return DeployOutput{
        .deployment = name, .generation = generation, .release = input.release, .message = {}};
  }
  Task<> stream(std::string operation, std::string name, Node input, std::function<void(const Node&)> sink) {
    for (const auto& each : api->operations())
      if (each.name == operation)
        co_await each.stream(call(name), input.is_null() ? Node{Node::Map{}} : input,
                             [&sink](const Node& node) -> Task<> {
                               sink(node);
                               co_return;
                             });
  }

  OpenGate gate;
};

inline std::string score_of(const std::string& name, const std::string& image = ".") {
  return fmt::format(
      "apiVersion: score.dev/v1b1\nmetadata: {{ name: {} }}\nservice: {{ ports: {{ http: {{ port: 8080 }} }} "
      "}}\n"
      "containers: {{ main: {{ image: {} }} }}\n",
      name, image);
}

/// Two components in one repository, with something that they share.
inline Files shop() {
  return {{"towpath.yaml",
           "apiVersion: towpath.dev/v1\ncomponents:\n  web: { path: web, watch: [web, shared] }\n  api: { "
           "path: api "
           "}\n"},
          {"web/score.yaml", score_of("web")},
          {"web/index.html", "web"},
          {"api/score.yaml", score_of("api")},
          {"api/index.html", "api"},
          {"shared/colours.css", "red"},
          {"README.md", "a shop"}};
}

}  // namespace tow::pipeline
