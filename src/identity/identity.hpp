// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who calls, and may they: tokens, invitations, and the gate. For now there is one role: whoever holds a
// token is an administrator; users, groups and roles come behind this same gate.
//
// A caller is known by a bearer token, by the same token as the password of basic authentication (git), or by
// being the server's own user (or root) on its local socket. Thread-safe.

#include <memory>

#include "api/api.hpp"
#include "base/clock.hpp"
#include "model/identity.hpp"
#include "model/operations.hpp"
#include "store/store.hpp"

namespace tow::identity {

struct Settings {
  store::Store& store;
  Clock& clock;
};

class Identity final : public api::Gate {
 public:
  explicit Identity(Settings settings) : settings_{settings} {}

  Task<api::Subject> authenticate(const http::Request& request) override;
  void authorize(const api::Subject& subject, api::Permission permission, const Key& target) const override;

  /// tokens.create, tokens.invite, tokens.exchange
  void add_operations(api::Api& api);

 private:
  Task<TokenOutput> issue(api::Call call, TokenInput input, bool once);
  Task<TokenOutput> exchange(api::Call call, ExchangeInput input);
  Entity<Token> find(std::string_view token, std::string_view what = "token") const;
  Task<> note_use(Entity<Token> token);

  Settings settings_;
};

}  // namespace tow::identity
