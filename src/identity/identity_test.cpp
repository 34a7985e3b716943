// SPDX-License-Identifier: Apache-2.0
#include "identity/identity.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/ids.hpp"
#include "store/memory/memory.hpp"

namespace tow::identity {
namespace {

class NoBody final : public http::Body {
 public:
  Task<std::string> read() override { co_return std::string{}; }
  void set_limit(std::optional<std::uint64_t>) override {}
  std::optional<std::uint64_t> size() const override { return 0; }
};

class IdentityTest : public testing::Test {
 protected:
  IdentityTest() { identity.add_operations(api); }

  TokenOutput call(std::string_view operation, Node input) {
    const api::Call root{
        .subject = {.name = "root", .administrator = true}, .target = {}, .time = clock.now()};
    const auto output = run_blocking(api.invoke(operation, root, std::move(input)));
    return read_document<TokenOutput>(output, "output");
  }
  TokenOutput exchange(const std::string& invitation) {
    return call("tokens.exchange", Node::Map{{"invitation", invitation}});
  }
  /// Who it is; or the code that it was refused with.
  std::string who(const std::string& authorization, http::Peer peer = {}) {
    NoBody body;
    http::Request request{body};
    if (!authorization.empty()) request.headers.add("Authorization", authorization);
    request.peer = std::move(peer);
    try {
      return run_blocking(identity.authenticate(request)).name;
    } catch (const Error& error) {
      refusal = error.message();
      return std::string{name(error.code())};
    }
  }

  FakeClock clock;
  std::unique_ptr<store::Store> store = store::memory::open({.is_cold = &is_cold, .clock = &clock});
  Identity identity{{.store = *store, .clock = clock}};
  api::Api api{{.store = *store, .gate = identity, .clock = clock, .version = "1"}};
  std::string refusal;
};

TEST_F(IdentityTest, KnowsItsCallers) {
  const auto token = call("tokens.create", Node::Map{{"subject", "ann"}}).token;
  const auto invitation = call("tokens.invite", Node::Map{{"subject", "bob"}}).token;
  const http::Peer root{.address = "unix", .local = true, .uid = 0};
  const http::Peer self{.address = "unix", .local = true, .uid = getuid()};
  const http::Peer other{.address = "unix", .local = true, .uid = 12345};
  const http::Peer claims{.address = "127.0.0.1", .local = false, .uid = 0};
  const std::string none = "unauthenticated";
  const struct {
    const char* reason;
    std::string header;
    http::Peer peer;
    std::string who;
  } rows[] = {
      {"a bearer token", "Bearer " + token, {}, "ann"},
      {"a scheme has no case", "bearer " + token, {}, "ann"},
      {"basic, as git sends it", "Basic " + base64("tow:" + token), {}, "ann"},
      {"basic, whatever the user is called", "basic " + base64(":" + token), {}, "ann"},
      {"root on the local socket", "", root, "root"},
      {"the server's own user on the local socket", "", self, "root"},
      {"another user on the local socket", "", other, none},
      {"a user id means nothing over TCP", "", claims, none},
      {"nobody", "", {}, none},
      {"an unknown token", "Bearer tow_nonsense", {}, none},
      {"an unknown token does not fall back to root", "Bearer tow_nonsense", root, none},
      {"an invitation is no token", "Bearer " + invitation, {}, none},
      {"broken base64", "Basic %%%", {}, none},
      {"base64 of the wrong length", "Basic abc", {}, none},
      {"basic without a colon", "Basic " + base64(token), {}, none},
      {"basic without a password", "Basic " + base64("ann:"), {}, none},
      {"another scheme", "Digest " + token, {}, none},
      {"a scheme alone", "Bearer", {}, none},
      {"the hash is no token", "Bearer " + sha256_hex(token), {}, none},
  };
  for (const auto& row : rows) EXPECT_EQ(who(row.header, row.peer), row.who) << row.reason;
}

TEST_F(IdentityTest, EveryRefusalTellsTheWayInAndNothingOfTheToken) {
  clock.advance(Duration{1});
  const auto expired = call("tokens.create", Node::Map{{"lifetime", "1m"}}).token;
  clock.advance(std::chrono::minutes{1});
  for (const auto& header :
       {std::string{}, std::string{"Bearer tow_nonsense"}, "Bearer " + expired, std::string{"Basic %%%"}}) {
    EXPECT_EQ(who(header), "unauthenticated") << header;
    EXPECT_NE(refusal.find("sign in with `tow login`"), std::string::npos) << refusal;
    EXPECT_EQ(refusal.find("tow_"), std::string::npos) << refusal;
  }
}

TEST_F(IdentityTest, TokensEndAtTheirTime) {
  const auto token = call("tokens.create", Node::Map{{"subject", "ann"}, {"lifetime", "1h"}}).token;
  clock.advance(std::chrono::minutes{59});
  EXPECT_EQ(who("Bearer " + token), "ann");
  clock.advance(std::chrono::minutes{1});
  EXPECT_EQ(who("Bearer " + token), "unauthenticated");
  EXPECT_NE(refusal.find("expired at 2026-01-01T01:00:00"), std::string::npos) << refusal;
}

TEST_F(IdentityTest, ARemovedTokenOpensNothing) {
  const auto made = call("tokens.create", Node::Map{{"subject", "ann"}});
  run_blocking(store->commit(store::Transaction{}.erase(key<Token>({}, made.name))));
  EXPECT_EQ(who("Bearer " + made.token), "unauthenticated");
}

TEST_F(IdentityTest, InvitationsAreGoodOnceAndForADay) {
  const auto invitation = call("tokens.invite", Node::Map{{"subject", "bob"}}).token;
  const auto made = exchange(invitation);
  EXPECT_EQ(made.subject, "bob");
  EXPECT_EQ(who("Bearer " + made.token), "bob");
  EXPECT_THROW(exchange(invitation), Error) << "used";
  const auto late = call("tokens.invite", Node::Map{}).token;
  clock.advance(std::chrono::hours{24});
  EXPECT_THROW(exchange(late), Error) << "too late";
  EXPECT_THROW(exchange(made.token), Error) << "a token is no invitation";
}

TEST_F(IdentityTest, OfTwoWhoComeWithOneInvitationOneIsToldNo) {
  const auto invitation = call("tokens.invite", Node::Map{{"subject", "bob"}}).token;
  int in = 0, refused = 0;
  run_blocking(with_scope("two", [&](Scope& scope) -> Task<> {
    const auto come = [&]() -> Task<> {
      const api::Call anonymous{.subject = {}, .target = {}, .time = clock.now()};
      try {
        co_await api.invoke("tokens.exchange", anonymous, Node::Map{{"invitation", invitation}});
        ++in;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::Unauthenticated) << error.message();
        ++refused;
      }
    };
    scope.spawn(come);
    scope.spawn(come);
    co_await scope.join();
  }));
  EXPECT_EQ(in, 1);
  EXPECT_EQ(refused, 1);
}

TEST_F(IdentityTest, KeepsHashesAlone) {
  const auto token = call("tokens.create", Node::Map{{"description", "laptop"}});
  const auto record = store->snapshot()->get(key<Token>({}, token.name));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->spec.find(token.token), std::string::npos);
  EXPECT_EQ(to_document_json(*record).find(sha256_hex(token.token)), std::string::npos) << "nor shows them";
  EXPECT_EQ(decode<Token>(record).spec.subject, "admin") << "root's tokens are an administrator's";
}

TEST_F(IdentityTest, NotesItsUseToTheMinute) {
  const auto made = call("tokens.create", Node::Map{});
  const auto revision = [&] { return store->snapshot()->get(key<Token>({}, made.name))->revision; };
  who("Bearer " + made.token);
  const auto first = revision();
  clock.advance(std::chrono::seconds{59});
  who("Bearer " + made.token);
  EXPECT_EQ(revision(), first) << "a busy token does not write with every call";
  clock.advance(std::chrono::seconds{1});
  who("Bearer " + made.token);
  EXPECT_GT(revision(), first);
}

TEST_F(IdentityTest, BadSubjectsAreRefused) {
  for (const char* subject : {"Ann", "a b", "-a", "a\nb"})
    EXPECT_THROW(call("tokens.create", Node::Map{{"subject", subject}}), Error) << subject;
}

TEST_F(IdentityTest, TheDefaultIsNo) {
  using api::Permission;
  for (const auto permission : {Permission::Read, Permission::Deploy, Permission::Configure,
                                Permission::Manage, Permission::Platform}) {
    EXPECT_THROW(identity.authorize({}, permission, {}), Error);
    EXPECT_THROW(identity.authorize({.name = "ann"}, permission, {}), Error);
    EXPECT_NO_THROW(identity.authorize({.name = "ann", .administrator = true}, permission, {}));
  }
}

}  // namespace
}  // namespace tow::identity
