// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/answers.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "base/error.hpp"

namespace tow::route::haproxy {
namespace {

/// Takes one line, without its end, off the front.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::vector<std::string_view> split(std::string_view line, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t end = line.find(separator);
    out.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return out;
    line.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> out = split(line, ' ');
  std::erase(out, std::string_view{});
  return out;
}

/// Nothing for what is not a number from beginning to end, or does not fit.
template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The length of a prompt ("master> ", "1234> ") at the beginning of `text`, or 0.
std::size_t prompt_at(std::string_view text) {
  const std::size_t end = text.substr(0, 12).find("> ");
  if (end == std::string_view::npos || end == 0) return 0;
  const std::string_view who = text.substr(0, end);
  const bool pid = std::ranges::all_of(who, [](char c) { return c >= '0' && c <= '9'; });
  return pid || who == "master" ? end + 2 : 0;
}

/// The lines of a table whose first line, behind "# ", names its columns.
class Table {
 public:
  Table(std::string_view text, char separator) : text_{text}, separator_{separator} {
    while (!text_.empty()) {
      std::string_view line = take_line(text_);
      if (!line.starts_with("# ")) continue;
      const auto names = split(line.substr(2), separator_);
      for (std::size_t i = 0; i < names.size(); ++i) columns_.try_emplace(names[i], i);
      width_ = names.size();
      return;
    }
  }

  bool next() {
    while (!text_.empty()) {
      fields_ = split(take_line(text_), separator_);
      if (fields_.size() >= width_) return true;
    }
    return false;
  }

  /// Where a column stands; beyond every line when it is not there.
  std::size_t column(std::string_view name) const {
    const auto found = columns_.find(name);
    return found == columns_.end() ? std::string_view::npos : found->second;
  }
  std::string_view text(std::size_t column) const { return column < fields_.size() ? fields_[column] : ""; }
  template <class Number = std::uint64_t>
  Number count(std::size_t column) const {
    return number<Number>(text(column)).value_or(0);
  }

 private:
  std::string_view text_;
  char separator_;
  std::map<std::string_view, std::size_t> columns_;
  std::size_t width_ = 1;
  std::vector<std::string_view> fields_;
};

}  // namespace

std::vector<std::string> answers(std::string_view conversation) {
  std::vector<std::string> out;
  bool greeted = false;  // the prompt that "prompt" itself brings precedes the first answer
  std::size_t begin = 0;
  for (std::size_t line = 0; line < conversation.size();) {
    // Several prompts may stand in one line: a command that only chooses a process says nothing.
    while (const std::size_t length = prompt_at(conversation.substr(line))) {
      if (greeted) out.emplace_back(conversation.substr(begin, line - begin));
      greeted = true;
      line += length;
      begin = line;
    }
    const std::size_t end = conversation.find('\n', line);
    if (end == std::string_view::npos) break;
    line = end + 1;
  }
  for (std::string& answer : out) {
    while (answer.ends_with('\n')) answer.pop_back();
    while (answer.starts_with('\n')) answer.erase(0, 1);
  }
  return out;
}

Processes processes(std::string_view answer) {
  Processes out;
  bool old = false;
  while (!answer.empty()) {
    const std::string_view line = take_line(answer);
    if (line.starts_with("# old workers")) old = true;
    if (line.starts_with('#')) continue;
    const auto columns = words(line);
    if (columns.size() < 3) continue;
    const auto pid = number<int>(columns[0]);
    if (!pid || *pid <= 0) continue;
    if (columns[1] == "master") {
      out.master = *pid;
      if (columns.size() > 4 && columns[3] == "[failed:") {
        out.failed_reloads = number<int>(columns[4].substr(0, columns[4].find(']'))).value_or(0);
      }
    } else if (columns[1] == "worker") {
      if (old) {
        out.old.push_back(*pid);
      } else {
        out.worker = *pid;
      }
    }
  }
  if (out.master == 0) throw Error{Code::Internal, "HAProxy's list of processes names no master"};
  return out;
}

std::vector<Stat> stats(std::string_view answer) {
  std::vector<Stat> out;
  Table table{answer, ','};
  const std::pair<std::size_t, std::uint64_t Stat::*> counters[] = {
      {table.column("qcur"), &Stat::queued},
      {table.column("scur"), &Stat::sessions},
      {table.column("req_tot"), &Stat::requests},
      {table.column("bin"), &Stat::bytes_in},
      {table.column("bout"), &Stat::bytes_out},
      {table.column("econ"), &Stat::connection_errors},
      {table.column("rtime"), &Stat::average_response_ms},
      {table.column("ttime"), &Stat::average_total_ms},
  };
  const std::size_t responses[] = {table.column("hrsp_other"), table.column("hrsp_1xx"),
                                   table.column("hrsp_2xx"),   table.column("hrsp_3xx"),
                                   table.column("hrsp_4xx"),   table.column("hrsp_5xx")};
  const std::size_t backend = table.column("pxname");
  const std::size_t server = table.column("svname");
  const std::size_t retries = table.column("wretr");        // at the same server
  const std::size_t redispatches = table.column("wredis");  // at another
  while (table.next()) {
    Stat& stat = out.emplace_back();
    stat.backend = table.text(backend);
    stat.server = table.text(server);
    for (const auto& [column, counter] : counters) stat.*counter = table.count(column);
    for (std::size_t i = 0; i < 6; ++i) stat.responses[i] = table.count(responses[i]);
    stat.retries = table.count(retries) + table.count(redispatches);
  }
  return out;
}

std::vector<ServerState> servers(std::string_view answer) {
  std::vector<ServerState> out;
  Table table{answer, ' '};
  const std::size_t backend = table.column("be_name");
  const std::size_t name = table.column("srv_name");
  const std::size_t address = table.column("srv_addr");
  const std::size_t port = table.column("srv_port");
  const std::size_t weight = table.column("srv_uweight");
  const std::size_t state = table.column("srv_admin_state");
  while (table.next()) {
    ServerState& server = out.emplace_back();
    server.backend = table.text(backend);
    server.server = table.text(name);
    server.address = table.text(address);
    server.port = table.count<std::uint16_t>(port);
    server.weight = table.count<int>(weight);
    server.maintenance = (table.count<int>(state) & 1) != 0;  // SRV_ADMF_FMAINT: by command
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> entries(std::string_view answer) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!answer.empty()) {
    const std::string_view line = take_line(answer);  // "0x55d0c0de key value, perhaps with spaces"
    if (!line.starts_with("0x")) continue;
    const std::size_t key = line.find(' ');
    if (key == std::string_view::npos) continue;
    const std::size_t value = line.find(' ', key + 1);
    if (value == std::string_view::npos) continue;
    out.emplace_back(line.substr(key + 1, value - key - 1), line.substr(value + 1));
  }
  return out;
}

std::vector<std::string> backends(std::string_view answer) {
  std::vector<std::string> out;
  while (!answer.empty()) {
    const std::string_view line = take_line(answer);
    if (!line.empty() && !line.starts_with('#')) out.emplace_back(line);
  }
  return out;
}

}  // namespace tow::route::haproxy
