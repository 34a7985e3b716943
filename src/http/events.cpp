// SPDX-License-Identifier: Apache-2.0
// Reads an event stream as the HTML standard describes it (9.2.6).
#include "base/error.hpp"
#include "http/client.hpp"

namespace tow::http {

namespace {
constexpr std::size_t kEventLimit = 16 << 20;
}

// The next whole line in the buffer.
std::optional<std::string_view> EventReader::line() {
  if (after_return_ && at_ < buffer_.size()) {
    if (buffer_[at_] == '\n') ++at_;
    after_return_ = false;
  }
  const auto end = buffer_.find_first_of("\r\n", std::max(at_, scanned_));
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    return {};
  }
  const auto text = std::string_view{buffer_}.substr(at_, end - at_);
  after_return_ = buffer_[end] == '\r';
  at_ = scanned_ = end + 1;
  return text;
}

// True when the line ends an event.
bool EventReader::take(std::string_view text) {
  if (!std::exchange(begun_, true) && text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (text.empty()) return true;
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    if (std::exchange(has_data_, true)) event_.data += '\n';
    event_.data += value;
  } else if (name == "event") {
    event_.event = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    event_.id = value;
  }
  return false;
}

Task<std::optional<Event>> EventReader::next() {
  for (;;) {
    while (const auto text = line()) {
      if (!take(*text)) continue;
      Event done = event_;
      event_.event.clear();
      event_.data.clear();
      if (!std::exchange(has_data_, false)) continue;
      if (done.event.empty()) done.event = "message";
      co_return done;
    }
    buffer_.erase(0, at_);
    scanned_ -= at_;
    at_ = 0;
    const auto piece = co_await reply_->read();
    if (piece.empty()) co_return std::nullopt;
    if (buffer_.size() + event_.data.size() + piece.size() > kEventLimit)
      throw fail(Code::Exhausted, "an event is larger than {} bytes", kEventLimit);
    buffer_ += piece;
  }
}

}  // namespace tow::http
