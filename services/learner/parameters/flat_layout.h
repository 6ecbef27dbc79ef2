// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace attnrl::learner {

// Which part of every flat tensor a process keeps: `parts` equal parts a bucket, of which rank r of
// `ranks` (a divisor of parts) has those from r parts / ranks on. One process has all.
struct Sharding {
  int rank = 0;
  int ranks = 1;
  int parts = 1;
};

// Where the tensors of a model lie in one flat tensor: in byte order of their names, each padded to
// a multiple of 16 elements, so that every one starts on a cache line. Neighbours whose gradients
// are complete at the same moment of a backward pass make up a bucket: the tensors of a layer, or a
// single other tensor. A bucket is padded to 16 elements a part. A shard has the rank's parts of
// all buckets, one after the other. Offsets and counts are in elements. Immutable.
class FlatLayout {
 public:
  struct Slice {
    std::string name;
    std::vector<int64_t> shape;
    int64_t offset;
    int64_t count;  // without padding
  };
  struct Bucket {
    size_t first;  // its slices: [first, last)
    size_t last;
    int64_t offset;
    int64_t count;  // with padding
    bool operator==(const Bucket&) const = default;
  };
  // Part of the shard: neighbouring tensors that are all matrices, or all vectors (the weights of
  // norms, and biases), with their padding.
  struct Run {
    int64_t offset;
    int64_t count;
    bool matrices;
  };

  // Throws std::invalid_argument where ranks don't divide parts.
  FlatLayout(const std::map<std::string, std::vector<int64_t>>& shapes, Sharding sharding);

  const Sharding& sharding() const { return sharding_; }
  const std::vector<Slice>& slices() const { return slices_; }
  // In the order in which a backward pass completes them: layers from the last to the first, then
  // the others.
  const std::vector<Bucket>& buckets() const { return buckets_; }
  // The same from the first tensor to the last.
  std::vector<Bucket> BucketsByPlace() const;
  const Slice* Find(const std::string& name) const;  // null: there is none
  const Bucket& BucketOf(const Slice& slice) const;

  int64_t parameters() const { return parameters_; }  // without padding
  int64_t padded() const { return padded_; }
  int64_t shard() const { return padded_ / sharding_.ranks; }
  // Of a bucket's part in the shard.
  int64_t OwnOffset(const Bucket& bucket) const { return bucket.offset / sharding_.ranks; }
  int64_t OwnCount(const Bucket& bucket) const { return bucket.count / sharding_.ranks; }
  std::vector<Run> Runs() const;

 private:
  Sharding sharding_;
  std::vector<Slice> slices_;
  std::vector<Bucket> buckets_;
  int64_t parameters_ = 0;
  int64_t padded_ = 0;
};

}  // namespace attnrl::learner
