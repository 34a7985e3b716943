// SPDX-License-Identifier: Apache-2.0
#include "engine/contract.hpp"
#include "engine/local/machine.hpp"

namespace tow::engine::local {
namespace {

class LocalHarness final : public contract::Harness {
 public:
  explicit LocalHarness(const char* runtime) {
    machine_.runtime_ = runtime;
    machine_.open();
  }
  ~LocalHarness() override { machine_.close(); }
  Engine& engine() override { return *machine_.engine_; }
  void restart_engine() override {
    machine_.stop_engine();
    machine_.start_engine();
  }
  void reboot() override {
    machine_.lose_everything_but_disks();
    machine_.start_engine();
  }
  void until(const std::string& what, const std::function<bool()>& holds) override {
    machine_.eventually(what, holds);
  }
  void run(Task<> task) override { run_blocking(std::move(task)); }

  Workload server() override {
    return Machine::workload({"serve", "8080"}, {{.name = "http", .port = 8080}});
  }
  Workload mute() override { return Machine::workload({"sleep"}, {{.name = "http", .port = 8080}}); }
  Workload stubborn() override { return Machine::workload({"stubborn"}); }
  Workload printer(std::vector<std::string> lines) override {
    std::vector<std::string> words{"lines"};
    words.insert(words.end(), lines.begin(), lines.end());
    return Machine::workload(words);
  }
  Workload failing(int exit_code) override { return Machine::workload({"exit", std::to_string(exit_code)}); }
  Workload greedy(Bytes limit) override {
    auto workload = Machine::workload({"allocate", "256"});
    workload.main().limits.memory = limit;
    return workload;
  }
  Workload with(Workload workload, const std::string& name, const Workload& other) override {
    workload.containers.push_back(other.main());
    workload.containers.back().name = name;
    return workload;
  }

 private:
  Machine machine_;
};

std::function<std::unique_ptr<contract::Harness>()> on(const char* runtime) {
  return [runtime]() -> std::unique_ptr<contract::Harness> {
    if (!Machine::usable()) return nullptr;
    return std::make_unique<LocalHarness>(runtime);
  };
}

}  // namespace

using contract::EngineContract;
INSTANTIATE_TEST_SUITE_P(Crun, EngineContract, testing::Values(on("crun")));
INSTANTIATE_TEST_SUITE_P(Runc, EngineContract, testing::Values(on("runc")));

}  // namespace tow::engine::local
