// SPDX-License-Identifier: Apache-2.0
#pragma once
// A persistent ordered set. A copy costs one pointer and never changes, whatever is done to the original
// afterwards; that is what a snapshot is made of.
//
// It is a B+ tree whose nodes are counted and shared between copies. An edit copies those nodes of its path
// that are shared, and changes in place those that are not: a batch of edits copies each node at most once.
// A set may be used by one thread at a time; copies of it in other threads are independent.
//
// Invariants: all leaves have the same depth; no node but the root is empty; branch.first[i] points to the
// smallest entry below branch.children[i]; node.total is the number of entries below.

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace tow::store {

/// Order::compare(a, b) -> std::strong_ordering, total. A probe is a function entry -> std::strong_ordering
/// that says how an entry stands to what is looked for; it must agree with Order.
template <class Entry, class Order>
class Tree {
 public:
  std::size_t size() const { return root_ ? root_->total : 0; }

  /// The first entry for which the probe says "equal"; null when there is none. Valid until the next edit.
  template <class Probe>
  const Entry* find(const Probe& probe) const {
    const Entry* found = nullptr;
    each(probe, [&](const Entry& entry) {
      found = &entry;
      return false;
    });
    return found;
  }

  /// How many entries are equal to the probe. Logarithmic.
  template <class Probe>
  std::size_t count(const Probe& probe) const {
    if (!root_) return 0;
    return before(*root_, [&](const Entry& e) { return probe(e) <= 0; }) -
           before(*root_, [&](const Entry& e) { return probe(e) < 0; });
  }

  /// Visits in order what is equal to the probe, as long as `visit` returns true.
  template <class Probe, class Visit>
  void each(const Probe& probe, const Visit& visit) const {
    if (root_) walk(*root_, probe, visit);
  }

  /// The first entry that is greater than the probe; null when there is none.
  template <class Probe>
  const Entry* after(const Probe& probe) const {
    const Entry* found = nullptr;
    each(
        [&](const Entry& e) {
          return probe(e) <= 0 ? std::strong_ordering::less : std::strong_ordering::equal;
        },
        [&](const Entry& e) {
          found = &e;
          return false;
        });
    return found;
  }

  /// Adds the entry, or replaces the one that is equal to it.
  void put(Entry entry) {
    if (!root_) root_ = Ref{new Leaf};
    Ref right = insert(root_, entry);
    if (!right) return;
    auto* top = new Branch;
    top->count = 2;
    top->total = root_->total + right->total;
    top->children[0] = std::move(root_);
    top->children[1] = std::move(right);
    for (int i : {0, 1}) top->first[i] = smallest(*top->children[i]);
    root_ = Ref{top};
  }

  /// Removes the one entry that is equal to the probe; false when there is none.
  template <class Probe>
  bool erase(const Probe& probe) {
    if (!find(probe)) return false;
    remove(root_, probe);
    while (root_ && !root_->leaf && root_->count == 1) {
      Ref only = branch(*root_).children[0];
      root_ = std::move(only);
    }
    if (root_->count == 0) root_ = Ref{};
    return true;
  }

 private:
  static constexpr unsigned kWidth = 32;

  struct Node {
    explicit Node(bool is_leaf) : leaf{is_leaf} {}
    std::atomic<std::uint32_t> references{1};
    std::uint16_t count = 0;
    bool leaf;
    std::size_t total = 0;
  };

  class Ref {
   public:
    Ref() = default;
    explicit Ref(Node* node) : node_{node} {}
    Ref(const Ref& other) : node_{other.node_} {
      if (node_) node_->references.fetch_add(1, std::memory_order_relaxed);
    }
    Ref(Ref&& other) noexcept : node_{std::exchange(other.node_, nullptr)} {}
    Ref& operator=(Ref other) noexcept {
      std::swap(node_, other.node_);
      return *this;
    }
    ~Ref() {
      if (!node_ || node_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      if (node_->leaf)
        delete static_cast<Leaf*>(node_);
      else
        delete static_cast<Branch*>(node_);
    }
    explicit operator bool() const { return node_ != nullptr; }
    Node& operator*() const { return *node_; }
    Node* operator->() const { return node_; }

   private:
    Node* node_ = nullptr;
  };

  struct Leaf : Node {
    Leaf() : Node{true} {}
    Entry entries[kWidth];
  };
  struct Branch : Node {
    Branch() : Node{false} {}
    Ref children[kWidth];
    const Entry* first[kWidth] = {};
  };

  static Leaf& leaf(Node& node) { return static_cast<Leaf&>(node); }
  static Branch& branch(Node& node) { return static_cast<Branch&>(node); }
  static const Entry* smallest(Node& node) {
    return node.leaf ? &leaf(node).entries[0] : branch(node).first[0];
  }

  // Makes the node ours alone. Who sees a count of one is its only owner: nobody can gain another one but
  // through a parent that is ours, too.
  static void own(Ref& at) {
    if (at->references.load(std::memory_order_acquire) == 1) return;
    Node* copy;
    if (at->leaf) {
      auto* made = new Leaf;
      for (unsigned i = 0; i < at->count; ++i) made->entries[i] = leaf(*at).entries[i];
      copy = made;
    } else {
      auto* made = new Branch;
      for (unsigned i = 0; i < at->count; ++i) {
        made->children[i] = branch(*at).children[i];
        made->first[i] = branch(*at).first[i];
      }
      copy = made;
    }
    copy->count = at->count;
    copy->total = at->total;
    at = Ref{copy};
  }

  // The number of leading items for which `is_before` holds; they are sorted by it.
  template <class IsBefore>
  static unsigned leading(unsigned count, const IsBefore& is_before) {
    unsigned low = 0;
    while (low < count) {
      const unsigned middle = (low + count) / 2;
      if (is_before(middle))
        low = middle + 1;
      else
        count = middle;
    }
    return low;
  }
  template <class IsBefore>
  static unsigned leading(Node& node, const IsBefore& is_before) {
    if (node.leaf) return leading(node.count, [&](unsigned i) { return is_before(leaf(node).entries[i]); });
    return leading(node.count, [&](unsigned i) { return is_before(*branch(node).first[i]); });
  }

  // The number of entries for which `is_before` holds.
  template <class IsBefore>
  static std::size_t before(Node& node, const IsBefore& is_before) {
    const unsigned place = leading(node, is_before);
    if (node.leaf || place == 0) return place;
    std::size_t sum = 0;
    for (unsigned i = 0; i + 1 < place; ++i) sum += branch(node).children[i]->total;
    return sum + before(*branch(node).children[place - 1], is_before);
  }

  template <class Probe, class Visit>
  static bool walk(Node& node, const Probe& probe, const Visit& visit) {
    unsigned i = leading(node, [&](const Entry& e) { return probe(e) < 0; });
    if (node.leaf) {
      for (; i < node.count && probe(leaf(node).entries[i]) == 0; ++i)
        if (!visit(leaf(node).entries[i])) return false;
      return i == node.count;
    }
    // What is equal may begin inside the child before the first one that begins with it.
    if (i > 0 && !walk(*branch(node).children[i - 1], probe, visit)) return false;
    for (; i < node.count; ++i) {
      if (probe(*branch(node).first[i]) != 0) return false;
      if (!walk(*branch(node).children[i], probe, visit)) return false;
    }
    return true;
  }

  template <class Item>
  static void open_gap(Item* items, unsigned count, unsigned place) {
    for (unsigned i = count; i > place; --i) items[i] = std::move(items[i - 1]);
  }
  template <class Item>
  static void close_gap(Item* items, unsigned count, unsigned place) {
    for (unsigned i = place; i + 1 < count; ++i) items[i] = std::move(items[i + 1]);
    items[count - 1] = Item{};
  }

  // Where a full node is split for an insertion at `place`. Ascending insertions leave full nodes behind.
  static unsigned split_point(unsigned place) { return place == kWidth ? kWidth : kWidth / 2; }

  static void insert_entry(Leaf& into, unsigned place, Entry& entry) {
    open_gap(into.entries, into.count, place);
    into.entries[place] = std::move(entry);
    ++into.count;
    ++into.total;
  }
  static void insert_child(Branch& into, unsigned place, Ref child) {
    open_gap(into.children, into.count, place);
    open_gap(into.first, into.count, place);
    into.first[place] = smallest(*child);
    into.total += child->total;
    into.children[place] = std::move(child);
    ++into.count;
  }

  // Returns the new right neighbour when the node had to be split.
  static Ref insert(Ref& at, Entry& entry) {
    own(at);
    if (at->leaf) return insert_in_leaf(leaf(*at), entry);
    Branch& node = branch(*at);
    unsigned place = leading(node, [&](const Entry& e) { return Order::compare(e, entry) <= 0; });
    if (place > 0) --place;
    const std::size_t total_before = node.children[place]->total;
    Ref right = insert(node.children[place], entry);
    node.first[place] = smallest(*node.children[place]);
    node.total += node.children[place]->total - total_before;
    if (!right) return {};
    ++place;
    if (node.count < kWidth) {
      insert_child(node, place, std::move(right));
      return {};
    }
    auto* other = new Branch;
    Ref result{other};
    const unsigned at_child = split_point(place);
    for (unsigned i = at_child; i < kWidth; ++i) {
      node.total -= node.children[i]->total;
      insert_child(*other, i - at_child, std::move(node.children[i]));
    }
    node.count = static_cast<std::uint16_t>(at_child);
    if (place > at_child || at_child == kWidth)
      insert_child(*other, place - at_child, std::move(right));
    else
      insert_child(node, place, std::move(right));
    return result;
  }

  static Ref insert_in_leaf(Leaf& node, Entry& entry) {
    const unsigned place = leading(node, [&](const Entry& e) { return Order::compare(e, entry) < 0; });
    if (place < node.count && Order::compare(node.entries[place], entry) == 0) {
      node.entries[place] = std::move(entry);
      return {};
    }
    if (node.count < kWidth) {
      insert_entry(node, place, entry);
      return {};
    }
    auto* other = new Leaf;
    Ref result{other};
    const unsigned at_entry = split_point(place);
    for (unsigned i = at_entry; i < kWidth; ++i) insert_entry(*other, i - at_entry, node.entries[i]);
    node.count = static_cast<std::uint16_t>(at_entry);
    node.total = at_entry;
    if (place > at_entry || at_entry == kWidth)
      insert_entry(*other, place - at_entry, entry);
    else
      insert_entry(node, place, entry);
    return result;
  }

  // The entry is there.
  template <class Probe>
  static void remove(Ref& at, const Probe& probe) {
    own(at);
    if (at->leaf) {
      Leaf& node = leaf(*at);
      close_gap(node.entries, node.count, leading(node, [&](const Entry& e) { return probe(e) < 0; }));
      --node.count;
      --node.total;
      return;
    }
    Branch& node = branch(*at);
    const unsigned place = leading(node, [&](const Entry& e) { return probe(e) <= 0; }) - 1;
    remove(node.children[place], probe);
    --node.total;
    if (node.children[place]->count == 0) {
      drop_child(node, place);
      return;
    }
    node.first[place] = smallest(*node.children[place]);
    if (place + 1u < node.count && join(node, place)) return;
    if (place > 0) join(node, place - 1);
  }

  static void drop_child(Branch& node, unsigned place) {
    close_gap(node.children, node.count, place);
    close_gap(node.first, node.count, place);
    --node.count;
  }

  // Moves all of the child after `place` into the one at `place`, when they fit well into one node.
  static bool join(Branch& node, unsigned place) {
    Ref& left = node.children[place];
    Ref& right = node.children[place + 1];
    if (left->count + right->count > kWidth * 3 / 4) return false;
    own(left);
    own(right);
    for (unsigned i = 0; i < right->count; ++i) {
      if (left->leaf)
        insert_entry(leaf(*left), left->count, leaf(*right).entries[i]);
      else
        insert_child(branch(*left), left->count, std::move(branch(*right).children[i]));
    }
    node.first[place] = smallest(*left);
    drop_child(node, place + 1);
    return true;
  }

  Ref root_;
};

}  // namespace tow::store
