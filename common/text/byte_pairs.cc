// SPDX-License-Identifier: Apache-2.0
#include "common/text/byte_pairs.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/text/byte_alphabet.h"

namespace attnrl::text {
namespace {

using Json = nlohmann::json;
using Ids = absl::flat_hash_map<absl::string_view, int32_t>;

uint64_t PairKey(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

bool IsSet(const Json& model, const char* key) {
  const auto found = model.find(key);
  return found != model.end() && !found->is_null() && *found != Json(false) && *found != Json("");
}

// Everything of "model" that would change the ids and that we don't do.
absl::Status CheckModel(const Json& model, const std::string& where, bool every_byte) {
  if (model.value("type", Json("BPE")) != Json("BPE")) {
    return InputError(where + ".type", PrintJson(model["type"]) + " is not supported",
                      "only byte-level BPE is supported");
  }
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    if (IsSet(model, key)) {
      return InputError(absl::StrCat(where, ".", key), PrintJson(model[key]) + " is not supported",
                        "only null is supported");
    }
  }
  // These two say what happens to a byte that the vocabulary lacks.
  for (const char* key : {"unk_token", "byte_fallback"}) {
    if (!every_byte && IsSet(model, key)) {
      return InputError(
          absl::StrCat(where, ".", key),
          PrintJson(model[key]) + " is not supported with bytes missing in model.vocab",
          "only null or false is supported, unless all 256 bytes are tokens");
    }
  }
  return absl::OkStatus();
}

struct Symbol {
  int32_t id;
  int32_t previous;  // index of the neighbours, -1 at the ends
  int32_t next;
};

struct Candidate {
  int32_t rank;
  int32_t left;    // index of the left symbol
  int32_t merged;  // id that the pair would become
  int32_t left_id;
  int32_t right_id;  // what was there when the candidate was made: otherwise it is outdated
  bool operator>(const Candidate& other) const {
    return std::pair(rank, left) > std::pair(other.rank, other.left);
  }
};

using Candidates = std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>>;

}  // namespace

absl::StatusOr<BytePairs> BytePairs::Make(const TokenizerFile& file) {
  BytePairs out;
  Ids ids;
  ids.reserve(file.vocabulary.size());
  for (const auto& [token, id] : file.vocabulary) ids.emplace(token, id);
  bool every_byte = true;
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto found = ids.find(ByteCharacter(static_cast<uint8_t>(byte)));
    out.byte_ids_[byte] = found == ids.end() ? -1 : found->second;
    every_byte = every_byte && found != ids.end();
  }
  const Json& model = file.rest["model"];
  const std::string where = file.path + ": model";
  if (!model.is_object()) return InputError(where, "is not an object", "a BPE model is needed");
  ATTNRL_RETURN_IF_ERROR(CheckModel(model, where, every_byte));

  out.merges_.reserve(file.merges.size());
  std::string merged;
  for (size_t rank = 0; rank < file.merges.size(); ++rank) {
    const auto& [left, right] = file.merges[rank];
    merged.assign(left).append(right);
    const auto left_id = ids.find(left);
    const auto right_id = ids.find(right);
    const auto merged_id = ids.find(merged);
    if (left_id == ids.end() || right_id == ids.end() || merged_id == ids.end()) {
      const std::string& missing = left_id == ids.end()    ? left
                                   : right_id == ids.end() ? right
                                                           : merged;
      return InputError(absl::StrCat(where, ".merges[", rank, "]"),
                        absl::StrCat("token \"", missing, "\" is not in model.vocab"),
                        "both sides and the result must be tokens");
    }
    // A pair that is listed twice keeps its last rank, as in the library that reads these files.
    out.merges_[PairKey(left_id->second, right_id->second)] = {static_cast<int32_t>(rank),
                                                               merged_id->second};
  }
  if (IsSet(model, "ignore_merges")) {
    for (const auto& [token, id] : file.vocabulary) {
      if (auto bytes = AlphabetBytes(token)) out.whole_pieces_.emplace(*std::move(bytes), id);
    }
  }
  return out;
}

const BytePairs::Merge* BytePairs::Find(int32_t left, int32_t right) const {
  const auto found = merges_.find(PairKey(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BytePairs::Encode(std::string_view piece, std::vector<int32_t>* ids) const {
  if (const auto whole = whole_pieces_.find(absl::string_view(piece.data(), piece.size()));
      whole != whole_pieces_.end()) {
    ids->push_back(whole->second);
    return;
  }
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (const char c : piece) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    if (id < 0) continue;
    const auto at = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, at - 1, at + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;

  Candidates candidates;
  const auto offer = [&](int32_t left) {
    if (left < 0 || symbols[static_cast<size_t>(left)].next < 0) return;
    const Symbol& symbol = symbols[static_cast<size_t>(left)];
    const int32_t right_id = symbols[static_cast<size_t>(symbol.next)].id;
    if (const Merge* merge = Find(symbol.id, right_id)) {
      candidates.push({merge->rank, left, merge->id, symbol.id, right_id});
    }
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) offer(static_cast<int32_t>(i));
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[static_cast<size_t>(best.left)];
    if (left.id != best.left_id || left.next < 0) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    if (right.id != best.right_id) continue;
    left.id = best.merged;
    right.id = -1;  // gone: no candidate that starts here is valid any more
    left.next = right.next;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = best.left;
    offer(left.previous);
    offer(best.left);
  }
  for (int32_t at = 0; at >= 0; at = symbols[static_cast<size_t>(at)].next) {
    ids->push_back(symbols[static_cast<size_t>(at)].id);
  }
}

}  // namespace attnrl::text
