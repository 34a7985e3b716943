// SPDX-License-Identifier: Apache-2.0
#include "store/tree.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.hpp"

namespace tow::store {
namespace {

// A value on the heap, so that a sanitizer sees one that is used after its end or never freed.
using Value = std::shared_ptr<const int>;
struct ByValue {
  static std::strong_ordering compare(const Value& a, const Value& b) { return *a <=> *b; }
};
using Numbers = Tree<Value, ByValue>;

auto exactly(int value) {
  return [value](const Value& each) -> std::strong_ordering { return *each <=> value; };
}
// All values with the same tens.
auto tens(int value) {
  return [value](const Value& each) -> std::strong_ordering { return *each / 10 <=> value / 10; };
}
std::strong_ordering everything(const Value&) { return std::strong_ordering::equal; }

std::vector<int> values(const Numbers& tree) {
  std::vector<int> found;
  tree.each(everything, [&](const Value& each) {
    found.push_back(*each);
    return true;
  });
  return found;
}
std::vector<int> values(const std::set<int>& numbers) { return {numbers.begin(), numbers.end()}; }

TEST(Tree, DoesWhatASetDoes) {
  for (const int range : {20, 500, 20'000}) {
    SCOPED_TRACE(range);
    Random random{static_cast<std::uint64_t>(range)};
    Numbers tree;
    std::set<int> expected;
    std::vector<std::pair<Numbers, std::set<int>>> copies;
    for (int step = 0; step < 20'000; ++step) {
      const int value = static_cast<int>(random.between(0, range));
      // It grows, shrinks to nothing, and grows again.
      const bool grow = random.between(0, 9) < ((step / 5'000) % 2 ? 2 : 7);
      if (grow) {
        tree.put(std::make_shared<const int>(value));
        expected.insert(value);
      } else {
        ASSERT_EQ(tree.erase(exactly(value)), expected.erase(value) == 1);
      }
      ASSERT_EQ(tree.size(), expected.size());
      if (step % 1'000 == 0) copies.emplace_back(tree, expected);
      if (step % 100 != 0) continue;
      ASSERT_EQ(values(tree), values(expected));
      const int probe = static_cast<int>(random.between(0, range));
      ASSERT_EQ(tree.find(exactly(probe)) != nullptr, expected.contains(probe));
      const auto begin = expected.lower_bound(probe / 10 * 10),
                 end = expected.lower_bound(probe / 10 * 10 + 10);
      ASSERT_EQ(tree.count(tens(probe)), static_cast<std::size_t>(std::distance(begin, end)));
      const auto* after = tree.after(tens(probe));
      ASSERT_EQ(after ? **after : -1, end == expected.end() ? -1 : *end);
    }
    for (const auto& [copy, was] : copies) ASSERT_EQ(values(copy), values(was)) << "a copy never changes";
  }
}

TEST(Tree, TakesAscendingAndDescendingValues) {
  Numbers up, down;
  for (int i = 0; i < 5'000; ++i) {
    up.put(std::make_shared<const int>(i));
    down.put(std::make_shared<const int>(4'999 - i));
  }
  EXPECT_EQ(values(up), values(down));
  for (int i = 0; i < 5'000; ++i) {
    ASSERT_TRUE(up.erase(exactly(i)));
    ASSERT_TRUE(down.erase(exactly(4'999 - i)));
  }
  EXPECT_EQ(up.size(), 0u);
  EXPECT_EQ(down.size(), 0u);
  EXPECT_FALSE(up.find(everything));
}

TEST(Tree, ReplacesWhatIsEqual) {
  Numbers tree;
  const auto first = std::make_shared<const int>(1), second = std::make_shared<const int>(1);
  tree.put(first);
  const Numbers before = tree;
  tree.put(second);
  EXPECT_EQ(tree.size(), 1u);
  EXPECT_EQ(*tree.find(exactly(1)), second);
  EXPECT_EQ(*before.find(exactly(1)), first);
}

TEST(Tree, StopsWhenTheVisitorHasEnough) {
  Numbers tree;
  for (int i = 0; i < 1'000; ++i) tree.put(std::make_shared<const int>(i));
  int seen = 0;
  tree.each(everything, [&](const Value&) { return ++seen < 100; });
  EXPECT_EQ(seen, 100);
}

// A thread sanitizer watches: readers walk and drop copies while the writer goes on with the original.
TEST(Tree, CopiesAreIndependentInOtherThreads) {
  Numbers tree;
  for (int i = 0; i < 2'000; ++i) tree.put(std::make_shared<const int>(i));
  std::vector<std::thread> readers;
  for (int r = 0; r < 40; ++r) {
    readers.emplace_back([copy = tree, expected = 2'000 + r] {
      EXPECT_EQ(values(copy).size(), static_cast<std::size_t>(expected));
    });
    tree.put(std::make_shared<const int>(2'000 + r));
    for (int i = r; i < 2'000; i += 50) tree.put(std::make_shared<const int>(i));
  }
  for (auto& reader : readers) reader.join();
}

}  // namespace
}  // namespace tow::store
