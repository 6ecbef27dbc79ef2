// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sixteen float lanes for the sources of kernels, one struct for each instruction set; the flags of
// the file that includes this choose one. Every operation rounds as IEEE 754 says, lane by lane, so
// all of them compute the same bits. Nothing here may come from the standard library: a function
// that is compiled with wider instructions here must not be the one that the linker keeps for the
// whole program.
#include <cstdint>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace attnrl::kernels {
namespace {

#if defined(__AVX512F__)

inline constexpr char kIsa[] = "avx512";

struct Lanes {
  __m512 v;
  static Lanes Broadcast(float x) { return {_mm512_set1_ps(x)}; }
  static Lanes Load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Lanes Load(const uint16_t* p) {
    const __m512i wide =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }
  // The low and the high halves of sixteen words, each half a bfloat16.
  static Lanes LoadLow(const uint32_t* p) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))};
  }
  static Lanes LoadHigh(const uint32_t* p) {
    const __m512i mask = _mm512_set1_epi32(static_cast<int>(0xFFFF0000U));
    return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), mask))};
  }
  void Store(float* p) const { _mm512_storeu_ps(p, v); }
};

inline Lanes Fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Lanes Add(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Lanes Mul(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Lanes Div(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Lanes Max(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Lanes Min(Lanes a, Lanes b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Lanes Round(Lanes a) { return {_mm512_roundscale_ps(a.v, 0x08)}; }
// 2^n for whole n in [-126, 127].
inline Lanes PowerOfTwo(Lanes n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}
inline __m256 HighOf(Lanes a) {
  return _mm256_castsi256_ps(_mm512_extracti64x4_epi64(_mm512_castps_si512(a.v), 1));
}
inline __m256 LowPlusHigh(Lanes a) { return _mm256_add_ps(_mm512_castps512_ps256(a.v), HighOf(a)); }
inline __m256 MaxOfHalves(Lanes a) { return _mm256_max_ps(_mm512_castps512_ps256(a.v), HighOf(a)); }

#elif defined(__AVX2__)

inline constexpr char kIsa[] = "avx2";

struct Lanes {
  __m256 low, high;
  static Lanes Broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Lanes Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static Lanes Load(const uint16_t* p) { return {Widen(p), Widen(p + 8)}; }
  static Lanes LoadLow(const uint32_t* p) { return {LowHalves(p), LowHalves(p + 8)}; }
  static Lanes LoadHigh(const uint32_t* p) { return {HighHalves(p), HighHalves(p + 8)}; }
  void Store(float* p) const {
    _mm256_storeu_ps(p, low);
    _mm256_storeu_ps(p + 8, high);
  }
  static __m256 Widen(const uint16_t* p) {
    const __m256i wide =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static __m256i Words(const uint32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static __m256 LowHalves(const uint32_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(Words(p), 16));
  }
  static __m256 HighHalves(const uint32_t* p) {
    const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xFFFF0000U));
    return _mm256_castsi256_ps(_mm256_and_si256(Words(p), mask));
  }
};

inline Lanes Fma(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Lanes Add(Lanes a, Lanes b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Lanes Mul(Lanes a, Lanes b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Lanes Div(Lanes a, Lanes b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
inline Lanes Max(Lanes a, Lanes b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Lanes Min(Lanes a, Lanes b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline Lanes Round(Lanes a) {
  return {_mm256_round_ps(a.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(a.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline __m256 PowerOfTwo(__m256 n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
inline Lanes PowerOfTwo(Lanes n) { return {PowerOfTwo(n.low), PowerOfTwo(n.high)}; }
inline __m256 LowPlusHigh(Lanes a) { return _mm256_add_ps(a.low, a.high); }
inline __m256 MaxOfHalves(Lanes a) { return _mm256_max_ps(a.low, a.high); }

#else

inline constexpr char kIsa[] = "portable";

struct Lanes {
  float v[16];
  static Lanes Broadcast(float x) {
    Lanes r;
    for (float& lane : r.v) lane = x;
    return r;
  }
  static Lanes Load(const float* p) {
    Lanes r;
    for (int i = 0; i < 16; ++i) r.v[i] = p[i];
    return r;
  }
  static Lanes Load(const uint16_t* p) {
    Lanes r;
    for (int i = 0; i < 16; ++i) {
      const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
      __builtin_memcpy(&r.v[i], &bits, sizeof(bits));
    }
    return r;
  }
  static Lanes LoadLow(const uint32_t* p) { return OfBits(p, 16, 0xFFFF0000U); }
  static Lanes LoadHigh(const uint32_t* p) { return OfBits(p, 0, 0xFFFF0000U); }
  static Lanes OfBits(const uint32_t* p, int shift, uint32_t mask) {
    Lanes r;
    for (int i = 0; i < 16; ++i) {
      const uint32_t bits = (p[i] << shift) & mask;
      __builtin_memcpy(&r.v[i], &bits, sizeof(bits));
    }
    return r;
  }
  void Store(float* p) const {
    for (int i = 0; i < 16; ++i) p[i] = v[i];
  }
};

template <typename Operation>
inline Lanes Each(const Lanes& a, const Lanes& b, Operation operation) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = operation(a.v[i], b.v[i]);
  return r;
}

inline Lanes Fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return r;
}
inline Lanes Add(const Lanes& a, const Lanes& b) {
  return Each(a, b, [](float x, float y) { return x + y; });
}
inline Lanes Mul(const Lanes& a, const Lanes& b) {
  return Each(a, b, [](float x, float y) { return x * y; });
}
inline Lanes Div(const Lanes& a, const Lanes& b) {
  return Each(a, b, [](float x, float y) { return x / y; });
}
inline Lanes Max(const Lanes& a, const Lanes& b) {
  return Each(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline Lanes Min(const Lanes& a, const Lanes& b) {
  return Each(a, b, [](float x, float y) { return x < y ? x : y; });
}
inline Lanes Round(const Lanes& a) {
  return Each(a, a, [](float x, float) { return __builtin_nearbyintf(x); });
}
inline Lanes PowerOfTwo(const Lanes& n) {
  Lanes r;
  for (int i = 0; i < 16; ++i) {
    // What follows NaN is NaN whatever this is, but a cast of it would be undefined.
    const int32_t power = n.v[i] == n.v[i] ? static_cast<int32_t>(n.v[i]) : 0;
    const uint32_t bits = static_cast<uint32_t>(power + 127) << 23;
    __builtin_memcpy(&r.v[i], &bits, sizeof(bits));
  }
  return r;
}
inline float Sum(const Lanes& a) {
  Lanes r = a;
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) r.v[i] += r.v[i + half];
  }
  return r.v[0];
}
inline float Largest(const Lanes& a) {
  float largest = a.v[0];
  for (int i = 1; i < 16; ++i) largest = a.v[i] > largest ? a.v[i] : largest;
  return largest;
}

#endif

#if defined(__AVX2__)
// The order in which lanes are added: (l, l + 8), (l, l + 4), (l, l + 2), (0, 1).
inline float Sum(Lanes a) {
  const __m256 eight = LowPlusHigh(a);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float Largest(Lanes a) {
  const __m256 eight = MaxOfHalves(a);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
#endif

}  // namespace
}  // namespace attnrl::kernels
