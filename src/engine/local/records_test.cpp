// SPDX-License-Identifier: Apache-2.0
#include "engine/local/records.hpp"

#include <gtest/gtest.h>

namespace tow::engine::local {
namespace {

TEST(Records, ReadAWorkloadOfBeforeThereWereSeveralContainers) {
  const auto record = from_node<GroupRecord>(parse_json(R"({"spec": {"id": "g1", "count": 2, "workload": {
      "component": "web", "environment": "e1", "userBase": 1000000, "image": "i1", "args": ["serve"],
      "ports": [{"port": 8080}], "readOnlyRoot": true, "limits": {"memory": "64Mi"}}},
      "instances": [{"id": "g1-0", "address": "10.0.0.2"}]})"));
  const auto& workload = record.spec.workload;
  EXPECT_EQ(workload.component, "web");
  EXPECT_EQ(workload.ports.at(0).port, 8080);
  ASSERT_EQ(workload.containers.size(), 1u);
  EXPECT_EQ(workload.main().name, "main");
  EXPECT_EQ(workload.main().image, "i1");
  EXPECT_EQ(workload.main().args, std::vector<std::string>{"serve"});
  EXPECT_EQ(workload.main().limits.memory->count, 64u << 20);
  EXPECT_TRUE(workload.main().read_only_root);
}

TEST(Records, KeepEveryContainer) {
  GroupRecord record{.spec = {.id = "g1", .workload = {.component = "web", .environment = "e1"}}};
  record.spec.workload.containers = {{.image = "i1", .after = {{"prepare", Milestone::Complete}}},
                                     {.name = "prepare", .image = "i2"}};
  const auto read = from_node<GroupRecord>(parse_json(to_json(to_node(record))));
  ASSERT_EQ(read.spec.workload.containers.size(), 2u);
  EXPECT_EQ(read.spec.workload.main().after, record.spec.workload.main().after);
  EXPECT_EQ(to_json(to_node(read)), to_json(to_node(record)));
}

}  // namespace
}  // namespace tow::engine::local
