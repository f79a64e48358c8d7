// e^x - 1, and the logistic function and tanh based on it, on vectors.
#pragma once
#include "vectors.hpp"

namespace egru::EGRU_EXTENSION {

// Vectors that functions with long dependency chains process together, operation by operation,
// which hides the latency of each chain.
constexpr int together = vector_bytes == 64 ? 2 : 1;

// (e^r - 1) / r for |r| <= ln 2 / 2, to the last bits of T: the Taylor series, economised. Its last
// term is replaced by the best approximation of lower degree: the lower terms of the Chebyshev
// polynomial of that degree.
template <class T> struct Expm1Series {
  static constexpr int degree = sizeof(T) == 4 ? 6 : 12;
  double coefficient[degree + 1];  // the last one is 0

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

// Replaces x by e^x - 1, to the last bits of T even near 0: 2^n (e^r - 1) + (2^n - 1), where
// x = n ln 2 + r and |r| <= ln 2 / 2.
template <class T, int K> inline void expm1(Vec<T> (&x)[K]) {
  using Word = typename Bits<T>::Word;
  using Words = typename Lanes<T>::words;
  constexpr bool single = sizeof(T) == 4;
  constexpr T limit = single ? 80 : 700;
  constexpr int mantissa = single ? 23 : 52;
  constexpr Word bias = single ? 127 : 1023;
  // Adding 1.5 * 2^mantissa leaves the nearest integer in the low bits of the sum.
  const Vec<T> magic = splat<T>(T(3) * T(int64_t(1) << (mantissa - 1)));
  // ln 2 in two parts; n times the first one is exact.
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

// Replaces x by 1 / x, for normal numbers, to a unit in the last place. A division takes several
// times as long as a Newton step, which doubles the 14 bits of the estimate.
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

}  // namespace egru::EGRU_EXTENSION
