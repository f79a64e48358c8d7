// Vectors of the target that this translation unit is compiled for, in the compiler's own vector
// extension: AVX-512, AVX2 with FMA or the baseline give 64, 32 or 16 bytes, from one source.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace egru::EGRU_TARGET {

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

// The same past the caches, where `to` is aligned: what it overwrites is not read first, and pushes
// nothing out. Other threads see it after streamed().
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

#if defined(__AVX2__) && !defined(__AVX512F__)
// The lanes that are set in a mask of eight, in order; AVX-512 has an instruction for that.
struct FirstLanes {
  uint8_t of[256][8];
  constexpr FirstLanes() : of() {
    for (int mask = 0; mask < 256; ++mask)
      for (int lane = 0, n = 0; lane < 8; ++lane)
        if (mask >> lane & 1) of[mask][n++] = uint8_t(lane);
  }
};
constexpr FirstLanes first_lanes;
#endif

// Appends those of x [begin, end) that are not zero, and where they are; returns their count.
// Writes nothing beyond them.
template <class T>
inline int64_t append_nonzeros(const T* x, int64_t begin, int64_t end, int32_t* index, T* value) {
  int64_t n = 0;
#if defined(__AVX512F__)
  const __m512i counting = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int64_t i = begin; i < end; i += lanes<T>) {
    const Vec<T> v = load_upto(x + i, end - i < lanes<T> ? end - i : lanes<T>);
    const __m512i at = _mm512_add_epi32(_mm512_set1_epi32(int32_t(i)), counting);
    uint32_t found;
    if constexpr (sizeof(T) == 4) {
      found = _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
      const int count = __builtin_popcount(found);
      store_first(value + n, (Vec<T>)_mm512_maskz_compress_ps(__mmask16(found), (__m512)v), count);
    } else {
      found = _mm512_cmp_pd_mask((__m512d)v, _mm512_setzero_pd(), _CMP_NEQ_UQ);
      const int count = __builtin_popcount(found);
      store_first(value + n, (Vec<T>)_mm512_maskz_compress_pd(__mmask8(found), (__m512d)v), count);
    }
    const int count = __builtin_popcount(found);
    _mm512_mask_storeu_epi32(index + n, __mmask16((1u << count) - 1),
                             _mm512_maskz_compress_epi32(__mmask16(found), at));
    n += count;
  }
#else
  int64_t i = begin;
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    // Whole vectors, with what is found at their beginning, go to where there is room for them.
    constexpr int64_t room = 64;
    alignas(32) float found[room];
    alignas(32) int32_t at[room];
    const __m256i counting = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    while (i + lanes<T> <= end) {
      int64_t count = 0;
      for (; i + lanes<T> <= end && count <= room - lanes<T>; i += lanes<T>) {
        const __m256 v = (__m256)load(x + i);
        const int mask = _mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NEQ_UQ));
        const __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(
            reinterpret_cast<const __m128i*>(first_lanes.of[mask])));
        _mm256_storeu_ps(found + count, _mm256_permutevar8x32_ps(v, order));
        _mm256_storeu_si256(
            reinterpret_cast<__m256i*>(at + count),
            _mm256_add_epi32(_mm256_set1_epi32(int32_t(i)),
                             _mm256_permutevar8x32_epi32(counting, order)));
        count += __builtin_popcount(mask);
      }
      std::memcpy(value + n, found, count * sizeof(T));
      std::memcpy(index + n, at, count * sizeof(int32_t));
      n += count;
    }
  }
#endif
  for (; i < end; ++i)
    if (x[i] != 0) {
      index[n] = int32_t(i);
      value[n++] = x[i];
    }
#endif
  return n;
}

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Memory that vectors may be in. Where much is used at random, large pages save the look-up of
// small ones; smaller arrays come from memory that was used before.
template <class U> struct Array {
  U* data;
  explicit Array(int64_t size) {
    const size_t bytes = size * sizeof(U), page = bytes < (1 << 23) ? 64 : 1 << 21;
    data = static_cast<U*>(std::aligned_alloc(page, (bytes / page + 1) * page));
    if (!data) std::abort();
#ifdef MADV_HUGEPAGE
    if (page > 64) madvise(data, (bytes / page + 1) * page, MADV_HUGEPAGE);
#endif
  }
  Array(const Array&) = delete;
  ~Array() { std::free(data); }
  U& operator[](int64_t i) { return data[i]; }
};

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

// x in [-limit, limit]; NaN stays. Compilers make comparisons and choices of the general form.
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

// Vectors that functions of long chains of operations take together, operation by operation, so
// that the processor always has some to do while others wait for their operands.
constexpr int together = vector_bytes == 64 ? 2 : 1;

// (e^r - 1) / r for |r| <= ln 2 / 2, to the last bits of T: the Taylor series, but instead of its
// last term the lower ones that are closest to that, which are all of Chebyshev's polynomial of the
// same degree but the last one.
template <class T> struct Expm1Series {
  static constexpr int degree = sizeof(T) == 4 ? 6 : 12;
  double coefficient[degree + 1];  // of which the last is 0

  constexpr Expm1Series() : coefficient() {
    double term = 1, chebyshev[degree + 1] = {0, 1}, before[degree + 1] = {1};
    for (int i = 0; i <= degree; ++i) coefficient[i] = term /= i + 1;
    for (int n = 2; n <= degree; ++n)
      for (int i = degree; i >= 0; --i) {
        const double next = 2 * (i ? chebyshev[i - 1] : 0) - before[i];
        before[i] = chebyshev[i];
        chebyshev[i] = next;
      }
    term /= chebyshev[degree];
    for (int i = degree; i >= 0; --i) {
      coefficient[i] -= term * chebyshev[i];
      term *= 0.5 * 0.69314718055994531;
    }
  }
};

// x becomes e^x - 1, to the last bits of T also near 0: with x = n ln 2 + r and |r| <= ln 2 / 2 it
// is 2^n (e^r - 1) + (2^n - 1).
template <class T, int K> inline void expm1(Vec<T> (&x)[K]) {
  using Word = typename Bits<T>::Word;
  using Words = typename Lanes<T>::words;
  constexpr bool single = sizeof(T) == 4;
  constexpr T limit = single ? 80 : 700;
  constexpr int mantissa = single ? 23 : 52;
  constexpr Word bias = single ? 127 : 1023;
  // Adding 1.5 * 2^mantissa leaves the nearest integer in the low bits of the sum.
  const Vec<T> magic = splat<T>(T(3) * T(int64_t(1) << (mantissa - 1)));
  // ln 2 in two parts, of which n times the first is exact.
  constexpr T ln2_high = single ? T(0x1.62e4p-1) : T(0x1.62e42fefp-1);
  constexpr T ln2_low = single ? T(0x1.7f7d1cf79abcap-20) : T(0x1.473de6af278edp-34);
  constexpr Expm1Series<T> polynomial;

  Vec<T> n[K], power[K], series[K];
  for (int k = 0; k < K; ++k) x[k] = clamp<T>(x[k], limit);
  for (int k = 0; k < K; ++k) n[k] = x[k] * T(1.4426950408889634) + magic;
  for (int k = 0; k < K; ++k)
    power[k] = (Vec<T>)(((Words)n[k] - (Words)magic + bias) << mantissa);
  for (int k = 0; k < K; ++k) n[k] -= magic;
  for (int k = 0; k < K; ++k) x[k] -= n[k] * ln2_high;
  for (int k = 0; k < K; ++k) x[k] -= n[k] * ln2_low;
  for (int k = 0; k < K; ++k) series[k] = splat(T(polynomial.coefficient[polynomial.degree - 1]));
  for (int i = polynomial.degree - 2; i >= 0; --i)
    for (int k = 0; k < K; ++k) series[k] = series[k] * x[k] + T(polynomial.coefficient[i]);
  for (int k = 0; k < K; ++k) series[k] *= x[k];
  for (int k = 0; k < K; ++k) x[k] = power[k] * series[k] + (power[k] - 1);
}

// x becomes 1 / x, of normal numbers, to a unit in the last place. Dividing takes several times as
// long as one of Newton's steps, which doubles the 14 bits of the estimate.
template <class T, int K> inline void invert(Vec<T> (&x)[K]) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    Vec<T> y[K];
    for (int k = 0; k < K; ++k) y[k] = (Vec<T>)_mm512_rcp14_ps((__m512)x[k]);
    for (int k = 0; k < K; ++k) x[k] = 1 - x[k] * y[k];
    for (int k = 0; k < K; ++k) x[k] = y[k] + y[k] * x[k];
    return;
  }
#endif
  for (int k = 0; k < K; ++k) x[k] = 1 / x[k];
}

// The logistic function, in place.
template <class T, int K> inline void sigmoid(Vec<T> (&x)[K]) {
  for (int k = 0; k < K; ++k) x[k] = -x[k];
  expm1<T>(x);
  for (int k = 0; k < K; ++k) x[k] += 2;
  invert<T>(x);
}

template <class T, int K> inline void tanh(Vec<T> (&x)[K]) {
  for (int k = 0; k < K; ++k) x[k] += x[k];
  expm1<T>(x);
  Vec<T> inverse[K];
  for (int k = 0; k < K; ++k) inverse[k] = x[k] + 2;
  invert<T>(inverse);
  for (int k = 0; k < K; ++k) x[k] *= inverse[k];
}

}  // namespace egru::EGRU_TARGET
