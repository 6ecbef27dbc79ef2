// SPDX-License-Identifier: Apache-2.0
#include "common/device/testing/fake_device.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <functional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/device/testing/fake_flash.h"
#include "common/device/testing/fake_memory.h"

namespace attnrl::device {
namespace {

constexpr c10::DeviceType kType = c10::DeviceType::PrivateUse1;

struct Counter {
  absl::Mutex mutex;
  Traffic traffic ABSL_GUARDED_BY(mutex);
  int64_t operations ABSL_GUARDED_BY(mutex) = 0;
};

Counter& TheCounter() {
  static Counter& counter = *new Counter;
  return counter;
}

// Where operations go while a graph is recorded.
thread_local std::vector<std::function<void()>>* recording = nullptr;

// What the thread's current stream is by, and its current device.
thread_local c10::StreamId stream = 0;
thread_local c10::DeviceIndex current = 0;

// The second of two, so that what takes the current device for it is found out.
constexpr c10::DeviceIndex kIndex = 1;

// Above 0 while an operation is computed by the CPU's, whose copies count for nothing.
thread_local int computing = 0;

bool IsFake(const at::Tensor& x) { return x.device().type() == kType; }

// ---- Memory ----

at::Tensor Empty(at::IntArrayRef sizes, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(sizes, &FakeAllocator(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(dtype), format);
}

at::Tensor EmptyStrided(at::IntArrayRef sizes, at::IntArrayRef strides,
                        std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                        std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(sizes, strides, &FakeAllocator(),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(dtype));
}

// What was stored stays at the beginning.
const at::Tensor& Resize(const at::Tensor& x, at::IntArrayRef sizes,
                         std::optional<at::MemoryFormat>) {
  const size_t needed = at::detail::computeStorageNbytesContiguous(
      sizes, x.element_size(), static_cast<size_t>(x.storage_offset()));
  c10::StorageImpl& storage = *x.storage().unsafeGetStorageImpl();
  if (needed > storage.nbytes()) {
    c10::DataPtr larger = FakeAllocator().allocate(needed);
    FakeAllocator().copy_data(larger.get(), storage.data(), storage.nbytes());
    storage.set_data_ptr_noswap(std::move(larger));
    storage.set_nbytes(needed);
  }
  x.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return x;
}

// The tensor as the host sees it while its memory is open.
at::Tensor HostView(const at::Tensor& x) {
  if (!IsFake(x)) return x;
  return at::from_blob(const_cast<void*>(x.const_data_ptr()), x.sizes(), x.strides(),
                       x.options().device(at::kCPU));
}

const void* MemoryOf(const at::Tensor& x) { return IsFake(x) ? x.storage().data() : nullptr; }

at::Tensor CopyFrom(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (computing == 0 && IsFake(from) != IsFake(to)) {
    Counter& counter = TheCounter();
    absl::MutexLock lock(&counter.mutex);
    const auto bytes = static_cast<int64_t>(from.nbytes());
    ++(IsFake(to) ? counter.traffic.copies_to_device : counter.traffic.copies_to_host);
    (IsFake(to) ? counter.traffic.bytes_to_device : counter.traffic.bytes_to_host) += bytes;
    if (IsFake(to) && !non_blocking) ++counter.traffic.blocking_copies_to_device;
    if (stream != 0) ++counter.traffic.side_copies;
    // Where there is a GPU, LibTorch pins memory for that.
    const at::Tensor& host = IsFake(to) ? from : to;
    const bool pinned = IsFakePinned(host.storage().data()) || (at::hasCUDA() && host.is_pinned());
    if (!pinned) ++counter.traffic.pageable_copies;
  }
  const bool within = IsFake(from) && IsFake(to);
  if (within) CountOperation();
  if (recording != nullptr && computing == 0) {
    TORCH_CHECK(within, "a copy between the host and the fake device can't be recorded");
    recording->push_back([from, to] { CopyFrom(from, to, true); });
  }
  const OpenMemory source(MemoryOf(from));
  const OpenMemory target(MemoryOf(to));
  HostView(to).copy_(HostView(from));
  return to;
}

at::Tensor CopyFromAndResize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());
  return CopyFrom(from, to, false);
}

void CountValue() {
  if (computing > 0) return;
  TORCH_CHECK(recording == nullptr, "what the host waits for can't be recorded");
  Counter& counter = TheCounter();
  absl::MutexLock lock(&counter.mutex);
  ++counter.traffic.values_to_host;
}

at::Scalar LocalScalar(const at::Tensor& x) {
  CountValue();
  const OpenMemory memory(MemoryOf(x));
  return HostView(x).item();
}

// ---- All other operations ----

// Whether a device would have to tell the host a value before the operation can go on.
bool TellsTheHost(const c10::OperatorHandle& operation, const torch::jit::Stack& stack) {
  static const std::set<std::string_view> names = {"aten::nonzero",  "aten::masked_select",
                                                   "aten::equal",    "aten::_unique2",
                                                   "aten::bincount", "aten::unique_dim"};
  const std::string& name = operation.schema().name();
  return names.contains(name) || (name == "aten::repeat_interleave" && stack.back().isNone());
}

void CheckOnDevice(const c10::OperatorHandle& operation, const at::Tensor& x) {
  TORCH_CHECK(!x.defined() || IsFake(x) || x.dim() == 0, operation.schema().name(),
              ": a tensor of the host among those of the fake device");
}

// The CPU's fallback would bring tensors of the host along without a word.
void CheckAllOnDevice(const c10::OperatorHandle& operation, const torch::jit::Stack& stack) {
  const size_t count = operation.schema().arguments().size();
  for (size_t i = stack.size() - count; i < stack.size(); ++i) {
    const c10::IValue& value = stack[i];
    if (value.isTensor()) CheckOnDevice(operation, value.toTensor());
    if (value.isTensorList()) {
      for (const at::Tensor& x : value.toTensorList()) CheckOnDevice(operation, x);
    } else if (value.isOptionalTensorList()) {
      for (const std::optional<at::Tensor>& x : value.toOptionalTensorList()) {
        if (x.has_value()) CheckOnDevice(operation, *x);
      }
    }
  }
}

// Puts what an operation gives where it gave it before.
void Overwrite(const c10::IValue& to, const c10::IValue& from) {
  if (to.isTensor() && to.toTensor().defined() && !to.toTensor().is_same(from.toTensor())) {
    CopyFrom(from.toTensor(), to.toTensor(), true);
  } else if (to.isTensorList()) {
    for (size_t i = 0; i < to.toTensorList().size(); ++i) {
      Overwrite(at::Tensor(to.toTensorList().get(i)), at::Tensor(from.toTensorList().get(i)));
    }
  }
}

void ComputeOnHost(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  CheckAllOnDevice(operation, *stack);
  if (TellsTheHost(operation, *stack)) CountValue();
  CountOperation();
  const auto inputs = static_cast<ptrdiff_t>(operation.schema().arguments().size());
  torch::jit::Stack taken;
  if (recording != nullptr && computing == 0) taken.assign(stack->end() - inputs, stack->end());
  {
    const Uncounted now;
    at::native::cpu_fallback(operation, stack, /*error_on_views=*/true);
  }
  if (recording == nullptr || computing > 0) return;
  const auto outputs = static_cast<ptrdiff_t>(operation.schema().returns().size());
  const torch::jit::Stack given(stack->end() - outputs, stack->end());
  recording->push_back([operation, taken, given] {
    torch::jit::Stack again = taken;
    const Uncounted now;
    at::native::cpu_fallback(operation, &again, /*error_on_views=*/true);
    for (size_t i = 0; i < given.size(); ++i) Overwrite(given[i], again[i]);
  });
}

// ---- What LibTorch asks of a device ----

// Streams are there by name; nothing is ever waited for.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kType; }
  c10::Device exchangeDevice(c10::Device to) const override {
    return {kType, std::exchange(current, to.index())};
  }
  c10::Device getDevice() const override { return {kType, current}; }
  void setDevice(c10::Device to) const override { current = to.index(); }
  void uncheckedSetDevice(c10::Device to) const noexcept override { current = to.index(); }
  c10::Stream getStream(c10::Device) const noexcept override { return StreamOf(stream); }
  c10::Stream getDefaultStream(c10::Device) const override { return StreamOf(0); }
  c10::Stream getNewStream(c10::Device, int) const override {
    static std::atomic<c10::StreamId> last = 0;
    return StreamOf(++last);
  }
  c10::Stream exchangeStream(c10::Stream to) const override {
    return StreamOf(std::exchange(stream, to.id()));
  }
  c10::DeviceIndex deviceCount() const noexcept override { return kIndex + 1; }
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(c10::DeviceIndex) const override {}

  static c10::Stream StreamOf(c10::StreamId id) {
    return c10::Stream(c10::Stream::UNSAFE, FakeDevice(), id);
  }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return kIndex + 1; }
  void setCurrentDevice(c10::DeviceIndex to) const override { current = to; }
  c10::DeviceIndex getCurrentDevice() const override { return current; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex to) const override {
    return std::exchange(current, to);
  }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex to) const override {
    return std::exchange(current, to);
  }
  at::Allocator* getPinnedMemoryAllocator() const override { return &FakePinnedAllocator(); }
  bool isPinnedPtr(const void* data) const override { return IsFakePinned(data); }
};

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", TORCH_FN(Empty));
  library.impl("empty_strided", TORCH_FN(EmptyStrided));
  library.impl("resize_", TORCH_FN(Resize));
  library.impl("_copy_from", TORCH_FN(CopyFrom));
  library.impl("_copy_from_and_resize", TORCH_FN(CopyFromAndResize));
  library.impl("_local_scalar_dense", TORCH_FN(LocalScalar));
  library.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  library.impl("view", TORCH_FN(at::native::view));
  library.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  library.impl("unfold", TORCH_FN(at::native::unfold));
  library.impl("_flash_attention_forward", TORCH_FN(FakeFlashForward));
  library.impl("_flash_attention_backward", TORCH_FN(FakeFlashBackward));
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&ComputeOnHost>());
}

}  // namespace

at::Device FakeDevice() {
  // Once; registrations stay for the process.
  static const bool registered = [] {
    c10::register_privateuse1_backend("fake");
    c10::SetAllocator(kType, &FakeAllocator());
    c10::impl::registerDeviceGuard(kType, new Guard);
    at::RegisterPrivateUse1HooksInterface(new Hooks);
    return true;
  }();
  static_cast<void>(registered);
  return {kType, kIndex};
}

bool FakeDeviceIsCurrent() { return current == kIndex; }

void RecordOperations(std::vector<std::function<void()>>* to) { recording = to; }

void CountOperation() {
  if (computing > 0) return;
  Counter& counter = TheCounter();
  absl::MutexLock lock(&counter.mutex);
  ++counter.operations;
}

Uncounted::Uncounted() { ++computing; }

Uncounted::~Uncounted() { --computing; }

TrafficMeter::TrafficMeter() {
  Counter& counter = TheCounter();
  absl::MutexLock lock(&counter.mutex);
  before_ = counter.traffic;
  operations_before_ = counter.operations;
}

int64_t TrafficMeter::Operations() const {
  Counter& counter = TheCounter();
  absl::MutexLock lock(&counter.mutex);
  return counter.operations - operations_before_;
}

Traffic TrafficMeter::Read() const {
  Counter& counter = TheCounter();
  absl::MutexLock lock(&counter.mutex);
  const Traffic& now = counter.traffic;
  return {.copies_to_device = now.copies_to_device - before_.copies_to_device,
          .bytes_to_device = now.bytes_to_device - before_.bytes_to_device,
          .blocking_copies_to_device =
              now.blocking_copies_to_device - before_.blocking_copies_to_device,
          .copies_to_host = now.copies_to_host - before_.copies_to_host,
          .bytes_to_host = now.bytes_to_host - before_.bytes_to_host,
          .pageable_copies = now.pageable_copies - before_.pageable_copies,
          .side_copies = now.side_copies - before_.side_copies,
          .values_to_host = now.values_to_host - before_.values_to_host};
}

}  // namespace attnrl::device
