// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <compare>
#include <optional>
#include <span>

#include "common/attention/attention.h"
#include "common/attention/cuda/decode_kernels.h"
#include "common/attention/cuda/decode_plan.h"
#include "common/attention/cuda/prompts/prompt_plan.h"
#include "common/attention/flash_part.h"
#include "common/attention/paged/kernel.h"
#include "common/attention/paged/paged_kv_cache.h"
#include "common/attention/paged/plan.h"
#include "common/device/upload.h"

namespace attnrl::attention {

// How much DecodeTables has room for. Passes of one size are alike for whoever launches them: the
// same grids, the same scratch, the same places in the upload.
struct DecodeSize {
  int64_t rows = 0;
  int64_t units = 0;
  int64_t tasks = 0;
  int64_t pieces = 0;
  int64_t parts = 0;
  int64_t ends = 0;         // of steps of scored rows; 0: none is scored
  int64_t step_pieces = 0;  // for one head
  auto operator<=>(const DecodeSize&) const = default;
};

// Where keys and values of prompts are brought side by side, layer after layer, for LibTorch's
// flash attention: [keys, kv_heads, head_dim] each, of the cache's dtype and device.
struct PromptRoom {
  static constexpr int64_t kMostBytes = int64_t{128} << 20;

  at::Tensor keys;  // undefined: there is none, and prompts go through the kernels of decoding
  at::Tensor values;

  // As much as a cache of `shape` can fill, and kMostBytes at most. Throws c10::Error where there
  // is no memory for it.
  static PromptRoom For(const PagedKvShape& shape, at::ScalarType dtype, at::Device device);
  int64_t size() const { return keys.defined() ? keys.size(0) : 0; }
};

// The plans of a pass as arrays of a GPU: made once a pass among its other numbers, serve all
// layers.
//
//   device::Upload upload;
//   DecodeTables tables(plan, repeats, upload);
//   upload.Send(device);
//   tables.Receive(upload);
//
// One thread.
class DecodeTables {
 public:
  // `repeats`: query heads of a key head, at most kDecodeQueries. `scored`: rows whose attention to
  // steps is added up on the way, one of a sequence at most; their sums are the device's.
  // `prompt_keys`: the PromptRoom's, for DecodeAttention with that room.
  DecodeTables(const AttentionPlan& plan, int64_t repeats, device::Upload& upload,
               std::span<const ScoredRow> scored = {}, int64_t prompt_keys = 0);
  // With room for `rows` rows, and with sizes that many passes have in common: rows beyond the
  // plan's see nothing, and what is stored for them goes to `nowhere`.
  DecodeTables(const AttentionPlan& plan, int64_t repeats, device::Upload& upload,
               std::span<const ScoredRow> scored, int64_t rows, RowPlace nowhere);
  // After the upload was sent; it isn't needed any more then.
  void Receive(const device::Upload& upload);

  const DecodeSize& size() const { return size_; }
  // What every layer's pass has of the plans.
  template <typename T>
  PagedDecode<T> Decode() const;
  template <typename T>
  AppendRows<T> Append() const;
  template <typename T>
  GatherKeys<T> Gather() const;

  // Prompts of the pass, which go through flash attention; all else is decoded.
  struct Prompts {
    FlashSequences sequences = {};
    int64_t pieces = 0;
    int64_t keys = 0;
  };
  const std::optional<Prompts>& prompts() const { return prompts_; }
  int64_t decoded_rows() const { return decoded_rows_; }

 private:
  void Add(const AttentionPlan& plan, const DecodePlan& decode, std::span<const ScoredRow> scored,
           RowPlace nowhere, device::Upload& upload);
  void AddPrompts(const PromptPlan& plan, device::Upload& upload);

  // An array of 32-bit numbers or of structs of them, in the upload's numbers of 64 bits.
  struct Array {
    device::Upload::Part part;
    at::Tensor there;
    template <typename T>
    const T* As() const {
      return static_cast<const T*>(there.const_data_ptr());
    }
  };
  Array unit_array_, tasks_, pieces_, visible_, first_part_, part_of_, places_;
  DecodeSize size_;
  int64_t decoded_rows_ = 0;
  int64_t sequences_ = 0;  // of prompts_
  std::optional<Prompts> prompts_;
  std::optional<Array> gathered_, query_ends_, key_ends_, decoded_;  // where there are prompts
  std::optional<Array> scored_, scored_of_, ends_;                   // where a row is scored
};

// Attention over a paged cache by the kernels of a GPU: three launches a layer, the first of which
// applies rotary positions and stores keys and values; no copy and no wait, any plan. Prompts go
// through LibTorch's flash attention where there is room for their keys (prompts/README.md), which
// is two launches more a layer, and else through the kernels of decoding, which multiply without
// tensor cores.
//
// The cache must outlive it. Throws std::runtime_error where a launch is refused. Without
// gradients. Memory: a part of each row for each 512 keys or so, float32 [heads, head_dim]. One
// thread.
class DecodeAttention final : public Attention {
 public:
  // Whether the kernels know these shapes and this dtype of a cache.
  static bool Fits(const PagedKvShape& shape, int64_t heads, at::ScalarType dtype);

  // room: as large as the tables were told.
  // cosine, sine: by position, as AppendRows has them, float32 [positions, 1, head_dim] on the
  // device; undefined: queries and keys come with their positions applied.
  DecodeAttention(PagedKvCache& cache, DecodeTables tables, const DecodeKernels& kernels,
                  PromptRoom room = {}, at::Tensor cosine = {}, at::Tensor sine = {});

  bool Rotates() const override { return cosine_.defined(); }
  // As Attention says; q, k and v in the dtype of the cache.
  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

 private:
  template <typename T>
  at::Tensor Run(int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
  template <typename T>
  at::Tensor AttendToPrompts(const DecodeTables::Prompts& prompts, int64_t layer,
                             const at::Tensor& q);

  PagedKvCache& cache_;
  const DecodeTables tables_;
  const DecodeKernels& kernels_;
  const PromptRoom room_;
  const at::Tensor cosine_, sine_;
  at::Tensor part_out_, part_largest_, part_sum_, step_pieces_;  // made by the first layer
};

}  // namespace attnrl::attention
