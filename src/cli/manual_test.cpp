// SPDX-License-Identifier: Apache-2.0
#include "cli/manual.hpp"

#include "cli/bench_test.hpp"

namespace tow::cli {
namespace {

class Manual : public CommandTest {
 protected:
  /// What bash would show for the words, the last of them unfinished.
  std::string complete(const std::string& words) {
    const auto script = root / "completion.bash";
    if (!std::filesystem::exists(script)) write("completion.bash", tow({"completion", "bash"}).out);
    const auto command = "bash --norc -c 'set -u; source \"" + script.string() + "\"; COMP_WORDS=(" + words +
                         "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tow; echo \"${COMPREPLY[*]-}\"' 2>&1";
    std::string out;
    FILE* pipe = popen(command.c_str(), "r");
    for (int each; (each = fgetc(pipe)) != EOF;) out += static_cast<char>(each);
    pclose(pipe);
    while (out.ends_with('\n')) out.pop_back();
    return out;
  }
};

TEST_F(Manual, BashCompletesCommandsOptionsAndValues) {
  const struct {
    const char* reason;
    const char* words;
    const char* shown;
  } rows[] = {
      {"a command", "tow rol", "rollback rollout"},
      {"a command of a group", "tow project c", "create"},
      {"all of a group", "tow project \"\"", "create ls"},
      {"after a shared option and its value", "tow -p shop rol", "rollback rollout"},
      {"a value that is called as a command is", "tow -p project st", "status"},
      {"an option", "tow rollback --ho", "--hold"},
      {"a shared option, too", "tow rollback --pro", "--project"},
      {"a value of an option", "tow ls -o j", "json"},
      {"a kind", "tow get deploym", "deployments"},
      {"what can be destroyed", "tow destroy \"\"", "component env project"},
      {"a shell", "tow completion z", "zsh"},
      {"not a kind where the name goes", "tow get deployments depl", ""},
      {"nothing after --", "tow exec web -- ro", ""},
      {"no hidden command", "tow refe", ""},
  };
  for (const auto& row : rows) EXPECT_EQ(complete(row.words), row.shown) << row.reason;
}

TEST_F(Manual, ZshsScriptIsGood) {
  const auto script = tow({"completion", "zsh"}).out;
  EXPECT_TRUE(script.starts_with("#compdef tow\n"));
  if (std::system("command -v zsh >/dev/null") != 0) GTEST_SKIP() << "there is no zsh here to read it";
  write("_tow", script);
  EXPECT_EQ(std::system(("zsh -n " + (root / "_tow").string()).c_str()), 0);
}

TEST_F(Manual, TheReferenceNamesEveryCommandAndOption) {
  const auto text = tow({"reference"}).out;
  for (const char* each :
       {"## tow project create", "`tow rollback [COMPONENT] [REVISION]`", "--unhold", "## tow exec",
        "| `-p, --project PROJECT` |", "| `tow config [COMPONENT] \\| COMMAND` |", "## Exit codes",
        "`TOWPATH_URL`", "| `--no-wait` |"})
    EXPECT_NE(text.find(each), std::string::npos) << each;
  EXPECT_EQ(text.find("git-credential"), std::string::npos) << "hidden";
}

TEST_F(Manual, UnknownShellsAreRefused) { EXPECT_EQ(tow({"completion", "fish"}).code, 2); }

}  // namespace
}  // namespace tow::cli
