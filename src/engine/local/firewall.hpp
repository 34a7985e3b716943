// SPDX-License-Identifier: Apache-2.0
#pragma once
// Applies text of ruleset.hpp through libnftables, which takes about a millisecond where a run of `nft`
// takes 11.

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/node.hpp"
#include "engine/local/claims.hpp"

struct nft_ctx;

namespace tow::engine::local {

/// Works in the network namespace of the thread that makes it. Thread-safe; calls block shortly.
class Firewall {
 public:
  Firewall();
  ~Firewall();

  /// One transaction: all of it or nothing. Throws Error{Internal} with what nftables said.
  void apply(const std::string& commands);
  /// "ip filter FORWARD": chains of other tables that drop forwarded packets unless told otherwise.
  std::vector<std::string> foreign_drops(const std::string& own_table);
  /// What engines say of themselves, this one's own table included.
  std::vector<Claim> claims();

 private:
  std::string run(const std::string& commands);
  Node list(const std::string& what);
  std::mutex mutex_;
  nft_ctx* context_;
};

}  // namespace tow::engine::local
