// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/hold.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "route/check.hpp"

namespace tow::route::haproxy {
namespace asio = boost::asio;
namespace {

using Stream = asio::local::stream_protocol;

constexpr std::size_t kLongestName = 128;
constexpr Duration kPatience = std::chrono::milliseconds{200};

// A request looks often at first, since an instance comes up within a fraction of a second, and seldom later,
// or when many wait: all together look at most some 20,000 times a second. Where a client leaves, HAProxy
// ends the function in its sleep (option abortonclose): a place belongs to whoever was seen there lately.
constexpr std::string_view kProgram = R"lua(-- Written by Towpath: holds requests for sites that sleep.
local sites = Map.new("@SITES@", Map._str)
local rooms = {}
local number = 0

local function milliseconds()
  local now = core.now()
  return now.sec * 1000 + now.usec // 1000
end

-- Nothing when the requests of this backend are not held now.
local function described(backend)
  local entry = sites:lookup(backend)
  if not entry then return end
  local id, limit, most = entry:match("^%d+|([^|]*)|[^|]*|(%d+)|(%d+)|asleep$")
  return id, tonumber(limit), tonumber(most)
end

-- In a task of its own, so that no request waits for whoever listens, or does not.
local function tell(room, id)
  core.register_task(function()
    local socket = core.tcp()
    socket:settimeout(1)
    local sent = socket:connect("@WAKE@") and socket:send(id .. "\n")
    socket:close()
    if not sent then room.again = milliseconds() + 50 end
  end)
end

local function count(room, now)
  local waiting = 0
  for place, seen in pairs(room.places) do
    if now - seen > 2000 then room.places[place] = nil else waiting = waiting + 1 end
  end
  return waiting
end

core.register_action("hold", {"http-req"}, function(txn)
  local backend = txn:get_var("txn.site") or ""
  local id, limit, most = described(backend)
  if not id then return txn:set_var("txn.held", "over") end
  local begun = milliseconds()
  local room = rooms[backend] or {places = {}, again = 0}
  rooms[backend] = room
  local waiting = count(room, begun)
  if waiting >= most then return txn:set_var("txn.held", "crowded") end
  number = number + 1
  local place = number
  local held
  while not held do
    local now = milliseconds()
    room.places[place] = now
    if now >= room.again then
      room.again = now + 250
      tell(room, id)
    end
    core.msleep(math.max(5, math.min(50, (now - begun) // 8), waiting // 20))
    if not described(backend) or txn.f:stopping() == 1 then held = "over"
    elseif milliseconds() - begun >= limit then held = "late" end
  end
  room.places[place] = nil
  if next(room.places) == nil then rooms[backend] = nil end
  txn:set_var("txn.held", held)
end)
)lua";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

}  // namespace

std::string hold_program(const Frame& frame) {
  const std::string directory = frame.settings.runtime_directory.string();
  // HAProxy has confined itself to "empty" by the time it connects.
  const std::string wake = frame.user.empty() ? directory + "/" + std::string{kWakeSocket} : "/wake.sock";
  std::string text = replaced(std::string{kProgram}, "@SITES@", fmt::format("{}/{}", directory, kSites));
  return replaced(std::move(text), "@WAKE@", wake);
}

Task<> hear_held(std::filesystem::path path, bool confined,
                 std::function<void(const SiteId& site)> listener) {
  const auto executor = co_await asio::this_coro::executor;
  Stream::acceptor acceptor{executor};
  std::filesystem::remove(path);
  acceptor.open();
  acceptor.bind(Stream::endpoint{path.string()});
  // Only who may enter the directory, or is confined to it, comes by it.
  if (confined && ::chmod(path.c_str(), 0666) != 0) throw system_error("chmod " + path.string(), errno);
  acceptor.listen();
  while (true) {
    boost::system::error_code failed;
    const auto peer = std::make_shared<Stream::socket>(executor);
    co_await acceptor.async_accept(*peer, asio::redirect_error(asio::use_awaitable, failed));
    if (failed == asio::error::operation_aborted) throw Error{Code::Cancelled, "cancelled"};
    asio::steady_timer limit{executor, kPatience};
    if (failed) {
      log::warning("route", "listening for held requests: {}", failed.message());
      co_await limit.async_wait(asio::use_awaitable);
      continue;
    }
    // It sends its one line at once; whoever does not would keep the others waiting.
    limit.async_wait([peer](const boost::system::error_code& error) {
      if (!error) peer->close();
    });
    std::string text;
    co_await asio::async_read_until(*peer, asio::dynamic_buffer(text, kLongestName), '\n',
                                    asio::redirect_error(asio::use_awaitable, failed));
    const SiteId site = text.substr(0, text.find('\n'));
    if (!failed && is_site_id(site)) listener(site);
  }
}

}  // namespace tow::route::haproxy
