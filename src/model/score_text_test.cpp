// SPDX-License-Identifier: Apache-2.0
#include "model/score_text.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/reading.hpp"
#include "base/writing.hpp"

namespace tow::score {
namespace {

// Every reference becomes "<its keys, parted by |>", but for the secret.
struct Expansion {
  Expanded value;
  std::vector<std::string> problems;
};
Expansion expansion(std::string_view text) {
  Expansion made;
  made.value = expand(
      text,
      [](const Reference& reference) -> std::optional<Expanded> {
        if (reference.keys.back() == "secret") return Expanded::secret("s@1");
        if (reference.keys.back() == "nothing") return std::nullopt;
        return Expanded{fmt::format("<{}>", fmt::join(reference.keys, "|"))};
      },
      [&](std::string problem) { made.problems.push_back(std::move(problem)); });
  return made;
}

struct Case {
  const char* reason;
  const char* text;
  const char* expanded;
};

TEST(Placeholder, IsExpanded) {
  const Case cases[] = {
      {"an empty text", "", ""},
      {"no placeholder", "abc", "abc"},
      {"a dollar before something else is a dollar", "$abc 5$ $(cmd)", "$abc 5$ $(cmd)"},
      {"two dollars are one", "abc $$ abc", "abc $ abc"},
      {"an escaped placeholder stays", "$${abc}", "${abc}"},
      {"a dollar, then a placeholder", "$$${abc}", "$<abc>"},
      {"two dollars, then the text", "$$$${abc}", "$${abc}"},
      {"whatever is inside an escaped one stays", "$${a b.(*&^}", "${a b.(*&^}"},
      {"keys are parted by dots", "${metadata.a.b}", "<metadata|a|b>"},
      {"an escaped dot parts nothing", "${metadata.example\\.org/owner.x}", "<metadata|example.org/owner|x>"},
      {"a backslash before something else is itself", "${a\\b.c}", "<a\\b|c>"},
      {"outside of a placeholder a backslash means nothing", "a\\.b", "a\\.b"},
      {"several in one text", "${a}:${b}@${c.d}/", "<a>:<b>@<c|d>/"},
      {"an empty one is a reference to nothing", "${}", "<>"},
      {"braces do not nest", "${a${b}}", "<a${b>}"},
      {"a lookup that finds nothing leaves nothing", "a${nothing}b", "ab"},
  };
  for (const auto& c : cases) {
    const auto made = expansion(c.text);
    EXPECT_EQ(made.value.plain(), c.expanded) << c.reason;
    EXPECT_TRUE(made.problems.empty()) << c.reason;
  }
}

TEST(Placeholder, ThatIsNotClosedIsAProblemAndNoSilentText) {
  const auto made = expansion("a ${metadata.name and more");
  ASSERT_EQ(made.problems.size(), 1u);
  EXPECT_EQ(made.problems[0],
            "${metadata.name and more is not closed by }; write $${ where the text itself is meant");
}

TEST(Placeholder, KnowsItsLine) {
  const auto parsed = parse_text("one\ntwo ${a}\n$$\n${b}");
  std::vector<std::pair<std::string, int>> places;
  for (const auto& piece : parsed.pieces)
    if (piece.reference) places.emplace_back(piece.reference->spelling, piece.reference->line);
  EXPECT_EQ(places, (std::vector<std::pair<std::string, int>>{{"${a}", 2}, {"${b}", 4}}));
}

TEST(Expanded, KeepsSecretsApart) {
  const auto made = expansion("postgres://u:${x.secret}@${host}:$$5${x.secret}").value;
  EXPECT_TRUE(made.has_secret());
  EXPECT_EQ(made.plain(), std::nullopt);
  const std::vector<Part> parts = {{"postgres://u:", ""}, {"", "s@1"}, {"@<host>:$5", ""}, {"", "s@1"}};
  EXPECT_EQ(made.parts, parts);
  EXPECT_EQ(to_json(write(made)), R"(["postgres://u:",{"secret":"s@1"},"@<host>:$5",{"secret":"s@1"}])");
  EXPECT_EQ(read_stored<Expanded>(to_json(write(made))), made);
}

TEST(Expanded, OfOnlyTextIsWrittenAsText) {
  EXPECT_EQ(to_json(write(expansion("a${b}c").value)), R"("a<b>c")");
  EXPECT_EQ(read_stored<Expanded>(R"("x")"), Expanded{"x"});
  EXPECT_EQ(read_stored<Expanded>(R"("")"), Expanded{});
}

std::string random_text(std::mt19937& random, std::string_view alphabet) {
  std::string text;
  for (auto size = random() % 40; size > 0; --size)
    text += alphabet.empty() ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
  return text;
}

TEST(Property, ATextWithoutADollarIsItself) {
  std::mt19937 random{20240601};
  for (int i = 0; i < 20'000; ++i) {
    auto text = random_text(random, {});
    std::erase(text, '$');
    const auto made = expansion(text);
    ASSERT_EQ(made.value.plain(), text);
    ASSERT_TRUE(made.problems.empty());
  }
}

TEST(Property, ATextWhoseDollarsAreDoubledBecomesTheText) {
  std::mt19937 random{7};
  for (int i = 0; i < 20'000; ++i) {
    const auto text = random_text(random, "${}.\\ab$");
    std::string doubled;
    for (const char c : text) doubled += c == '$' ? std::string{"$$"} : std::string{c};
    ASSERT_EQ(expansion(doubled).value.plain(), text) << doubled;
  }
}

TEST(Property, ExpansionOfPartsIsThePartsOfTheExpansion) {
  std::mt19937 random{11};
  for (int i = 0; i < 5'000; ++i) {
    const auto left = random_text(random, "ab.$") + ".", right = random_text(random, "ab{}");
    const auto whole = expansion(left + "${x.secret}" + right).value;
    Expanded joined = expansion(left).value;
    joined.append(Expanded::secret("s@1"));
    joined.append(expansion(right).value);
    ASSERT_EQ(whole, joined) << left << " " << right;
  }
}

}  // namespace
}  // namespace tow::score
