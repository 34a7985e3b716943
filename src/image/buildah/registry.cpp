// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/registry.hpp"

#include "base/error.hpp"

namespace tow::image::buildah {
namespace {

bool says_absent(const std::string& text) {
  for (const char* sign :
       {"manifest unknown", "name unknown", "not found", "unauthorized",
        "requested access to the resource is denied", "authentication required", "StatusCode: 404"})
    if (text.contains(sign)) return true;
  return false;
}

/// What the network said, without the addresses around it: "no such host", "connection refused".
std::string reason(const std::string& said) {
  const auto last = said.rfind(": ");
  return last == std::string::npos ? said : said.substr(last + 2);
}

void check(const Outcome& outcome, const std::string& reference) {
  if (outcome.ok()) return;
  const auto registry = reference.substr(0, reference.find('/'));
  const auto said = last_message(outcome.err);
  if (outcome.timed_out)
    throw fail(Code::Unavailable,
               "the registry {} did not answer in time; is there a way to it from this machine?", registry);
  if (says_absent(said))
    throw fail(Code::NotFound, "the registry {} does not give {}: {}", registry, reference, said);
  if (said.contains("no space left")) throw fail(Code::Exhausted, "the disk is full: {}", said);
  for (const char* sign : {"no such host", "dial tcp", "i/o timeout", "connection refused", "TLS handshake"})
    if (said.contains(sign))
      throw fail(
          Code::Unavailable,
          "{} is not on this machine, and its registry {} is out of reach ({}); start from towpath/base:12, "
          "/node, /python, /build or /static, which are made here, name a registry that this machine "
          "reaches, or start the server with https_proxy",
          reference, registry, reason(said));
  throw fail(Code::Unavailable, "{} cannot be fetched from {}: {}", reference, registry, said);
}

}  // namespace

Task<> fetch(const Workshop& workshop, std::string reference, ProgressSink progress) {
  if (reference.starts_with("localhost/"))
    throw fail(Code::NotFound, "there is no image {} on this machine", reference);
  if (progress) progress("fetching " + reference);
  // The manifest first: whether the registry answers at all shows within its own, short deadline.
  const auto looked = co_await run(look_up_command(workshop.settings(), workshop.layout(), reference));
  check(looked, reference);
  const auto fetched = co_await run(fetch_command(workshop.settings(), workshop.layout(), reference));
  check(fetched, reference);
}

}  // namespace tow::image::buildah
