// out [rows, columns] = start + lists · dense: every non-zero of a list adds one row of `dense`.
//
// The four products with events are of this form: R y and W x (lists of units, rows of weights)
// and dR and dW (lists of steps and sequences, rows of gradients). A tile of `dense`, one block of
// rows by a few vectors of columns, stays in the first-level cache while all lists use it, and
// the sums of a list stay in registers. Sums run in the order of the list, whatever the tiling.
#pragma once
#include "layer.hpp"
#include "simd.hpp"

namespace egru::EGRU_TARGET {

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

constexpr int64_t group_lists = 256;  // lists whose sums stay in the second-level cache
constexpr int widest_tile = 8;        // vectors

// List i has its elements of block b in [begin, end)[b * stride + i].
template <class T> struct Lists {
  int64_t blocks, stride;
  const int64_t* begin;
  const int64_t* end;
  const int32_t* index;  // row of `dense`
  const T* value;
};

template <class T> struct Gather {
  Lists<T> lists;
  int64_t rows;
  const T* dense;
  int64_t dense_stride;
  T* out;
  int64_t out_stride;
  const T* start;  // one row for all, or null: `out` is added to
};

// Lists [i0, i1) of blocks [b0, b1), V vectors of columns from `column`; the count of elements.
template <class T, int V, bool partial>
int64_t gather_tile(const Gather<T>& g, int64_t i0, int64_t i1, int64_t b0, int64_t b1,
                    int64_t column, int64_t width) {
  static_assert(V == 1 || !partial);
  constexpr int64_t L = lanes<T>;
  const auto get = [&](const T* from) { return partial ? load_first(from, width) : load(from); };
  int64_t elements = 0;
  for (int64_t i = i0; i < i1; ++i) {
    T* out = g.out + i * g.out_stride + column;
    const T* from = g.start && b0 == 0 ? g.start + column : out;
    Vec<T> sums[V];
    for (int v = 0; v < V; ++v) sums[v] = get(from + v * L);
    for (int64_t b = b0; b < b1; ++b) {
      const int64_t end = g.lists.end[b * g.lists.stride + i];
      for (int64_t e = g.lists.begin[b * g.lists.stride + i]; e < end; ++e, ++elements) {
        const T* row = g.dense + g.lists.index[e] * g.dense_stride + column;
        const T value = g.lists.value[e];
        for (int v = 0; v < V; ++v) sums[v] += value * get(row + v * L);
      }
    }
    for (int v = 0; v < V; ++v)
      if constexpr (partial)
        store_first(out, sums[v], width);
      else
        store(out + v * L, sums[v]);
  }
  return elements;
}

template <class T, int V = widest_tile>
int64_t gather_tile(int64_t vectors, const Gather<T>& g, int64_t i0, int64_t i1, int64_t b0,
                    int64_t b1, int64_t column) {
  if constexpr (V > 1)
    if (vectors < V) return gather_tile<T, V - 1>(vectors, g, i0, i1, b0, b1, column);
  return gather_tile<T, V, false>(g, i0, i1, b0, b1, column, 0);
}

// Columns [c0, c1) of all lists; multiply-accumulates done.
template <class T> int64_t gather(const Gather<T>& g, int64_t c0, int64_t c1) {
  constexpr int64_t L = lanes<T>;
  // With few lists a tile would not be used again: then sums stay in registers throughout.
  const int64_t tile_blocks = g.rows < 8 ? g.lists.blocks : 1;
  const int64_t vectors = (c1 - c0) / L, tail = (c1 - c0) % L;
  const int64_t tiles = (vectors + widest_tile - 1) / widest_tile;
  int64_t macs = 0;
  for (int64_t tile = 0; tile < tiles + (tail > 0); ++tile) {
    const int64_t v0 = tile < tiles ? vectors * tile / tiles : vectors;
    const int64_t v1 = tile < tiles ? vectors * (tile + 1) / tiles : vectors;
    const int64_t column = c0 + v0 * L;
    for (int64_t i0 = 0; i0 < g.rows; i0 += group_lists) {
      const int64_t i1 = smaller(i0 + group_lists, g.rows);
      for (int64_t b = 0; b < g.lists.blocks; b += tile_blocks) {
        const int64_t b1 = smaller(b + tile_blocks, g.lists.blocks);
        macs += v1 > v0 ? (v1 - v0) * L * gather_tile(v1 - v0, g, i0, i1, b, b1, column)
                        : tail * gather_tile<T, 1, true>(g, i0, i1, b, b1, column, tail);
      }
    }
  }
  return macs;
}

}  // namespace egru::EGRU_TARGET
