// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/graders/accepted_answers.h"

#include <list>
#include <unordered_map>
#include <utility>

namespace attnrl::verifier {
namespace {

// Of all that is remembered: a small part of what a grader may take.
constexpr size_t kMaxBytes = size_t{64} << 20;
// A longer answer is rare, and read each time.
constexpr size_t kLongestText = 4096;

struct Entry {
  std::string text;
  AcceptedAnswer readings;
  int64_t steps = 0;  // of work that reading took
  size_t bytes = 0;
};

// What an allocation takes beside what was asked for.
constexpr size_t kAllocation = 16;

size_t HeapOf(const std::string& text) { return text.capacity() + kAllocation; }

size_t HeapOf(const Expression& node) {
  constexpr int64_t kBits = 8;
  size_t bytes = HeapOf(node.name) + static_cast<size_t>(node.number.Bits() / kBits) +
                 node.arguments.capacity() * sizeof(Expression) + kAllocation;
  for (const Expression& argument : node.arguments) bytes += HeapOf(argument);
  return bytes;
}

// What remembering an answer takes, rather more than less. Its text stands there twice.
size_t BytesOf(const Entry& entry) {
  constexpr size_t kNodes = 200;  // of the list, the map and the shared readings
  size_t bytes = sizeof(Entry) + 2 * HeapOf(entry.text) + kNodes;
  for (const Reading& reading : *entry.readings) {
    bytes += sizeof(Reading) + reading.tokens.capacity() * sizeof(Token) + kAllocation;
    for (const Token& token : reading.tokens) bytes += HeapOf(token.text);
    if (reading.expression) bytes += HeapOf(*reading.expression);
  }
  return bytes;
}

// The most recently used answers, in their order.
class Memory {
 public:
  // Null where it isn't there.
  const Entry* Find(const std::string& text, const Limits& limits) {
    if (limits.work != work_ || limits.depth != depth_ || limits.answer_bytes != answer_bytes_) {
      entries_.clear();
      places_.clear();
      bytes_ = 0;
      work_ = limits.work;
      depth_ = limits.depth;
      answer_bytes_ = limits.answer_bytes;
      return nullptr;
    }
    const auto found = places_.find(text);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &entries_.front();
  }

  void Add(Entry entry) {
    if (entry.text.size() > kLongestText) return;
    entry.bytes = BytesOf(entry);
    bytes_ += entry.bytes;
    entries_.push_front(std::move(entry));
    places_[entries_.front().text] = entries_.begin();
    while (bytes_ > kMaxBytes) {
      bytes_ -= entries_.back().bytes;
      places_.erase(entries_.back().text);
      entries_.pop_back();
    }
  }

 private:
  std::list<Entry> entries_;
  std::unordered_map<std::string, std::list<Entry>::iterator> places_;
  size_t bytes_ = 0;  // of all entries
  // What was read within other limits may be read otherwise.
  int64_t work_ = -1;
  int depth_ = -1;
  size_t answer_bytes_ = 0;
};

}  // namespace

AcceptedAnswer ReadAccepted(const std::string& accepted, const Limits& limits, Work& work) {
  thread_local Memory memory;
  if (const Entry* entry = memory.Find(accepted, limits)) {
    work.Spend(entry->steps);
    return entry->readings;
  }
  const std::string text = Unwrapped(accepted);
  Entry entry = {accepted, std::make_shared<const std::vector<Reading>>()};
  if (text.size() <= limits.answer_bytes) {
    const int64_t before = work.left();
    entry.readings = std::make_shared<const std::vector<Reading>>(
        ReadAnswer(text, Side::kWanted, limits.depth, work));
    // One that exhausts the work does so again.
    entry.steps = work.exhausted() ? limits.work + 1 : before - work.left();
  }
  AcceptedAnswer readings = entry.readings;
  memory.Add(std::move(entry));
  return readings;
}

}  // namespace attnrl::verifier
