// SPDX-License-Identifier: Apache-2.0
#include "identity/identity.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "base/ids.hpp"

namespace tow::identity {
namespace {

constexpr std::string_view kTokenPrefix = "tow_";
constexpr std::string_view kInvitationPrefix = "towi_";
constexpr Duration kInvitationLife = std::chrono::hours{24};

// The hash finds the entity without a walk over all of them.
std::string entity_name(std::string_view hash) { return "t" + std::string{hash.substr(0, 24)}; }

Error unknown_caller(std::string_view why) {
  return fail(Code::Unauthenticated,
              "{}; sign in with `tow login`, and get an invitation by `tow admin invite` on the server", why);
}

bool equal_without_case(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) { return std::tolower(a) == b; });
}

// What is not base64 is no password: nothing.
std::string decoded(std::string_view text) {
  try {
    return base64_decode(text);
  } catch (const Error&) {
    return {};
  }
}

// The token of a request that brings one; empty without the header.
std::string presented(const http::Request& request) {
  const auto header = request.headers.get("Authorization").value_or("");
  if (header.empty()) return {};
  // The scheme's name has no case (RFC 9110, 11.1).
  const auto space = header.find(' ');
  const auto scheme = header.substr(0, space);
  auto rest = space == std::string_view::npos ? std::string_view{} : header.substr(space + 1);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  if (equal_without_case(scheme, "bearer") && !rest.empty()) return std::string{rest};
  if (equal_without_case(scheme, "basic")) {
    const auto pair = decoded(rest);
    if (const auto colon = pair.find(':'); colon != std::string::npos && colon + 1 < pair.size())
      return pair.substr(colon + 1);
  }
  throw unknown_caller("the header Authorization holds no token, as Bearer or as Basic's password");
}

}  // namespace

Task<api::Subject> Identity::authenticate(const http::Request& request) {
  const auto token = presented(request);
  if (!token.empty()) {
    const auto entity = find(token);
    if (entity.spec.once) throw unknown_caller("an invitation is no token");
    co_await note_use(entity);
    co_return api::Subject{.name = entity.spec.subject, .administrator = true};
  }
  if (request.peer.local && (request.peer.uid == 0 || request.peer.uid == getuid()))
    co_return api::Subject{.name = "root", .administrator = true};
  throw unknown_caller("no token was sent");
}

void Identity::authorize(const api::Subject& subject, api::Permission, const Key&) const {
  if (subject.administrator) return;
  throw fail(Code::Denied, "{} may not do this", subject.name.empty() ? "nobody" : subject.name);
}

Entity<Token> Identity::find(std::string_view token, std::string_view what) const {
  const auto hash = sha256_hex(token);
  const auto record = settings_.store.snapshot()->get(key<Token>({}, entity_name(hash)));
  if (!record || record->deleted) throw unknown_caller(fmt::format("this {} is not known", what));
  auto entity = decode<Token>(record);
  if (!equal_constant_time(entity.spec.hash, hash))
    throw unknown_caller(fmt::format("this {} is not known", what));
  if (entity.spec.expires && *entity.spec.expires <= settings_.clock.now())
    throw unknown_caller(fmt::format("this {} expired at {}", what, to_string(*entity.spec.expires)));
  return entity;
}

// To the minute, so that a busy token does not write with every call.
Task<> Identity::note_use(Entity<Token> token) {
  const auto now = settings_.clock.now();
  if (token.status.last_used && now - *token.status.last_used < std::chrono::minutes{1}) co_return;
  token.status.last_used = now;
  store::Transaction transaction;
  transaction.put_status(token.key(), encode_status<Token>(token.status), token.record->revision);
  try {
    co_await settings_.store.commit(std::move(transaction), store::Durability::Soon);
  } catch (const Error& error) {
    // Another call noted it, or the token went; neither is this call's failure.
    if (error.code() != Code::Conflict && error.code() != Code::NotFound && error.code() != Code::Exhausted)
      throw;
  }
}

Task<TokenOutput> Identity::issue(api::Call call, TokenInput input, bool once) {
  const auto token = std::string{once ? kInvitationPrefix : kTokenPrefix} + random_token();
  Token::Spec spec{.subject = input.subject.empty() ? call.subject.name : input.subject,
                   .hash = sha256_hex(token),
                   .description = input.description,
                   .expires = std::nullopt,
                   .once = once};
  if (spec.subject == "root") spec.subject = "admin";
  if (!is_name(spec.subject)) throw fail(Code::Invalid, "\"{}\" is not a name: {}", spec.subject, kNameRule);
  if (input.lifetime || once) spec.expires = call.time + input.lifetime.value_or(kInvitationLife);
  const auto name = entity_name(spec.hash);
  store::Transaction transaction;
  transaction.create(draft<Token>({}, name, spec));
  co_await settings_.store.commit(std::move(transaction));
  co_return TokenOutput{.token = token, .name = name, .subject = spec.subject};
}

Task<TokenOutput> Identity::exchange(api::Call call, ExchangeInput input) {
  if (!input.invitation.starts_with(kInvitationPrefix))
    throw fail(Code::Invalid, "this is no invitation: one begins with {}, and `tow admin invite` prints it",
               kInvitationPrefix);
  const auto invitation = find(input.invitation, "invitation");
  if (!invitation.spec.once) throw fail(Code::Invalid, "this is a token, not an invitation");
  // Its removal is the precondition: of two who come with it, one is told no.
  const auto token = std::string{kTokenPrefix} + random_token();
  const Token::Spec spec{.subject = invitation.spec.subject,
                         .hash = sha256_hex(token),
                         .description = "signed in by invitation",
                         .expires = std::nullopt,
                         .once = false};
  const auto name = entity_name(spec.hash);
  store::Transaction transaction;
  transaction.erase(invitation.key(), invitation.record->revision);
  transaction.create(draft<Token>({}, name, spec));
  try {
    co_await settings_.store.commit(std::move(transaction));
  } catch (const Error& error) {
    if (error.code() == Code::Conflict || error.code() == Code::NotFound)
      throw unknown_caller("this invitation was used");
    throw;
  }
  co_return TokenOutput{.token = token, .name = name, .subject = spec.subject};
}

void Identity::add_operations(api::Api& api) {
  using api::Operation, api::Permission, api::Repeat, api::Target;
  api.add(Operation<TokenInput, TokenOutput>{.name = "tokens.create",
                                             .target = Target::Collection,
                                             .help = "Make a token; it is shown once.",
                                             .permission = Permission::Platform,
                                             .run = [this](api::Call call, TokenInput input) {
                                               return issue(std::move(call), std::move(input), false);
                                             }});
  api.add(Operation<TokenInput, TokenOutput>{
      .name = "tokens.invite",
      .target = Target::Collection,
      .help = "Make an invitation: it is exchanged for a token, once, within a day.",
      .permission = Permission::Platform,
      .run = [this](api::Call call, TokenInput input) {
        return issue(std::move(call), std::move(input), true);
      }});
  api.add(Operation<ExchangeInput, TokenOutput>{.name = "tokens.exchange",
                                                .target = Target::Collection,
                                                .help = "Turn an invitation into a token.",
                                                .permission = Permission::None,
                                                .run = [this](api::Call call, ExchangeInput input) {
                                                  return exchange(std::move(call), std::move(input));
                                                }});
}

}  // namespace tow::identity
