// out [rows, units] = d [rows, columns] · w [units, columns] transposed, only where it is wanted.
//
// Both operands of a wanted element are contiguous. A few vectors of a unit's weights stay in
// registers while all rows that want the unit use them; the rows' part of `d` stays in the
// first-level cache while the units of a block pass. An element is summed in the order of the
// columns, in one vector, whatever else is wanted.
#pragma once
#include "layer.hpp"
#include "simd.hpp"

namespace egru::EGRU_TARGET {

constexpr int64_t dots_units = 32, dots_rows = 32;
constexpr int widest_strip = vector_bytes == 64 ? 16 : 8;  // vectors, by the count of registers

// The wanted elements of a block: those of unit i are rows row[first[i]] to row[first[i + 1] - 1].
struct Wanted {
  int first[dots_units + 1];
  uint8_t row[dots_units * dots_rows];

  void find(const uint8_t* wanted, int64_t stride, int64_t rows, int64_t units) {
    int n = 0;
    for (int64_t i = 0; i < units; ++i) {
      first[i] = n;
      for (int64_t m = 0; m < rows; ++m) {
        row[n] = uint8_t(m);
        n += wanted[m * stride + i] != 0;
      }
    }
    first[units] = n;
  }
};

template <class T, int V, bool partial>
void dots_strip(const Wanted& wanted, int64_t units, const T* d, int64_t d_stride, const T* w,
                int64_t w_stride, Vec<T>* sums, int64_t width) {
  constexpr int64_t L = lanes<T>;
  const auto get = [&](const T* from) { return partial ? load_first(from, width) : load(from); };
  for (int64_t i = 0; i < units; ++i) {
    Vec<T> weights[V];
    for (int v = 0; v < V; ++v) {
      const T* from = w + i * w_stride + v * L;
      weights[v] = get(from);
      __builtin_prefetch(from + 4 * w_stride);
    }
    for (int e = wanted.first[i]; e < wanted.first[i + 1]; ++e) {
      const T* row = d + wanted.row[e] * d_stride;
      Vec<T> even = sums[e], odd{};  // two chains, as one would wait for its own results
      for (int v = 0; v < V; v += 2) even += weights[v] * get(row + v * L);
      for (int v = 1; v < V; v += 2) odd += weights[v] * get(row + v * L);
      sums[e] = even + odd;
    }
  }
}

template <class T, int V = widest_strip>
void dots_strip(int64_t vectors, const Wanted& wanted, int64_t units, const T* d,
                int64_t d_stride, const T* w, int64_t w_stride, Vec<T>* sums) {
  if constexpr (V > 1)
    if (vectors < V)
      return dots_strip<T, V - 1>(vectors, wanted, units, d, d_stride, w, w_stride, sums);
  dots_strip<T, V, false>(wanted, units, d, d_stride, w, w_stride, sums, 0);
}

// Units [u0, u1) of all rows; multiply-accumulates done.
template <class T>
int64_t dots(T* out, const uint8_t* wanted_at, const Columns<T>* columns, int parts, const T* w,
             int64_t w_stride, int64_t rows, int64_t stride, int64_t u0, int64_t u1) {
  constexpr int64_t L = lanes<T>;
  alignas(64) Vec<T> sums[dots_units * dots_rows];
  Wanted wanted;
  int64_t macs = 0;
  for (int64_t u = u0; u < u1; u += dots_units) {
    const int64_t units = u1 - u < dots_units ? u1 - u : dots_units;
    for (int64_t m = 0; m < rows; m += dots_rows) {
      wanted.find(wanted_at + m * stride + u, stride, rows - m < dots_rows ? rows - m : dots_rows,
                  units);
      const int elements = wanted.first[units];
      std::memset(sums, 0, elements * sizeof(Vec<T>));
      for (int part = 0; part < parts; ++part) {
        const Columns<T>& c = columns[part];
        const T* d = c.rows + m * c.stride;
        const T* weights = w + u * w_stride + c.offset;
        const int64_t vectors = c.count / L, tail = c.count % L;
        for (int64_t v = 0; v < vectors; v += widest_strip)
          dots_strip<T>(vectors - v < widest_strip ? vectors - v : widest_strip, wanted, units,
                        d + v * L, c.stride, weights + v * L, w_stride, sums);
        if (tail)
          dots_strip<T, 1, true>(wanted, units, d + vectors * L, c.stride, weights + vectors * L,
                                 w_stride, sums, tail);
        macs += elements * c.count;
      }
      for (int64_t i = 0; i < units; ++i)
        for (int e = wanted.first[i]; e < wanted.first[i + 1]; ++e)
          out[(m + wanted.row[e]) * stride + u + i] = sum<T>(sums[e]);
    }
  }
  return macs;
}

}  // namespace egru::EGRU_TARGET
