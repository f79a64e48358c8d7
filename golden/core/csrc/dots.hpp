// out [rows, units] = d [rows, columns] · w [units, columns] transposed, only where it is wanted.
//
// Both operands of a wanted element are contiguous. A strip of a unit's weights (a few vectors)
// stays in registers while all rows that need the unit use it. The same strip of the rows, packed,
// stays in the first-level cache for all units of a block. Each element is summed in column order,
// in one vector, whichever others are wanted.
#pragma once
#include "layer.hpp"
#include "vectors.hpp"

namespace egru::EGRU_EXTENSION {

constexpr int64_t dots_units = 32, dots_rows = 32;
constexpr int64_t dots_group = 2 * dots_rows;                // rows that are packed at a time
constexpr int strip_vectors = vector_bytes == 64 ? 16 : 8;  // by the count of registers

// Columns of d from `offset` on, stored as `rows` [*, count].
template <class T> struct Columns {
  const T* rows;
  int64_t stride, count, offset;
};

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

// The columns, divided into strips. A group of d's rows is packed as [strips, rows, strip].
template <class T> struct Strips {
  const Columns<T>* columns;
  int parts;

  template <class Visit> void visit(Visit visit) const {
    int64_t before = 0;
    for (int part = 0; part < parts; ++part) {
      const Columns<T>& c = columns[part];
      for (int64_t j = 0; j < c.count; j += strip_vectors * lanes<T>) {
        const int64_t rest = smaller(c.count - j, strip_vectors * lanes<T>);
        const int64_t vectors = (rest + lanes<T> - 1) / lanes<T>;
        visit(c, j, before, int(vectors), rest - (vectors - 1) * lanes<T>);
        before += vectors;
      }
    }
  }
  int64_t vectors() const {
    int64_t total = 0;
    visit([&](auto&, int64_t, int64_t, int vectors, int64_t) { total += vectors; });
    return total;
  }
  void pack(Vec<T>* packed, int64_t m0, int64_t rows) const {
    visit([&](const Columns<T>& c, int64_t j, int64_t, int vectors, int64_t width) {
      for (int64_t m = m0; m < m0 + rows; ++m) {
        const T* from = c.rows + m * c.stride + j;
        for (int v = 0; v < vectors - 1; ++v) *packed++ = load(from + v * lanes<T>);
        *packed++ = load_upto(from + (vectors - 1) * lanes<T>, width);
      }
    });
  }
};

// sums [elements] += d [rows, V] · w [units, V vectors, the last of `width` lanes]
template <class T, int V>
void dots_strip(const Wanted& wanted, int64_t units, const Vec<T>* d, const T* w, int64_t stride,
                int64_t width, Vec<T>* sums) {
  constexpr int64_t L = lanes<T>;
  for (int64_t i = 0; i < units; ++i, w += stride) {
    if (wanted.first[i] == wanted.first[i + 1]) continue;
    Vec<T> weights[V];
    for (int v = 0; v < V; ++v) {
      weights[v] = v < V - 1 ? load(w + v * L) : load_upto(w + v * L, width);
      __builtin_prefetch(w + 4 * stride + v * L);
    }
    for (int e = wanted.first[i]; e < wanted.first[i + 1]; ++e) {
      const Vec<T>* row = d + wanted.row[e] * V;
      Vec<T> even = sums[e], odd{};  // two chains: a single one would be latency-bound
      for (int v = 0; v < V; v += 2) even += weights[v] * row[v];
      for (int v = 1; v < V; v += 2) odd += weights[v] * row[v];
      sums[e] = even + odd;
    }
  }
}

template <class T, int V = strip_vectors>
void dots_strip(int vectors, const Wanted& wanted, int64_t units, const Vec<T>* d, const T* w,
                int64_t stride, int64_t width, Vec<T>* sums) {
  if constexpr (V > 1)
    if (vectors < V) return dots_strip<T, V - 1>(vectors, wanted, units, d, w, stride, width, sums);
  dots_strip<T, V>(wanted, units, d, w, stride, width, sums);
}

// Units [u0, u1) of all rows; `packed` holds a group. Returns the multiply-accumulates.
template <class T>
int64_t dots(T* out, const uint8_t* wanted_at, const Strips<T>& strips, const T* w, int64_t J,
             int64_t M, int64_t K, int64_t u0, int64_t u1, Vec<T>* packed) {
  alignas(64) Vec<T> sums[dots_units * dots_rows];
  Wanted wanted;
  int64_t elements = 0;
  for (int64_t m0 = 0; m0 < M; m0 += dots_group) {
    const int64_t group = smaller(dots_group, M - m0);
    strips.pack(packed, m0, group);
    for (int64_t u = u0; u < u1; u += dots_units)
      for (int64_t m = 0; m < group; m += dots_rows) {
        const int64_t units = smaller(dots_units, u1 - u), at = (m0 + m) * K + u;
        wanted.find(wanted_at + at, K, smaller(dots_rows, group - m), units);
        std::memset(sums, 0, wanted.first[units] * sizeof(Vec<T>));
        strips.visit([&](const Columns<T>& c, int64_t j, int64_t before, int vectors,
                         int64_t width) {
          dots_strip<T>(vectors, wanted, units, packed + before * group + m * vectors,
                        w + u * J + c.offset + j, J, width, sums);
        });
        for (int64_t i = 0; i < units; ++i)
          for (int e = wanted.first[i]; e < wanted.first[i + 1]; ++e)
            out[at + wanted.row[e] * K + i] = sum<T>(sums[e]);
        elements += wanted.first[units];
      }
  }
  return elements * J;
}

}  // namespace egru::EGRU_EXTENSION
