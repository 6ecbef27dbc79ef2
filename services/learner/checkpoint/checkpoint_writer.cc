// SPDX-License-Identifier: Apache-2.0
#include "services/learner/checkpoint/checkpoint_writer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <exception>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/files/model_folder.h"
#include "common/model/files/safetensors_writer.h"
#include "common/storage/digest.h"
#include "common/storage/files.h"
#include "services/learner/checkpoint/checkpoint_state.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

int64_t LargestBucket(const FlatLayout& layout) {
  int64_t largest = 0;
  for (const FlatLayout::Bucket& bucket : layout.buckets()) {
    largest = std::max(largest, bucket.count * static_cast<int64_t>(sizeof(float)));
  }
  return largest;
}

int64_t BytesOf(const at::Tensor& tensor) { return static_cast<int64_t>(tensor.nbytes()); }

model::DType DTypeOf(const VersionData& version) {
  const bool bfloat16 = !version.tensors.empty() && version.tensors.front().dtype == "BF16";
  return bfloat16 ? model::DType::kBFloat16 : model::DType::kFloat32;
}

}  // namespace

CheckpointWriter::CheckpointWriter(Plan plan, FlatLayout layout)
    : plan_(std::move(plan)),
      layout_(std::move(layout)),
      limit_(std::max(kBufferBytes, LargestBucket(layout_))),
      missing_(kStateTensors.size() * layout_.slices().size()),
      thread_([this] { Run(); }) {}

CheckpointWriter::~CheckpointWriter() {
  {
    absl::MutexLock lock(&mutex_);
    abandoned_ = missing_ > 0;
  }
  thread_.join();
}

int64_t CheckpointWriter::Room() {
  absl::MutexLock lock(&mutex_);
  return done_ ? limit_ : limit_ - waiting_bytes_;
}

void CheckpointWriter::Take(StateTensor which, const std::string& name, const at::Tensor& tensor) {
  const int64_t bytes = BytesOf(tensor);
  const auto room = [this, bytes]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return done_ || waiting_bytes_ + bytes <= limit_;
  };
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&room));
    if (done_) {
      --missing_;
      return;
    }
  }
  at::Tensor copy = tensor.detach().to(at::TensorOptions(at::kCPU), /*non_blocking=*/false,
                                       /*copy=*/true);
  absl::MutexLock lock(&mutex_);
  waiting_.push_back({which, name, std::move(copy)});
  waiting_bytes_ += bytes;
  // Not before it is here: the writer waits for as many.
  --missing_;
}

bool CheckpointWriter::done() const {
  absl::MutexLock lock(&mutex_);
  return done_;
}

absl::Status CheckpointWriter::Wait() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&done_));
  return status_;
}

void CheckpointWriter::Run() {
  absl::Status written;
  try {
    written = Write();
  } catch (const std::exception& error) {  // LibTorch's, when memory is used up; no full disk
    written =
        absl::InternalError(absl::StrCat("writing ", plan_.folder, ": ", OneLine(error.what())));
  }
  if (!written.ok()) (void)storage::RemoveTree(plan_.unfinished);
  absl::MutexLock lock(&mutex_);
  waiting_.clear();
  waiting_bytes_ = 0;
  status_ = written;
  done_ = true;
}

absl::Status CheckpointWriter::Write() {
  const std::string& folder = plan_.unfinished;
  std::map<std::string, std::string> digests;
  ATTNRL_RETURN_IF_ERROR(model::CopyModelFiles(plan_.source_dir, folder, DTypeOf(*plan_.version)));
  ATTNRL_RETURN_IF_ERROR(storage::EnsureDirectory(absl::StrCat(folder, "/", kTrainerFolder)));
  for (const StateTensor which : kStateTensors) {
    ATTNRL_ASSIGN_OR_RETURN(digests[StateFile(which)], WriteState(which));
  }
  // After the state, for whose room in the buffer training may be waiting.
  digests[kModelFile] = VersionFileDigest(*plan_.version);
  ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(absl::StrCat(folder, "/", kStateJson),
                                                      CheckpointStateJson(plan_.info)));
  // Last of all files, since it has the digests of the others.
  ATTNRL_RETURN_IF_ERROR(WriteManifest(folder, std::move(digests)));
  return storage::RenameDurably(folder, plan_.folder);
}

absl::StatusOr<std::string> CheckpointWriter::WriteState(StateTensor which) {
  const std::string path = absl::StrCat(plan_.unfinished, "/", StateFile(which));
  std::map<std::string, model::SafetensorsWriter::Entry> layout;
  for (const FlatLayout::Slice& slice : layout_.slices()) {
    layout[slice.name] = {at::kFloat, slice.shape};
  }
  storage::Sha256 digest;
  ATTNRL_ASSIGN_OR_RETURN(
      model::SafetensorsWriter writer,
      model::SafetensorsWriter::Create(path, layout, {{"format", "pt"}}, &digest));
  for (size_t i = 0; i < layout.size(); ++i) {
    ATTNRL_ASSIGN_OR_RETURN(const Taken next, Next());
    if (next.which != which) {
      return absl::InternalError(absl::StrCat(path, ": got ", next.name, " of ",
                                              StateFile(next.which), ", whose turn it isn't"));
    }
    ATTNRL_RETURN_IF_ERROR(writer.Add(next.name, next.tensor));
    Written();
  }
  ATTNRL_RETURN_IF_ERROR(writer.Finish());
  return digest.HexDigest();
}

absl::StatusOr<CheckpointWriter::Taken> CheckpointWriter::Next() {
  const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return abandoned_ || !waiting_.empty();
  };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&ready));
  if (abandoned_) return absl::CancelledError("the checkpoint was abandoned");
  return waiting_.front();
}

void CheckpointWriter::Written() {
  absl::MutexLock lock(&mutex_);
  waiting_bytes_ -= BytesOf(waiting_.front().tensor);
  waiting_.pop_front();
}

}  // namespace attnrl::learner
