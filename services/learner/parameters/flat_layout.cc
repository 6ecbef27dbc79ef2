// SPDX-License-Identifier: Apache-2.0
#include "services/learner/parameters/flat_layout.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace attnrl::learner {
namespace {

constexpr int64_t kAlign = 16;  // float32 elements in a cache line
constexpr std::string_view kLayers = "model.layers.";

int64_t RoundUp(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

int64_t CountOf(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

// What the names of a bucket's tensors begin with: that of the layer, or the whole name.
std::string BucketName(const std::string& name) {
  if (!name.starts_with(kLayers)) return name;
  return name.substr(0, name.find('.', kLayers.size()) + 1);
}

// -1: no layer.
int64_t LayerOf(const std::string& name) {
  if (!name.starts_with(kLayers)) return -1;
  int64_t layer = 0;
  for (size_t i = kLayers.size(); i < name.size() && name[i] >= '0' && name[i] <= '9'; ++i) {
    layer = 10 * layer + (name[i] - '0');
  }
  return layer;
}

}  // namespace

FlatLayout::FlatLayout(const std::map<std::string, std::vector<int64_t>>& shapes, Sharding sharding)
    : sharding_(sharding) {
  if (sharding.parts % sharding.ranks != 0) throw std::invalid_argument("parts of no rank");
  std::string bucket;
  for (const auto& [name, shape] : shapes) {
    if (buckets_.empty() || BucketName(name) != bucket) {
      padded_ = RoundUp(padded_, kAlign * sharding.parts);
      bucket = BucketName(name);
      buckets_.push_back({slices_.size(), slices_.size(), padded_, 0});
    }
    slices_.push_back({name, shape, padded_, CountOf(shape)});
    parameters_ += slices_.back().count;
    padded_ += RoundUp(slices_.back().count, kAlign);
    buckets_.back().last = slices_.size();
    buckets_.back().count = RoundUp(padded_ - buckets_.back().offset, kAlign * sharding.parts);
  }
  padded_ = RoundUp(padded_, kAlign * sharding.parts);
  std::stable_sort(buckets_.begin(), buckets_.end(), [this](const Bucket& a, const Bucket& b) {
    return LayerOf(slices_[a.first].name) > LayerOf(slices_[b.first].name);
  });
}

const FlatLayout::Slice* FlatLayout::Find(const std::string& name) const {
  const auto found = std::lower_bound(
      slices_.begin(), slices_.end(), name,
      [](const Slice& slice, const std::string& wanted) { return slice.name < wanted; });
  return found == slices_.end() || found->name != name ? nullptr : &*found;
}

const FlatLayout::Bucket& FlatLayout::BucketOf(const Slice& slice) const {
  return *std::find_if(buckets_.begin(), buckets_.end(), [&](const Bucket& bucket) {
    return slice.offset >= bucket.offset && slice.offset < bucket.offset + bucket.count;
  });
}

std::vector<FlatLayout::Bucket> FlatLayout::BucketsByPlace() const {
  std::vector<Bucket> buckets = buckets_;
  std::sort(buckets.begin(), buckets.end(),
            [](const Bucket& a, const Bucket& b) { return a.offset < b.offset; });
  return buckets;
}

std::vector<FlatLayout::Run> FlatLayout::Runs() const {
  std::vector<Run> runs;
  for (const Slice& slice : slices_) {
    // The own part of its bucket, and what of the slice lies in it.
    const Bucket& bucket = BucketOf(slice);
    const int64_t own = bucket.offset + sharding_.rank * OwnCount(bucket);
    const bool last = &slice == &slices_[bucket.last - 1];
    const int64_t end =
        last ? bucket.offset + bucket.count : slice.offset + RoundUp(slice.count, kAlign);
    const int64_t from = std::max(slice.offset, own);
    const int64_t to = std::min(end, own + OwnCount(bucket));
    if (from >= to) continue;
    const bool matrices = slice.shape.size() > 1;
    const int64_t offset = OwnOffset(bucket) + from - own;
    if (runs.empty() || runs.back().matrices != matrices) runs.push_back({offset, 0, matrices});
    runs.back().count = offset + to - from - runs.back().offset;
  }
  return runs;
}

}  // namespace attnrl::learner
