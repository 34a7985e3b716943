// SPDX-License-Identifier: Apache-2.0
#include "cli/credentials.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/reading.hpp"
#include "base/writing.hpp"

namespace tow::cli {
namespace {

struct Document {
  std::string last;
  std::map<std::string, std::string> tokens;
};
constexpr auto fields(Of<Document>) {
  return std::tuple{
      field("last", &Document::last, "The server that was signed in to last."),
      field("tokens", &Document::tokens, "Token by server.", hidden),
  };
}

}  // namespace

std::filesystem::path Credentials::file() {
  if (const char* directory = std::getenv("XDG_CONFIG_HOME"); directory && *directory)
    return std::filesystem::path{directory} / "towpath" / "credentials.json";
  const char* home = std::getenv("HOME");
  return std::filesystem::path{home && *home ? home : "/root"} / ".config" / "towpath" / "credentials.json";
}

Credentials Credentials::load() {
  Credentials made;
  const auto path = file();
  struct stat about{};
  if (stat(path.c_str(), &about) != 0) return made;
  if (about.st_mode & 077)
    throw fail(Code::FailedPrecondition, "others can read {}: chmod 600 it", path.string());
  std::ifstream in{path};
  std::ostringstream text;
  text << in.rdbuf();
  auto document = read_document<Document>(parse_json(text.str()), path.string(), Strictness::Stored);
  made.tokens_ = std::move(document.tokens);
  made.last_ = std::move(document.last);
  return made;
}

std::optional<std::string> Credentials::token(const std::string& url) const {
  const auto found = tokens_.find(url);
  if (found == tokens_.end()) return {};
  return found->second;
}

void Credentials::keep(const std::string& url, const std::string& token) {
  tokens_[url] = token;
  last_ = url;
  const auto path = file();
  std::filesystem::create_directories(path.parent_path());
  const auto fresh = path.string() + ".new";
  const auto text = to_pretty_json(write(Document{.last = last_, .tokens = tokens_})) + "\n";
  const int descriptor = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) throw system_error("write " + fresh, errno);
  const auto written = ::write(descriptor, text.data(), text.size());
  const int failure = errno;
  close(descriptor);
  if (written != static_cast<ssize_t>(text.size())) throw system_error("write " + fresh, failure);
  std::filesystem::rename(fresh, path);
}

}  // namespace tow::cli
