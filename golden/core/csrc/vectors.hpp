// Vectors of the width of this translation unit's vector extension: 64 bytes with AVX-512, 32 with
// AVX2 and FMA, 16 otherwise. One source, in the compiler's vector types.
#pragma once
#include <cstdint>
#include <cstring>
#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace egru::EGRU_EXTENSION {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T> struct Bits;
template <> struct Bits<float> {
  using Word = uint32_t;
};
template <> struct Bits<double> {
  using Word = uint64_t;
};

template <class T> struct Lanes {
  using Word = typename Bits<T>::Word;
  typedef T type __attribute__((vector_size(vector_bytes)));
  typedef Word words __attribute__((vector_size(vector_bytes)));
  typedef uint8_t bytes __attribute__((vector_size(vector_bytes / sizeof(T))));
  static constexpr int64_t count = vector_bytes / sizeof(T);
};
template <class T> using Vec = typename Lanes<T>::type;
template <class T> constexpr int64_t lanes = Lanes<T>::count;

template <class T> inline Vec<T> splat(T value) { return value - Vec<T>{}; }

template <class T> inline Vec<T> load(const T* from) {
  Vec<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class T> inline void store(T* to, Vec<T> v) { std::memcpy(to, &v, sizeof v); }

// A store past the caches, to an aligned address: does not read what it overwrites, and evicts
// nothing. Visible to other threads after streamed().
template <class T> inline void stream(T* to, Vec<T> v) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), (__m512i)v);
#elif defined(__AVX2__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(to), (__m256i)v);
#else
  store(to, v);
#endif
}

inline void streamed() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

// The first n elements; the other lanes are 0.
template <class T> inline Vec<T> load_first(const T* from, int64_t n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), from);
  else
    return (Vec<T>)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), from);
#else
  Vec<T> v{};
  for (int64_t i = 0; i < n; ++i) v[i] = from[i];
  return v;
#endif
}

template <class T> inline void store_first(T* to, Vec<T> v, int64_t n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(to, __mmask16((1u << n) - 1), (__m512)v);
  else
    _mm512_mask_storeu_pd(to, __mmask8((1u << n) - 1), (__m512d)v);
#else
  for (int64_t i = 0; i < n; ++i) to[i] = v[i];
#endif
}

template <class T> inline Vec<T> load_upto(const T* from, int64_t width) {
  return width == lanes<T> ? load(from) : load_first(from, width);
}

template <class T> inline void store_upto(T* to, Vec<T> v, int64_t width) {
  if (width == lanes<T>)
    store(to, v);
  else
    store_first(to, v, width);
}

template <class T> inline T sum(Vec<T> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return _mm512_reduce_add_ps((__m512)v);
  else
    return _mm512_reduce_add_pd((__m512d)v);
#else
  T total = v[0];
  for (int64_t i = 1; i < lanes<T>; ++i) total += v[i];
  return total;
#endif
}

template <class T> inline Vec<T> abs(Vec<T> v) { return v < 0 ? -v : v; }

// Clamps x to [-limit, limit]; keeps NaN. The general form compiles to compares and blends.
template <class T> inline Vec<T> clamp(Vec<T> x, T limit) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    const __m512 least = _mm512_max_ps(_mm512_set1_ps(-limit), (__m512)x);
    return (Vec<T>)_mm512_min_ps(_mm512_set1_ps(limit), least);
  } else {
    const __m512d least = _mm512_max_pd(_mm512_set1_pd(-limit), (__m512d)x);
    return (Vec<T>)_mm512_min_pd(_mm512_set1_pd(limit), least);
  }
#else
  x = x > limit ? splat<T>(limit) : x;
  return x < -limit ? splat<T>(-limit) : x;
#endif
}

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace egru::EGRU_EXTENSION
