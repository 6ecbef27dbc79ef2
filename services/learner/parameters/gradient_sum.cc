// SPDX-License-Identifier: Apache-2.0
#include "services/learner/parameters/gradient_sum.h"

#include <ATen/ATen.h>

#include <utility>

namespace attnrl::learner {
namespace {

// Buckets on their way at once; each takes twice its size.
constexpr size_t kMostSumsInFlight = 2;

}  // namespace

GradientSum::GradientSum(const FlatLayout& layout, RankGroup* group, at::Tensor sum)
    : layout_(layout),
      group_(group),
      sum_(std::move(sum)),
      passes_(static_cast<size_t>(layout.sharding().parts / layout.sharding().ranks)) {}

at::Tensor GradientSum::Of(const FlatLayout::Slice& slice) {
  if (layout_.sharding().parts == 1) {
    return sum_.narrow(0, slice.offset, slice.count).view(slice.shape);
  }
  const FlatLayout::Bucket& bucket = layout_.BucketOf(slice);
  at::Tensor& open = open_[bucket.offset];
  if (!open.defined()) open = at::zeros({bucket.count}, sum_.options());
  return open.narrow(0, slice.offset - bucket.offset, slice.count).view(slice.shape);
}

void GradientSum::Complete(const std::string& prefix) {
  if (layout_.sharding().parts == 1) return;
  for (const FlatLayout::Bucket& bucket : layout_.buckets()) {
    if (layout_.slices()[bucket.first].name.starts_with(prefix)) Complete(bucket);
  }
}

void GradientSum::Complete(const FlatLayout::Bucket& bucket) {
  done_[bucket.offset] = true;
  at::Tensor open = std::exchange(open_[bucket.offset], {});
  if (!open.defined()) open = at::zeros({bucket.count}, sum_.options());
  std::vector<at::Tensor>& complete = complete_[bucket.offset];
  complete.push_back(std::move(open));
  if (complete.size() < passes_) return;
  const at::Tensor own = PairwiseSum(std::exchange(complete, {}));
  if (group_ == nullptr) return Add(bucket, own);
  in_flight_.push_back(
      {&bucket, Exchange(*group_, own.view({group_->size(), layout_.OwnCount(bucket)}))});
  if (in_flight_.size() > kMostSumsInFlight) FinishOldest();
}

void GradientSum::EndPass() {
  if (layout_.sharding().parts == 1) return;
  for (const FlatLayout::Bucket& bucket : layout_.buckets()) {
    if (!done_[bucket.offset]) Complete(bucket);
  }
  done_.clear();
  while (!in_flight_.empty()) FinishOldest();
}

void GradientSum::FinishOldest() {
  const at::Tensor received = in_flight_.front().exchange.Wait();
  Add(*in_flight_.front().bucket, PairwiseSum(received.unbind(0)));
  in_flight_.pop_front();
}

void GradientSum::Add(const FlatLayout::Bucket& bucket, const at::Tensor& part) {
  sum_.narrow(0, layout_.OwnOffset(bucket), layout_.OwnCount(bucket)).add_(part);
}

}  // namespace attnrl::learner
