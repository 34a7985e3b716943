// SPDX-License-Identifier: Apache-2.0
// git's plumbing, on repositories as people and plumbers make them.
#include "source/bench_test.hpp"

namespace tow::source {
namespace {

class Plumbing : public GitServer {
 protected:
  Plumbing() {
    write(work / "web" / "score.yaml", "metadata: {}\n");
    write(work / "web" / "with space.txt", "two words");
    write(work / "shared" / "it's.txt", "one");
    write(work / "big.bin", std::string((1 << 20) + 1, 'x'));
    std::filesystem::create_symlink("/etc/passwd", work / "outside");
    std::filesystem::create_symlink("web", work / "also-web");
    id = commit(work, "Second");
  }
  std::filesystem::path work = repository();
  std::string id;
};

TEST_F(Plumbing, ReadsPlainFilesAlone) {
  const struct {
    const char* reason;
    std::string path;
    std::optional<std::string> content;
  } rows[] = {
      {"a file", "web/score.yaml", "metadata: {}\n"},
      {"a name with a space", "web/with space.txt", "two words"},
      {"a name with a quote", "shared/it's.txt", "one"},
      {"no such file", "web/none", {}},
      {"a folder", "web", {}},
      {"a link out of the repository", "outside", {}},
      {"through a link to a folder", "also-web/score.yaml", {}},
      {"above the repository", "../work/index.html", {}},
      {"a path from the root", "/etc/passwd", {}},
      {"git's own folder", ".git/config", {}},
      {"nothing", "", {}},
      {"a pattern", "web/*.yaml", {}},
      {"git's magic", ":(glob)**/score.yaml", {}},
      {"what looks like an option", "--help", {}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    EXPECT_EQ(run_blocking(Git{work / ".git"}.read(id, row.path)), row.content);
  }
  try {
    run_blocking(Git{work / ".git"}.read(id, "big.bin"));
    ADD_FAILURE() << "a file over the limit was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::Exhausted) << error.message();
  }
}

TEST_F(Plumbing, ACommitIsAnIdAndNothingElse) {
  for (const std::string commit : {"HEAD", "main", "--output=/tmp/x", "", "0123"}) {
    SCOPED_TRACE(commit);
    EXPECT_THROW(run_blocking(Git{work / ".git"}.read(commit, "index.html")), Error);
    EXPECT_THROW(run_blocking(Git{work / ".git"}.tree_id(commit, "")), Error);
    EXPECT_THROW(run_blocking(Git{work / ".git"}.files(commit)), Error);
  }
}

TEST_F(Plumbing, TreesAreEqualWhereTheirContentIs) {
  const Git repository{work / ".git"};
  const auto tree = [&](const std::string& commit, const std::string& path) {
    return run_blocking(repository.tree_id(commit, path));
  };
  std::filesystem::rename(work / "shared", work / "common");
  const auto moved = commit(work, "Moved");
  EXPECT_EQ(tree(id, "web"), tree(moved, "web")) << "untouched";
  EXPECT_NE(tree(id, ""), tree(moved, "")) << "the whole has changed";
  EXPECT_EQ(tree(id, "shared"), tree(moved, "common")) << "a rename changes no content";
  EXPECT_FALSE(tree(moved, "shared"));
  EXPECT_FALSE(tree(id, "../work"));
  EXPECT_EQ(run_blocking(repository.changed(id, moved)),
            (std::vector<std::string>{"common/it's.txt", "shared/it's.txt"}));
}

TEST_F(Plumbing, ACheckoutIsTheCommitWithItsLinksAsLinks) {
  const auto folder = root / "out";
  std::filesystem::create_directories(folder);
  run_blocking(Git{work / ".git"}.checkout(id, folder));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "outside")) << "and nobody followed it";
  EXPECT_TRUE(std::filesystem::exists(folder / "web" / "with space.txt"));
  EXPECT_FALSE(std::filesystem::exists(folder / ".git"));
  EXPECT_FALSE(std::filesystem::exists(folder.string() + ".index"));
  std::set<std::string> links;
  for (const auto& entry : run_blocking(Git{work / ".git"}.files(id)))
    if (entry.symbolic_link) links.insert(entry.path);
  EXPECT_EQ(links, (std::set<std::string>{"also-web", "outside"}));
}

}  // namespace
}  // namespace tow::source
