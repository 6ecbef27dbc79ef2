// SPDX-License-Identifier: Apache-2.0
#pragma once

// The language of device kernels: C++ that nvcc compiles for a GPU and the host's compiler for the
// emulator of the tests (testing/emulator.h), from one source. A kernel is a struct:
//
//   struct Scale {
//     struct Arguments { float* x; int64_t n; float by; };  // passed by value
//     struct Shared {};                                     // memory of one block of threads
//     static constexpr int kThreads = 128;                  // of a block; whole warps
//     ATTNRL_DEVICE static void Run(const Arguments& a, Shared& shared) {
//       const int64_t i = int64_t{BlockX()} * kThreads + ThreadIndex();
//       if (i < a.n) a.x[i] *= a.by;
//     }
//   };
//
// A Shared has no constructors and begins as garbage. launch.cuh starts a kernel on a GPU.
//
// The rules, which the emulator holds kernels to: all threads of a block reach every SyncBlock, all
// 32 lanes of a warp every SyncWarp and every shuffle; what other threads have written to shared
// memory is read after a SyncBlock (SyncWarp within a warp) alone; blocks of a launch know nothing
// of each other. nvcc may fuse a * b + c; where the bits are to be the host's, a kernel says Plus,
// Times and Fma.

#include <cstdint>
#if !defined(__CUDACC__)
#include <cmath>
#include <cstring>
#endif

#if defined(__CUDACC__)
#define ATTNRL_DEVICE __device__ __forceinline__
#else
#define ATTNRL_DEVICE inline
#endif

namespace attnrl::cuda {

inline constexpr float kLog2E = 1.44269504088896341F;
inline constexpr float kLn2 = 0.693147180559945309F;
inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;

#if defined(__CUDACC__)

__device__ __forceinline__ int ThreadIndex() { return static_cast<int>(threadIdx.x); }
__device__ __forceinline__ int BlockX() { return static_cast<int>(blockIdx.x); }
__device__ __forceinline__ int BlockY() { return static_cast<int>(blockIdx.y); }
__device__ __forceinline__ void SyncBlock() { __syncthreads(); }
__device__ __forceinline__ void SyncWarp() { __syncwarp(); }
// The value that lane `from` of the warp gives.
template <typename T>
__device__ __forceinline__ T ShuffleFrom(T value, int from) {
  return __shfl_sync(kAllLanes, value, from);
}
// The value of the lane whose index differs in the bits of `mask`.
template <typename T>
__device__ __forceinline__ T ShuffleXor(T value, int mask) {
  return __shfl_xor_sync(kAllLanes, value, mask);
}

// Rounded once each, and never fused.
__device__ __forceinline__ float Plus(float a, float b) { return __fadd_rn(a, b); }
__device__ __forceinline__ float Times(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ double Times(double a, double b) { return __dmul_rn(a, b); }
__device__ __forceinline__ float Fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
__device__ __forceinline__ float Exp2(float x) { return exp2f(x); }
__device__ __forceinline__ double Log(double x) { return log(x); }
__device__ __forceinline__ float SquareRoot(float x) { return __fsqrt_rn(x); }
__device__ __forceinline__ float RoundToEven(float x) { return rintf(x); }
__device__ __forceinline__ float Log(float x) { return logf(x); }
__device__ __forceinline__ double RoundUp(double x) { return ceil(x); }
// Adds to shared memory what other threads add to, too: whole numbers, whose order doesn't show.
__device__ __forceinline__ void AddShared(int32_t* to, int32_t x) { atomicAdd(to, x); }
__device__ __forceinline__ void AddShared(uint64_t* to, uint64_t x) {
  atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(x));
}
__device__ __forceinline__ uint32_t BitsOf(float x) { return __float_as_uint(x); }
__device__ __forceinline__ float FloatOf(uint32_t bits) { return __uint_as_float(bits); }

#else

// Defined by the emulator. `line` and `file` say where threads wait.
namespace emulated {
int ThreadIndex();
int BlockX();
int BlockY();
void SyncBlock(int line, const char* file);
uint64_t Exchange(uint64_t bits, int from, int line, const char* file);
}  // namespace emulated

inline int ThreadIndex() { return emulated::ThreadIndex(); }
inline int BlockX() { return emulated::BlockX(); }
inline int BlockY() { return emulated::BlockY(); }
inline void SyncBlock(int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
  emulated::SyncBlock(line, file);
}
inline void SyncWarp(int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
  emulated::Exchange(0, 0, line, file);
}
template <typename T>
T ShuffleFrom(T value, int from, int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = emulated::Exchange(bits, from, line, file);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
template <typename T>
T ShuffleXor(T value, int mask, int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
  return ShuffleFrom(value, (ThreadIndex() % kWarp) ^ mask, line, file);
}

inline float Plus(float a, float b) { return a + b; }
inline float Times(float a, float b) { return a * b; }
inline double Times(double a, double b) { return a * b; }
inline float Fma(float a, float b, float c) { return std::fma(a, b, c); }
inline float Exp2(float x) { return std::exp2(x); }
inline double Log(double x) { return std::log(x); }
inline float SquareRoot(float x) { return std::sqrt(x); }
inline float RoundToEven(float x) { return std::nearbyint(x); }
inline float Log(float x) { return std::log(x); }
inline double RoundUp(double x) { return std::ceil(x); }
inline void AddShared(int32_t* to, int32_t x) { *to += x; }
inline void AddShared(uint64_t* to, uint64_t x) { *to += x; }
inline uint32_t BitsOf(float x) {
  uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof(x));
  return bits;
}
inline float FloatOf(uint32_t bits) {
  float x = 0;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

#endif

ATTNRL_DEVICE int LaneIndex() { return ThreadIndex() % kWarp; }
ATTNRL_DEVICE int WarpIndex() { return ThreadIndex() / kWarp; }

template <typename T>
ATTNRL_DEVICE T Least(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
ATTNRL_DEVICE T Most(T a, T b) {
  return a < b ? b : a;
}

// A bfloat16 as its 16 bits.
struct BFloat16 {
  uint16_t bits;
};

ATTNRL_DEVICE float ToFloat(float x) { return x; }
ATTNRL_DEVICE float ToFloat(BFloat16 x) { return FloatOf(static_cast<uint32_t>(x.bits) << 16); }

// The nearest T, the even one of two.
template <typename T>
ATTNRL_DEVICE T FromFloat(float x);
template <>
ATTNRL_DEVICE float FromFloat<float>(float x) {
  return x;
}
template <>
ATTNRL_DEVICE BFloat16 FromFloat<BFloat16>(float x) {
  const uint32_t bits = BitsOf(x);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return {static_cast<uint16_t>((bits >> 16) | 0x40U)};
  return {static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
}

// N numbers side by side, read and written at once; at an address that is a multiple of their size.
template <typename T, int N>
struct alignas(sizeof(T) * N) Several {
  T of[N];
};
template <int N, typename T>
ATTNRL_DEVICE Several<T, N> Load(const T* p) {
  return *reinterpret_cast<const Several<T, N>*>(p);
}
template <int N, typename T>
ATTNRL_DEVICE void Store(T* p, const Several<T, N>& x) {
  *reinterpret_cast<Several<T, N>*>(p) = x;
}
// As many of T as 16 bytes hold, the most that a thread moves at once.
template <typename T>
inline constexpr int kSixteenBytes = 16 / static_cast<int>(sizeof(T));

// Over the lanes of a warp, the same in each of them.
template <typename T>
ATTNRL_DEVICE T WarpSum(T value) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += ShuffleXor(value, mask);
  return value;
}
template <typename T>
ATTNRL_DEVICE T WarpMost(T value) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value = Most(value, ShuffleXor(value, mask));
  return value;
}

// Over the threads of a block, the same in each of them. `parts` is shared memory that nobody else
// uses from the call to the next SyncBlock after it.
template <int kWarps, typename T>
ATTNRL_DEVICE T BlockSum(T value, T (&parts)[kWarps]) {
  value = WarpSum(value);
  if (LaneIndex() == 0) parts[WarpIndex()] = value;
  SyncBlock();
  T sum = parts[0];
  for (int warp = 1; warp < kWarps; ++warp) sum += parts[warp];
  return sum;
}
template <int kWarps, typename T>
ATTNRL_DEVICE T BlockMost(T value, T (&parts)[kWarps]) {
  value = WarpMost(value);
  if (LaneIndex() == 0) parts[WarpIndex()] = value;
  SyncBlock();
  T most = parts[0];
  for (int warp = 1; warp < kWarps; ++warp) most = Most(most, parts[warp]);
  return most;
}

}  // namespace attnrl::cuda
