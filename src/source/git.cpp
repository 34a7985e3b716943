// SPDX-License-Identifier: Apache-2.0
#include "source/git.hpp"

#include <charconv>

#include "base/node.hpp"

namespace tow::source {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

bool is_object_id(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A commit reaches a command line only as the id it must be.
void expect_commit(const std::string& commit) {
  if (!is_object_id(commit)) throw fail(Code::Invalid, "\"{}\" is not the id of a commit", commit);
}

// git takes what lies outside for a mistake of ours; here it is a path at which there is nothing.
bool is_inside(std::string_view path) {
  if (path.empty() || path.starts_with('/')) return false;
  for (const auto part : split(path, '/'))
    if (part == ".." || part == ".") return false;
  return true;
}

constexpr std::size_t kLargest = 1 << 20;

}  // namespace

Command Git::command(std::vector<std::string> arguments) const {
  Command command;
  command.argv = {"git", "--git-dir=" + repository_.string()};
  command.argv.insert(command.argv.end(), std::make_move_iterator(arguments.begin()),
                      std::make_move_iterator(arguments.end()));
  command.env = {{"GIT_CONFIG_NOSYSTEM", "1"},
                 {"GIT_CONFIG_GLOBAL", "/dev/null"},
                 {"GIT_TERMINAL_PROMPT", "0"},
                 {"GIT_LITERAL_PATHSPECS", "1"}};
  command.output_limit = 32 << 20;
  return command;
}

Task<std::map<std::string, Commit>> Git::branches() const {
  // Fields end with NUL, so that no subject can pass for another field.
  const auto outcome =
      co_await run_checked(command({"for-each-ref",
                                    "--format=%(refname:lstrip=2)%00%(objectname)%00%(authorname) "
                                    "%(authoremail)%00%(subject)%00%(committerdate:unix)",
                                    "refs/heads"}));
  std::map<std::string, Commit> found;
  for (const auto line : split(outcome.out, '\n')) {
    const auto parts = split(line, '\0');
    // The hook refuses other names; one that came by another way could not be told from its likes.
    if (parts.size() != 5 || !is_utf8(parts[0])) continue;
    Commit commit{.id = std::string{parts[1]},
                  .author = std::string{parts[2]},
                  .subject = std::string{parts[3]},
                  .time = {}};
    std::int64_t seconds = 0;
    if (std::from_chars(parts[4].data(), parts[4].data() + parts[4].size(), seconds).ec == std::errc{})
      commit.time = TimePoint{std::chrono::seconds{seconds}};
    found.emplace(std::string{parts[0]}, std::move(commit));
  }
  co_return found;
}

Task<std::vector<TreeEntry>> Git::files(std::string commit, std::string folder) const {
  expect_commit(commit);
  std::vector<std::string> arguments{"ls-tree", "-r", "-z", "--full-tree", commit};
  if (!folder.empty()) {
    arguments.emplace_back("--");
    arguments.push_back(folder + "/");
  }
  const auto outcome = co_await run_checked(command(std::move(arguments)));
  std::vector<TreeEntry> entries;
  for (const auto line : split(outcome.out, '\0')) {
    const auto tab = line.find('\t');
    if (tab != std::string_view::npos)
      entries.push_back({std::string{line.substr(tab + 1)}, line.starts_with("120000")});
  }
  co_return entries;
}

Task<std::optional<std::string>> Git::read(std::string commit, std::string path) const {
  expect_commit(commit);
  if (!is_inside(path)) co_return std::nullopt;
  auto list = command({"ls-tree", "-l", "-z", "--full-tree", commit, "--", path});
  const auto found = co_await run_checked(std::move(list));
  // "100644 blob <id>     <size>\t<path>"
  const auto tab = found.out.find('\t');
  if (tab == std::string::npos || !found.out.starts_with("100")) co_return std::nullopt;
  const auto parts = split(std::string_view{found.out}.substr(0, tab), ' ');
  std::size_t size = 0;
  std::from_chars(parts.back().data(), parts.back().data() + parts.back().size(), size);
  if (size > kLargest)
    throw fail(Code::Exhausted, "{} has {} bytes; such a file may have {}", path, size, kLargest);
  auto show = command({"cat-file", "blob", std::string{parts[2]}});
  auto content = co_await run_checked(std::move(show));
  co_return std::move(content.out);
}

Task<std::vector<std::string>> Git::changed(std::string before, std::string after) const {
  expect_commit(before);
  expect_commit(after);
  const auto outcome =
      co_await run_checked(command({"diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after}));
  std::vector<std::string> paths;
  for (const auto path : split(outcome.out, '\0')) paths.emplace_back(path);
  co_return paths;
}

Task<std::optional<std::string>> Git::tree_id(std::string commit, std::string path) const {
  expect_commit(commit);
  const auto outcome = co_await run(command({"rev-parse", "--verify", "--quiet", commit + ":" + path}));
  if (!outcome.ok()) co_return std::nullopt;
  co_return outcome.out.substr(0, outcome.out.find('\n'));
}

Task<> Git::checkout(std::string commit, std::filesystem::path directory) const {
  expect_commit(commit);
  // An index of its own, so that checkouts of one repository do not meet.
  const auto index = directory.string() + ".index";
  auto fill = command({"read-tree", commit});
  fill.env["GIT_INDEX_FILE"] = index;
  co_await run_checked(std::move(fill));
  auto write = command({"--work-tree=" + directory.string(), "checkout-index", "--all", "--force",
                        "--prefix=" + directory.string() + "/"});
  write.env["GIT_INDEX_FILE"] = index;
  write.deadline = std::chrono::minutes{5};
  co_await run_checked(std::move(write));
  std::filesystem::remove(index);
}

Task<> Git::pack() const {
  // Of packs in a geometric progression of sizes each object is written anew but seldom; loose ones are all
  // taken, whether a branch reaches them or not.
  auto repack = command({"repack", "-d", "-q", "--geometric=2"});
  repack.deadline = std::chrono::minutes{30};
  co_await run_checked(std::move(repack));
}

}  // namespace tow::source
