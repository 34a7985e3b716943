// SPDX-License-Identifier: Apache-2.0
// What it costs to look at every deployment, with an engine and a proxy that are fakes and a store in memory.
//   deploy_bench [DEPLOYMENTS]      prints: deployments that are healthy, CPU seconds of a full pass after a
//                                   restart, MiB of the process
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>

#include "deploy/bench_test.hpp"

using namespace tow;
using namespace tow::deploy;

namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_mib() {
  std::ifstream statm{"/proc/self/statm"};
  long size = 0, resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / (1 << 20);
}

constexpr int kOfAProject = 100;
constexpr const char* kScore = R"({{apiVersion: score.dev/v1b1, metadata: {{name: {}}},
  service: {{ports: {{http: {{port: 80, targetPort: 8080}}}}}}, containers: {{main: {{image: .}}}},
  resources: {{route: {{type: route, params: {{port: http}}}}}}}})";

void fill(Bench& bench, const std::string& project, int count) {
  bench.create(draft<Project>({}, project, {}));
  bench.settle();
  for (int i = 0; i < count; ++i) {
    const auto component = fmt::format("c{}", i);
    bench.create(draft<Release>(project, component + ".1",
                                {.component = component,
                                 .image = "image-1",
                                 .score = parse_yaml(fmt::format(fmt::runtime(kScore), component)),
                                 .by = "ann"}));
    auto call = bench.call("Deployment", "");
    call.target.project = project;
    bench.run(bench.deployments_->deploy(call, {.component = component,
                                                .environment = "development",
                                                .release = component + ".1",
                                                .cause = "push"}));
  }
  bench.advance(std::chrono::minutes{2});
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::stoi(argv[1]) : 12'000;
  Bench bench;
  bench.most_steps = 1'000'000'000;
  for (int made = 0; made < count; made += kOfAProject)
    fill(bench, fmt::format("p{}", made / kOfAProject), std::min(kOfAProject, count - made));
  // The store in memory keeps every earlier state there; the one on disk does not.
  bench.run(bench.store_->compact(bench.now()));
  bench.crash();
  malloc_trim(0);
  const double before = cpu_seconds();
  bench.start();
  bench.settle();
  const double pass = cpu_seconds() - before;
  const auto all = bench.list<Deployment>();
  const auto healthy =
      std::ranges::count(all, Deployment::Phase::Healthy, [](const auto& each) { return each.status.phase; });
  for (const auto& each : all)
    if (each.status.phase != Deployment::Phase::Healthy) {
      std::fprintf(stderr, "%s %s: %s\n", each.project().c_str(), each.name().c_str(),
                   each.status.message.c_str());
      break;
    }
  std::printf("%ld %.2f %.0f\n", static_cast<long>(healthy), pass, resident_mib());
}
