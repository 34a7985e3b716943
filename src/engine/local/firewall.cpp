// SPDX-License-Identifier: Apache-2.0
#include "engine/local/firewall.hpp"

#include <nftables/libnftables.h>

#include "base/error.hpp"
#include "base/node.hpp"

namespace tow::engine::local {
namespace {

std::string text(const Node& node, std::string_view key) {
  const Node* value = node.find(key);
  return value && value->string() ? *value->string() : std::string{};
}

}  // namespace

Firewall::Firewall() : context_{nft_ctx_new(NFT_CTX_DEFAULT)} {
  if (!context_) throw Error{Code::Internal, "libnftables cannot be opened"};
  nft_ctx_buffer_output(context_);
  nft_ctx_buffer_error(context_);
}

Firewall::~Firewall() { nft_ctx_free(context_); }

std::string Firewall::run(const std::string& commands) {
  const int result = nft_run_cmd_from_buffer(context_, commands.c_str());
  // Reading a buffer empties it: both are read, whatever happened.
  const std::string out = nft_ctx_get_output_buffer(context_);
  const std::string error = nft_ctx_get_error_buffer(context_);
  if (result != 0) throw fail(Code::Internal, "nftables refused the rules of the network: {}", error);
  return out;
}

void Firewall::apply(const std::string& commands) {
  if (commands.empty()) return;
  const std::lock_guard lock{mutex_};
  nft_ctx_output_set_flags(context_, 0);
  run(commands);
}

/// The entries of what nftables answers, each a map of one kind.
Node Firewall::list(const std::string& what) {
  const std::lock_guard lock{mutex_};
  nft_ctx_output_set_flags(context_, NFT_CTX_OUTPUT_JSON);
  const Node answer = parse_json(run("list " + what));
  const Node* entries = answer.find("nftables");
  return entries && entries->list() ? *entries : Node{Node::List{}};
}

std::vector<std::string> Firewall::foreign_drops(const std::string& own_table) {
  std::vector<std::string> found;
  const Node all = list("chains");
  for (const auto& entry : *all.list()) {
    const Node* chain = entry.find("chain");
    if (!chain || text(*chain, "hook") != "forward" || text(*chain, "policy") != "drop") continue;
    if (text(*chain, "table") == own_table && text(*chain, "family") == "inet") continue;
    found.push_back(text(*chain, "family") + " " + text(*chain, "table") + " " + text(*chain, "name"));
  }
  return found;
}

std::vector<Claim> Firewall::claims() {
  std::vector<Claim> found;
  const Node all = list("sets inet");
  for (const auto& entry : *all.list()) {
    const Node* set = entry.find("set");
    if (!set || text(*set, "name") != kClaim) continue;
    auto claim = read_claim(text(*set, "comment"));
    const Node* elements = set->find("elem");
    if (!claim || !elements || !elements->list() || elements->list()->empty()) continue;
    const Node* prefix = elements->list()->front().find("prefix");
    const Node* length = prefix ? prefix->find("len") : nullptr;
    if (!length || !length->integer()) continue;
    const auto network = parse_network(text(*prefix, "addr") + "/" + std::to_string(*length->integer()));
    if (!network) continue;
    claim->table = text(*set, "table");
    claim->network = *network;
    found.push_back(std::move(*claim));
  }
  return found;
}

}  // namespace tow::engine::local
