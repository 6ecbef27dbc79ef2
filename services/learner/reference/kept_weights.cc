// SPDX-License-Identifier: Apache-2.0
#include "services/learner/reference/kept_weights.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "common/base/status.h"
#include "common/device/device.h"
#include "common/storage/file_error.h"
#include "common/storage/files.h"

namespace attnrl::learner {
namespace {

constexpr int64_t kAlign = 64;  // bytes of a cache line

int64_t Aligned(int64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

at::TensorOptions Bytes() { return at::TensorOptions(at::kByte); }

// Without a name, so that no kill leaves it behind; where the file system has no such files, with
// one for a moment.
class NamelessFile {
 public:
  explicit NamelessFile(const std::string& folder)
      : descriptor_(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR)) {
    if (descriptor_ < 0) {
      std::string name = folder + "/reference-XXXXXX";
      descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
      error_ = errno;
      if (descriptor_ >= 0) ::unlink(name.c_str());
    }
  }
  ~NamelessFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  NamelessFile(const NamelessFile&) = delete;
  NamelessFile& operator=(const NamelessFile&) = delete;

  int descriptor() const { return descriptor_; }  // negative: there is none
  int error() const { return error_; }

 private:
  int descriptor_ = -1;
  int error_ = 0;
};

}  // namespace

KeptWeights::KeptWeights(const model::Tensors& weights)
    : device_(weights.begin()->second.device()), dtype_(weights.begin()->second.scalar_type()) {
  int64_t offset = 0;
  for (const auto& [name, weight] : weights) {
    const auto bytes = static_cast<int64_t>(weight.nbytes());
    places_[name] = {offset, bytes, weight.sizes().vec()};
    offset += Aligned(bytes);
  }
}

int64_t KeptWeights::size() const {
  const Place& last = places_.rbegin()->second;
  return last.offset + Aligned(last.bytes);
}

std::unique_ptr<KeptWeights> KeptWeights::OnHost(const model::Tensors& weights) {
  std::unique_ptr<KeptWeights> kept(new KeptWeights(weights));
  kept->block_ =
      at::empty({kept->size()}, Bytes().pinned_memory(device::PinsMemoryFor(kept->device_)));
  for (const auto& [name, weight] : weights) {
    const Place& place = kept->places_.at(name);
    kept->block_.narrow(0, place.offset, place.bytes)
        .view(weight.scalar_type())
        .view(place.shape)
        .copy_(weight.detach());
  }
  return kept;
}

absl::StatusOr<std::unique_ptr<KeptWeights>> KeptWeights::OnDisk(const model::Tensors& weights,
                                                                 const std::string& folder) {
  std::unique_ptr<KeptWeights> kept(new KeptWeights(weights));
  const NamelessFile file(folder);
  constexpr std::string_view kDoing = "making room for the reference model";
  if (file.descriptor() < 0) return storage::FileError(folder, kDoing, file.error());
  const std::string padding(kAlign, '\0');
  for (const auto& [name, weight] : weights) {
    const at::Tensor dense = weight.detach().cpu().contiguous();
    const std::string_view bytes(static_cast<const char*>(dense.const_data_ptr()), dense.nbytes());
    ATTNRL_RETURN_IF_ERROR(storage::WriteAll(file.descriptor(), folder, bytes));
    const auto written = static_cast<int64_t>(bytes.size());
    ATTNRL_RETURN_IF_ERROR(storage::WriteAll(
        file.descriptor(), folder,
        std::string_view(padding).substr(0, static_cast<size_t>(Aligned(written) - written))));
  }
  const auto size = static_cast<size_t>(kept->size());
  void* const pages = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (pages == MAP_FAILED) return storage::FileError(folder, kDoing, errno);
  kept->block_ = at::from_blob(
      pages, {kept->size()}, [size](void* begin) { ::munmap(begin, size); }, Bytes());
  kept->on_disk_ = true;
  return kept;
}

model::Tensors KeptWeights::Bring(const std::string& prefix) const {
  // Names are in order, so that those of a layer are neighbours.
  const auto first = places_.lower_bound(prefix);
  auto end = first;
  while (end != places_.end() && end->first.starts_with(prefix)) ++end;
  if (first == end) return {};
  const Place& last = std::prev(end)->second;
  const int64_t begin = first->second.offset;
  at::Tensor part = block_.narrow(0, begin, last.offset + last.bytes - begin);
  if (!device_.is_cpu()) {
    if (on_disk_) {
      part = at::empty(part.sizes(), Bytes().pinned_memory(device::PinsMemoryFor(device_)))
                 .copy_(part);
      Drop();
    }
    part = part.to(device_, /*non_blocking=*/true);
  }
  model::Tensors tensors;
  for (auto named = first; named != end; ++named) {
    const Place& place = named->second;
    tensors[named->first] =
        part.narrow(0, place.offset - begin, place.bytes).view(dtype_).view(place.shape);
  }
  return tensors;
}

void KeptWeights::Drop() const {
  if (on_disk_) ::madvise(block_.mutable_data_ptr(), block_.nbytes(), MADV_DONTNEED);
}

}  // namespace attnrl::learner
