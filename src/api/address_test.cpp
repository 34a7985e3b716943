// SPDX-License-Identifier: Apache-2.0
#include "api/address.hpp"

#include <gtest/gtest.h>

namespace tow::api {
namespace {

TEST(Address, NamesEntitiesCollectionsAndOperations) {
  const struct {
    const char* reason;
    const char* path;
    const char* kind;
    const char* project;
    const char* name;
    const char* verb;
  } rows[] = {
      {"a collection of the platform", "projects", "Project", "", "", ""},
      {"an entity of the platform", "projects/shop", "Project", "", "shop", ""},
      {"a collection in a project", "projects/shop/deployments", "Deployment", "shop", "", ""},
      {"an entity in a project", "projects/shop/deployments/web.production", "Deployment", "shop",
       "web.production", ""},
      {"a collection over all projects", "deployments", "Deployment", "", "", ""},
      {"an operation on an entity", "projects/shop/deployments/web.production:rollback", "Deployment", "shop",
       "web.production", "rollback"},
      {"an operation on a collection", "projects/shop/secrets:set", "Secret", "shop", "", "set"},
      {"an operation on a collection of the platform", "tokens:exchange", "Token", "", "", "exchange"},
      {"a project may be called as a kind is", "projects/deployments/builds", "Build", "deployments", "", ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto address = parse_address(row.path);
    EXPECT_EQ(address.kind->kind, row.kind);
    EXPECT_EQ(address.key, (Key{row.kind, row.project, row.name}));
    EXPECT_EQ(address.verb, row.verb);
    if (address.verb.empty()) {
      EXPECT_EQ(path_of(*address.kind, address.key), "/api/v1/" + std::string{row.path});
    }
  }
}

TEST(Address, SaysWhatIsWrongWithTheRest) {
  const struct {
    const char* reason;
    const char* path;
    const char* said;
  } rows[] = {
      {"nothing at all", "", "nothing is at this address"},
      {"a misspelt kind gets the nearest", "deploymnets", "did you mean \"deployments\"?"},
      {"a kind like no other", "xyzzy", "\"xyzzy\" is no kind of entity"},
      {"a kind of projects without one", "deployments/web.development", "projects/PROJECT/deployments/web"},
      {"a kind of the platform in a project", "projects/shop/tokens/t1", "belong to no project"},
      {"deeper than anything", "projects/shop/deployments/web/instances", "nothing is at this address"},
      {"three parts that do not begin with a project", "a/b/c", "nothing is at this address"},
      {"an empty verb", "projects/shop/deployments/web:", "no operation is named"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    try {
      parse_address(row.path);
      ADD_FAILURE() << "taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::NotFound);
      EXPECT_NE(error.message().find(row.said), std::string::npos) << error.message();
    }
  }
}

}  // namespace
}  // namespace tow::api
