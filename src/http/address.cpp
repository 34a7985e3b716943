// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "base/error.hpp"
#include "http/server.hpp"
#include "http/text.hpp"

namespace tow::http {

Address Address::parse(std::string_view text) {
  const auto malformed = [&] {
    return fail(Code::Invalid, "\"{}\" is no address; write HOST:PORT, [IPV6]:PORT or unix:///PATH",
                printable(text));
  };
  if (text.starts_with("unix://")) {
    const auto path = text.substr(7);
    if (!path.starts_with('/') || path.size() > 107) throw malformed();
    return {.host = {}, .socket = path};
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) throw malformed();
  auto host = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    throw malformed();
  Address address{.host = std::string{host}};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (host.empty() || port.empty() || error != std::errc{} || end != port.data() + port.size())
    throw malformed();
  return address;
}

std::string Address::text() const {
  if (!socket.empty()) return "unix://" + socket.string();
  const bool bare = host.find(':') == std::string::npos;
  return bare ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

}  // namespace tow::http
