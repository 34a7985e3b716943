// SPDX-License-Identifier: Apache-2.0
// Pushes by git itself into a server on loopback: what is stored, what is recorded, what the pusher is told.
#include "source/bench_test.hpp"

namespace tow::source {
namespace {

class Pushes : public GitServer {};

TEST_F(Pushes, ABranchIsStoredRecordedAndFollowed) {
  const auto work = repository();
  const auto first = sure({"rev-parse", "HEAD"}, work);
  const auto said = push(work);
  EXPECT_EQ(said.code, 0) << said.text;
  EXPECT_NE(said.text.find("remote: main         follows First"), std::string::npos) << said.text;
  EXPECT_EQ(runs(), (Runs{{"main", first}}));
  EXPECT_EQ(branches().at("main").commit.author, "Ann <ann@example.org>");
  EXPECT_EQ(branches().at("main").pushed_by, "ann");
  EXPECT_EQ(push(work).code, 0) << "a push of nothing new";
  EXPECT_EQ(runs().size(), 1U);
}

TEST_F(Pushes, SeveralBranchesAtOnceAreARunEach) {
  const auto work = repository();
  for (const auto* branch : {"fix/one", "zwei-\xC3\xBC", "it's-$(odd)"}) {
    sure({"checkout", "-q", "-b", branch}, work);
    commit(work, branch);
  }
  const auto said = push(work, {"--all"});
  EXPECT_EQ(said.code, 0) << said.text;
  std::set<std::string> seen;
  for (const auto& [branch, commit] : runs()) seen.insert(branch);
  EXPECT_EQ(seen, (std::set<std::string>{"fix/one", "it's-$(odd)", "main", "zwei-\xC3\xBC"}));
  EXPECT_NE(said.text.find("follows First"), std::string::npos) << said.text;
  EXPECT_NE(said.text.find("follows fix/one"), std::string::npos) << said.text;
}

TEST_F(Pushes, ATagIsStoredAndSetsNothingInMotion) {
  const auto work = repository();
  sure({"tag", "-a", "v1", "-m", "One"}, work);
  const auto said = push(work, {"v1"});
  EXPECT_EQ(said.code, 0) << said.text;
  EXPECT_NE(sure({"ls-remote", "tow"}, work).find("refs/tags/v1"), std::string::npos);
  EXPECT_TRUE(runs().empty());
  EXPECT_TRUE(branches().empty());
}

TEST_F(Pushes, ADeletedBranchIsForgottenAndTheSameOneAgainIsARunAgain) {
  const auto work = repository();
  const auto first = sure({"rev-parse", "HEAD"}, work);
  push(work);
  sure({"push", "-q", "tow", ":main"}, work);
  EXPECT_TRUE(branches().empty());
  EXPECT_EQ(runs().size(), 1U) << "an end of a branch is no run";
  const auto again = push(work);
  EXPECT_EQ(again.code, 0) << again.text;
  EXPECT_EQ(runs(), (Runs{{"main", first}, {"main", first}}));
  EXPECT_NE(again.text.find("follows First"), std::string::npos) << again.text;
}

TEST_F(Pushes, AForcedPushIsARunFromWhatWasThere) {
  const auto work = repository();
  const auto first = sure({"rev-parse", "HEAD"}, work);
  push(work);
  sure({"commit", "-q", "--amend", "-m", "Otherwise"}, work);
  const auto other = sure({"rev-parse", "HEAD"}, work);
  const auto refused = push(work);
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.text.find("rejected"), std::string::npos) << refused.text;
  EXPECT_EQ(push(work, {"--force", "main"}).code, 0);
  sure({"reset", "-q", "--hard", first}, work);
  EXPECT_EQ(push(work, {"--force", "main"}).code, 0) << "and back";
  EXPECT_EQ(runs(), (Runs{{"main", first}, {"main", other}, {"main", first}}));
}

TEST_F(Pushes, WhatIsPackedIsAllThereAndNothingIsLoose) {
  const auto work = repository();
  const auto first = sure({"rev-parse", "HEAD"}, work);
  push(work);
  sure({"commit", "-q", "--amend", "-m", "Otherwise"}, work);
  push(work, {"--force", "main"});
  const auto loose = [&] {
    const auto said = sure({"--git-dir", home().string(), "count-objects"}, work);
    return said.substr(0, said.find(' '));
  };
  EXPECT_NE(loose(), "0");
  run_blocking(source->pack());
  EXPECT_EQ(loose(), "0");
  EXPECT_EQ(sure({"--git-dir", home().string(), "show", "-s", "--format=%s", first}, work), "First")
      << "no branch reaches it, and a build may";
  commit(work, "More");
  EXPECT_EQ(push(work).code, 0);
  run_blocking(source->pack());
  EXPECT_EQ(loose(), "0");
  EXPECT_EQ(git({"clone", "-q", url("reader"), "copy"}, root).code, 0);
  EXPECT_EQ(sure({"log", "--format=%s"}, root / "copy"), "More\nOtherwise");
}

TEST_F(Pushes, AnEmptyRepositoryIsClonedAndPushedFrom) {
  const auto said = git({"clone", "-q", url(), "fresh"}, root);
  EXPECT_EQ(said.code, 0) << said.text;
  EXPECT_NE(said.text.find("empty repository"), std::string::npos) << said.text;
  const auto id = commit(root / "fresh", "First");
  EXPECT_EQ(git({"push", "origin", "HEAD"}, root / "fresh").code, 0);
  EXPECT_EQ(runs(), (Runs{{"main", id}})) << "a clone of nothing takes over the branch's name";
  EXPECT_EQ(git({"clone", "-q", url("reader"), "copy"}, root).code, 0);
  EXPECT_EQ(sure({"rev-parse", "HEAD"}, root / "copy"), id);
}

TEST_F(Pushes, OnlyWhoMayPushesAndWhatIsRefusedStoresNothing) {
  const struct {
    const char* reason;
    std::string password;
    std::string said;
  } rows[] = {
      {"no password", "", "could not read Username"},
      {"a wrong one", "guess", "Authentication failed"},
      {"one that may only look", "reader", "403"},
  };
  const auto work = repository();
  const auto before = objects();
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    sure({"remote", "set-url", "tow", url(row.password)}, work);
    const auto said = push(work);
    EXPECT_NE(said.code, 0);
    EXPECT_NE(said.text.find(row.said), std::string::npos) << said.text;
    EXPECT_EQ(objects(), before);
  }
  EXPECT_TRUE(runs().empty());
  const auto clone = git({"clone", url("guess"), "stolen"}, root);
  EXPECT_NE(clone.code, 0);
  EXPECT_FALSE(std::filesystem::exists(root / "stolen" / ".git"));
}

TEST_F(Pushes, ALimitIsSaidToThePusherAndNothingIsLeftBehind) {
  push_limit = 256 << 10;
  const auto work = repository();
  const auto before = objects();
  write(work / "film.bin", random_bytes(8 << 20));
  commit(work, "A film");
  const auto said = push(work);
  EXPECT_NE(said.code, 0);
  EXPECT_NE(said.text.find("remote: fatal: pack exceeds maximum allowed size"), std::string::npos)
      << said.text;
  EXPECT_EQ(objects(), before);
  EXPECT_TRUE(runs().empty());
  push_limit = 64 << 20;
  EXPECT_EQ(push(work).code, 0) << "a setting, not a fate";
}

TEST_F(Pushes, ThePusherMayGoAwayWhileThePushIsTakenIn) {
  const auto work = repository();
  const auto id = sure({"rev-parse", "HEAD"}, work);
  gate.holds = true;  // git asks the hook before it moves a branch
  push_and_leave(work, gate.entered);
  gate.holds = false;
  gate.released.notify();
  // git stores it or not; where it did, there is a run, though nobody is left to be told.
  wait_for("PipelineRun", [&](const Record& run) {
    return decode<PipelineRun>(std::make_shared<Record>(run)).spec.commit.id == id;
  });
  EXPECT_EQ(push(work).code, 0) << "no lock stayed behind";
  EXPECT_EQ(runs(), (Runs{{"main", id}}));
}

TEST_F(Pushes, ThePusherMayGoAwayWhileItIsToldOfTheRun) {
  const auto work = repository();
  follow_holds = true;
  push_and_leave(work, followed);
  EXPECT_EQ(runs().size(), 1U);
  follow_holds = false;
  follow_released.notify();
  const auto next = commit(work, "Second");
  EXPECT_EQ(push(work).code, 0);
  EXPECT_EQ(runs().back(), (Runs::value_type{"main", next}));
}

TEST_F(Pushes, TwoAtOnceEachEndWell) {
  const auto one = repository("one");
  const auto two = repository("two");
  sure({"branch", "-m", "other"}, two);
  for (const auto& said :
       at_once({git_command({"push", "tow", "main"}, one), git_command({"push", "tow", "other"}, two)}))
    EXPECT_EQ(said.code, 0) << said.text;
  std::set<std::string> seen;
  for (const auto& [branch, commit] : runs()) seen.insert(branch);
  EXPECT_EQ(seen, (std::set<std::string>{"main", "other"}));
  EXPECT_EQ(runs().size(), 2U);
}

TEST_F(Pushes, OfTwoToOneBranchOneIsTakenAndTheOtherIsTold) {
  push(repository("base"));
  std::vector<Command> commands;
  std::vector<std::string> ids;
  for (const auto* name : {"left", "right"}) {
    sure({"clone", "-q", "-o", "tow", url(), name}, root);
    ids.push_back(commit(root / name, name));
    commands.push_back(git_command({"push", "tow", "HEAD:main"}, root / name));
  }
  const auto said = at_once(std::move(commands));
  const std::size_t winner = said[0].code == 0 ? 0 : 1;
  EXPECT_EQ(said[winner].code, 0) << said[winner].text;
  EXPECT_NE(said[1 - winner].code, 0) << "one would have been lost";
  EXPECT_EQ(runs().size(), 2U);
  EXPECT_EQ(runs().back().second, ids[winner]);
  EXPECT_EQ(branches().at("main").commit.id, ids[winner]);
}

// Trees and commits that only a plumber makes.
TEST_F(Pushes, WhatCouldLeaveTheRepositoryIsRefusedWhole) {
  const auto work = repository();
  const auto blob = sure({"hash-object", "-w", "--stdin"}, work, "x");
  const auto tree = sure({"mktree"}, work, fmt::format("100644 blob {}\tpasswd\n", blob));
  const struct {
    const char* reason;
    std::string entry;
    std::string said;
  } rows[] = {
      {"a folder above", fmt::format("040000 tree {}\t..\n", tree), "hasDotdot"},
      {"git's own folder", fmt::format("040000 tree {}\t.git\n", tree), "hasDotgit"},
      {"a folder that is this one", fmt::format("040000 tree {}\t.\n", tree), "hasDot"},
  };
  const auto before = objects();
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto evil = sure({"mktree"}, work, row.entry);
    const auto id = sure({"commit-tree", evil, "-m", "Evil"}, work);
    const auto said = push(work, {id + ":refs/heads/main"});
    EXPECT_NE(said.code, 0);
    EXPECT_NE(said.text.find("remote: "), std::string::npos) << said.text;
    EXPECT_NE(said.text.find(row.said), std::string::npos) << said.text;
    EXPECT_EQ(objects(), before);
  }
  EXPECT_TRUE(runs().empty());
}

TEST_F(Pushes, WhatIsNotUtf8IsRefusedAsANameAndMendedInAMessage) {
  const auto work = repository();
  const auto refused = push(work, {"HEAD:refs/heads/caf\xE9"});
  EXPECT_NE(refused.code, 0) << refused.text;
  EXPECT_NE(refused.text.find("UTF-8"), std::string::npos) << refused.text;
  EXPECT_TRUE(branches().empty());
  const auto tree = sure({"rev-parse", "HEAD^{tree}"}, work);
  const auto id = sure({"-c", "i18n.commitEncoding=binary", "commit-tree", tree, "-m", "caf\xE9 \xFF"}, work);
  EXPECT_EQ(push(work, {id + ":refs/heads/main"}).code, 0);
  EXPECT_EQ(runs(), (Runs{{"main", id}}));
  EXPECT_TRUE(is_utf8(branches().at("main").commit.subject));
  // As if the name had come before the hook refused such: it is left alone, the others go on.
  sure({"--git-dir=" + home().string(), "update-ref", "refs/heads/caf\xE9", id}, work);
  const auto next = commit(work, "Second");
  EXPECT_EQ(push(work, {"--force", "main"}).code, 0);
  EXPECT_EQ(runs(), (Runs{{"main", id}, {"main", next}}));
}

TEST_F(Pushes, WhatMovedWhileNobodyLookedIsFoundAtTheStart) {
  const auto work = repository();
  push(work);
  const auto path = home();
  stop();
  const auto id = commit(work, "Unseen");
  // Straight into the repository, its hooks without a server to tell.
  const auto said = git({"push", path.string(), "main"}, work);
  EXPECT_EQ(said.code, 0) << said.text;
  std::filesystem::create_directories(root / "repositories" / "halfmade.new" / "objects");
  start();
  wait_for("Repository", [&](const Record& record) {
    const auto all = decode<Repository>(std::make_shared<Record>(record)).status.branches;
    return all.contains("main") && all.at("main").commit.id == id;
  });
  EXPECT_EQ(runs().size(), 2U);
  EXPECT_FALSE(std::filesystem::exists(root / "repositories" / "halfmade.new"))
      << "what a killed server had half made";
}

TEST_F(Pushes, ARepositoryThatIsDestroyedTakesItsCodeAlong) {
  push(repository());
  const auto path = home();
  ASSERT_TRUE(std::filesystem::exists(path));
  store::Transaction transaction;
  transaction.erase(key<Project>({}, "shop"));
  run_blocking(store->commit(std::move(transaction)));
  run_blocking([](store::Store& all) -> Task<> {
    while (!all.snapshot()->list({.kind = "Repository"}).empty()) co_await yield_now();
  }(*store));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_NE(git({"ls-remote", url()}, root).code, 0);
}

}  // namespace
}  // namespace tow::source
