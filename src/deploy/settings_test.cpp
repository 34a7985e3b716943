// SPDX-License-Identifier: Apache-2.0
// Configuration and secrets, as a component comes to see them.
#include <gtest/gtest.h>

#include "deploy/bench_test.hpp"

namespace tow::deploy {
namespace {

using Phase = Deployment::Phase;
using std::chrono::seconds;

class Configured : public testing::Test {
 protected:
  void SetUp() override {
    bench.create_project();
    bench.release("web.1", "web", kWebScore);
  }
  Node set(const std::string& scope, const std::string& name, const std::string& value) {
    bench.advance(seconds{1});
    return bench.invoke("configurations.set", "",
                        Node::Map{{"scope", scope}, {"set", Node::Map{{name, value}}}});
  }
  void unset(const std::string& scope, const std::string& name) {
    bench.advance(seconds{1});
    bench.invoke("configurations.set", "", Node::Map{{"scope", scope}, {"unset", Node::List{name}}});
  }
  Node secret(const std::string& scope, const std::string& name, const std::string& value,
              bool revoke = false) {
    bench.advance(seconds{1});
    return bench.invoke("secrets.set", "",
                        Node::Map{{"scope", scope}, {"name", name}, {"value", value}, {"revoke", revoke}});
  }
  void deployed() {
    bench.deploy("web", "web.1");
    ASSERT_TRUE(bench.until_healthy()) << bench.status().message;
  }
  ConfigurationValue greeting(int revision) {
    return bench.get<Revision>(fmt::format("web.development.{}", revision))
        ->spec.configuration.at("GREETING");
  }
  std::string opened(const ConfigurationValue& value) {
    const auto open = secret_opener(*bench.store_, bench.sealer_);
    return bench.run(open(fmt::format("secret:shop/{}@{}", value.secret, value.version)));
  }
  bool until_serves(int revision) {
    return bench.until([&] { return bench.status().serving == revision; }, seconds{60});
  }

  Bench bench;
};

TEST_F(Configured, MissingNamesAreSaidAllAtOnceBeforeAnythingIsDeployed) {
  bench.release("web.2", "web", R"({apiVersion: score.dev/v1b1, metadata: {name: web},
      containers: {main: {image: ., variables: {A: "${resources.env.A}", B: "${resources.env.B}"}}},
      resources: {env: {type: environment}}})");
  const auto error = refused([&] { bench.deploy("web", "web.2"); });
  EXPECT_EQ(error.code(), Code::Invalid);
  ASSERT_EQ(error.faults().size(), 2u);
  EXPECT_EQ(error.faults()[0].path, "containers.main.variables.A");
  EXPECT_NE(error.faults()[1].message.find("\"B\" is not set for web in development"), std::string::npos);
  EXPECT_TRUE(bench.list<Deployment>().empty());
  set("project", "B", "1");
  EXPECT_EQ(bench.deployments_->missing_configuration(
                "shop", "development", "web",
                {{.name = "A", .path = "", .at = {}}, {.name = "B", .path = "", .at = {}}}),
            std::vector<std::string>{"A"});
}

TEST_F(Configured, AChangeIsANewRevisionForThoseWhoReadItAlone) {
  set("project", "GREETING", "hello");
  deployed();
  EXPECT_EQ(greeting(1).value, "hello");
  set("project", "OTHER", "x");
  bench.advance(seconds{5});
  EXPECT_EQ(bench.list<Revision>().size(), 1u) << "nobody reads it";
  set("development", "GREETING", "hi");
  ASSERT_TRUE(until_serves(2));
  EXPECT_EQ(greeting(2).from, "development");
  set("project", "GREETING", "hidden");
  bench.advance(seconds{5});
  EXPECT_EQ(bench.list<Revision>().size(), 2u) << "the nearer one goes on to win";
  unset("development", "GREETING");
  ASSERT_TRUE(until_serves(3));
  EXPECT_EQ(greeting(3).value, "hidden");
}

TEST_F(Configured, AValueThatIsTakenAwayLeavesWhatServesAndSaysSo) {
  set("project", "GREETING", "hello");
  deployed();
  unset("project", "GREETING");
  ASSERT_TRUE(bench.until_phase(Phase::Failed));
  EXPECT_NE(bench.status().message.find("\"GREETING\" is not set"), std::string::npos)
      << bench.status().message;
  EXPECT_NE(bench.status().message.find("revision 1 goes on serving"), std::string::npos);
  EXPECT_EQ(bench.answers(), 1);
  set("project", "GREETING", "hello");
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.list<Revision>().size(), 1u) << "what serves is what is wanted again";
}

TEST_F(Configured, SecretsAreReferencesEverywhereButWhereTheyAreUsed) {
  secret("development", "GREETING", "s3cret");
  deployed();
  EXPECT_EQ(greeting(1).version, 1);
  EXPECT_FALSE(greeting(1).value);
  EXPECT_EQ(opened(greeting(1)), "s3cret");
  for (const auto& record : bench.store_->snapshot()->list({}))
    if (record->key.kind != "Secret")
      EXPECT_EQ((record->spec + record->status).find("s3cret"), std::string::npos) << to_string(record->key);
  for (const auto& record : bench.run(bench.store_->query({.filter = {.kind = "Event"}})))
    EXPECT_EQ(record->spec.find("s3cret"), std::string::npos) << record->spec;
  const auto list = bench.invoke("secrets.list", "");
  EXPECT_EQ(to_json(list).find("s3cret"), std::string::npos);
  EXPECT_EQ(list.find("secrets")->list()->size(), 1u);
  const auto shown = to_json(to_document(*bench.list<Secret>().at(0).record));
  EXPECT_EQ(shown.find("s3cret"), std::string::npos) << shown;
}

TEST_F(Configured, ANewVersionOfASecretRollsOut) {
  secret("development", "GREETING", "one");
  deployed();
  secret("development", "GREETING", "two");
  ASSERT_TRUE(until_serves(2));
  EXPECT_EQ(opened(greeting(2)), "two");
  EXPECT_EQ(opened(greeting(1)), "one") << "a rollback may need it";
  const auto history = bench.invoke("deployments.history", "web.development");
  EXPECT_EQ(to_json(*history.find("revisions")->list()->at(0).find("changes")),
            R"(["secret GREETING version 2"])");
}

TEST_F(Configured, ARevokedValueIsGoneForGood) {
  secret("development", "GREETING", "leaked");
  deployed();
  secret("development", "GREETING", "fresh", true);
  ASSERT_TRUE(until_serves(2));
  EXPECT_EQ(opened(greeting(1)), "fresh");
  for (const auto& change : bench.run(bench.store_->history(bench.list<Secret>().at(0).key())))
    EXPECT_EQ(change.record->spec.find("leaked"), std::string::npos);
  bench.invoke("deployments.rollback", "web.development");
  bench.advance(seconds{10});
  EXPECT_EQ(bench.status().phase, Phase::Healthy);
  EXPECT_EQ(greeting(bench.status().serving).version, 2) << "revoked credentials stay current";
}

TEST_F(Configured, ARollbackBringsTheConfigurationBack) {
  set("development", "GREETING", "one");
  deployed();
  set("development", "GREETING", "two");
  ASSERT_TRUE(until_serves(2));
  bench.advance(seconds{1});
  bench.invoke("deployments.rollback", "web.development");
  ASSERT_TRUE(until_serves(3));
  EXPECT_EQ(greeting(3).value, "one");
  auto view = bench.invoke("deployments.configuration", "web.development");
  EXPECT_EQ(
      to_json(view),
      R"({"values":[{"name":"GREETING","value":"one","from":"revision 1","overrides":["development"]}]})");
  set("project", "OTHER", "x");
  bench.advance(seconds{5});
  EXPECT_EQ(bench.status().serving, 3) << "other names do not disturb it";
  set("development", "GREETING", "three");
  ASSERT_TRUE(until_serves(4));
  EXPECT_EQ(greeting(4).value, "three");
  bench.advance(seconds{1});
  bench.deploy("web", "web.1", "development", "push");
  bench.advance(seconds{5});
  EXPECT_EQ(bench.status().serving, 4) << "the same release with the same values";
}

TEST_F(Configured, TheViewNamesWhatIsMissingAndWhatIsHidden) {
  set("project", "GREETING", "far");
  deployed();
  secret("web.development", "TOKEN", "t");
  set("web.development", "GREETING", "near");
  EXPECT_EQ(
      to_json(bench.invoke("deployments.configuration", "web.development")),
      R"({"values":[{"name":"GREETING","value":"near","from":"web.development","overrides":["project"]},)"
      R"({"name":"TOKEN","secret":true,"from":"web.development"}]})");
  unset("web.development", "GREETING");
  unset("project", "GREETING");
  const auto view = bench.invoke("deployments.configuration", "web.development");
  EXPECT_EQ(to_json(view.find("values")->list()->at(0)), R"({"name":"GREETING","missing":true})");
}

TEST_F(Configured, WhatIsNotAllowedIsRefused) {
  EXPECT_EQ(refused([&] { set("staging", "A", "1"); }).code(), Code::NotFound);
  EXPECT_EQ(refused([&] { set("web.staging", "A", "1"); }).code(), Code::NotFound);
  EXPECT_EQ(refused([&] { set("Web.development", "A", "1"); }).code(), Code::Invalid);
  EXPECT_EQ(refused([&] { set("development", "A-B", "1"); }).code(), Code::Invalid);
  set("development", "A", "1");
  EXPECT_EQ(refused([&] { secret("development", "A", "1"); }).code(), Code::FailedPrecondition);
  secret("development", "B", "1");
  EXPECT_EQ(refused([&] { set("development", "B", "1"); }).code(), Code::FailedPrecondition);
  EXPECT_EQ(refused([&] {
              bench.invoke("secrets.remove", "", Node::Map{{"scope", "development"}, {"name", "C"}});
            }).code(),
            Code::NotFound);
}

TEST_F(Configured, ASecretThatIsRemovedCanBeSetAgain) {
  secret("development", "GREETING", "one");
  deployed();
  bench.invoke("secrets.remove", "", Node::Map{{"scope", "development"}, {"name", "GREETING"}});
  ASSERT_TRUE(bench.until_phase(Phase::Failed));
  set("development", "GREETING", "plain now");
  ASSERT_TRUE(until_serves(2));
  unset("development", "GREETING");
  secret("development", "GREETING", "again");
  ASSERT_TRUE(until_serves(3));
  EXPECT_EQ(opened(greeting(3)), "again");
}

TEST_F(Configured, TwoWhoSetAtOnceBothSucceed) {
  int done = 0;
  const auto set_one = [&](std::string name) -> Task<> {
    const Node input = Node::Map{{"scope", "project"}, {"set", Node::Map{{name, "1"}}}};
    co_await bench.api_->invoke("configurations.set", bench.call({}, ""), input);
    ++done;
  };
  for (const auto* name : {"A", "B", "C", "D"})
    boost::asio::co_spawn(bench.io, set_one(name), [](const std::exception_ptr& e) {
      if (e) std::rethrow_exception(e);
    });
  bench.settle();
  EXPECT_EQ(done, 4);
  EXPECT_EQ(bench.get<Configuration>("project")->spec.values.size(), 4u);
}

}  // namespace
}  // namespace tow::deploy
