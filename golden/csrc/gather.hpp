// out [lists, columns] = start + lists · dense: every non-zero of a list adds one row of `dense`.
//
// The four products with events are of this form: R y and W x (lists of units, rows of weights)
// and dR and dW (lists of steps and sequences, rows of gradients). A few vectors of columns, for
// all rows of `dense`, are one panel: packed so that it is aligned and stays in the second-level
// cache while all lists use it, with the sums of a list in registers. Sums run in the order of
// the list, whatever the panels.
#pragma once
#include "layer.hpp"
#include "simd.hpp"

namespace egru::EGRU_TARGET {

constexpr int widest_panel = 8;  // vectors

// List i has its elements of block b in [begin, end)[b * stride + i].
template <class T> struct Lists {
  int64_t blocks, stride, count;
  const int64_t *begin, *end;
  const int32_t* index;  // row of `dense`
  const T* value;
};

// Appends the non-zeros of x [begin, end) to a list; their count. Zeros are written too, and then
// overwritten: the list needs room for one more, or for all.
template <class T>
int64_t collect(const T* x, int64_t begin, int64_t end, int32_t* index, T* value) {
  int64_t n = 0;
  for (int64_t i = begin; i < end; ++i) {
    index[n] = int32_t(i);
    value[n] = x[i];
    n += x[i] != 0;
  }
  return n;
}

// Vectors of a panel of so many rows, of which a core's second-level cache holds two.
template <class T> inline int panel_vectors(int64_t rows) {
  return rows * widest_panel * vector_bytes > (5 << 18) ? widest_panel / 2 : widest_panel;
}

// Rows [count, vectors] of `dense` from a column, of which the last vector has `width` lanes.
template <class T>
void pack(Vec<T>* panel, const T* dense, int64_t stride, int64_t count, int vectors,
          int64_t width) {
  for (int64_t i = 0; i < count; ++i, panel += vectors, dense += stride) {
    for (int v = 0; v < vectors - 1; ++v) panel[v] = load(dense + v * lanes<T>);
    panel[vectors - 1] = load_upto(dense + (vectors - 1) * lanes<T>, width);
  }
}

template <class T> struct Panel {
  const T* rows;    // of `dense` from a column
  int64_t stride;
  int64_t width;    // lanes of the last vector
  const T* next;    // the panel that follows in memory order, to be had in the cache, or null
  int64_t size;     // of that
};

// out [count, V vectors] = start (one row for all; null: out) + lists · panel; the count of events.
template <class T, int V, bool packed>
int64_t gather_panel(const Lists<T>& lists, const Panel<T>& panel, T* out, int64_t out_stride,
                     const T* start) {
  constexpr int64_t L = lanes<T>, line = 64 / sizeof(T);
  const T* ahead = panel.next;
  int64_t events = 0;
  for (int64_t i = 0; i < lists.count; ++i, out += out_stride) {
    const T* from = start ? start : out;
    Vec<T> sum[V];
    for (int v = 0; v < V - 1; ++v) sum[v] = load(from + v * L);
    sum[V - 1] = load_upto(from + (V - 1) * L, panel.width);
    for (int64_t b = 0; b < lists.blocks; ++b) {
      const int64_t begin = lists.begin[b * lists.stride + i];
      const int64_t end = lists.end[b * lists.stride + i];
      for (int64_t e = begin; e < end; ++e) {
        const T value = lists.value[e];
        if constexpr (packed) {
          const Vec<T>* row = reinterpret_cast<const Vec<T>*>(panel.rows) + lists.index[e] * V;
          for (int v = 0; v < V; ++v) sum[v] += value * row[v];
        } else {
          const T* row = panel.rows + lists.index[e] * panel.stride;
          for (int v = 0; v < V - 1; ++v) sum[v] += value * load(row + v * L);
          sum[V - 1] += value * load_upto(row + (V - 1) * L, panel.width);
        }
      }
      events += end - begin;
    }
    for (int v = 0; v < V - 1; ++v) store(out + v * L, sum[v]);
    store_first(out + (V - 1) * L, sum[V - 1], panel.width);
    if (panel.next)
      for (; ahead < panel.next + panel.size * (i + 1) / lists.count; ahead += 8 * line)
        __builtin_prefetch(ahead, 0, 2);
  }
  return events;
}

template <class T, bool packed, int V = widest_panel>
int64_t gather_panel(int vectors, const Lists<T>& lists, const Panel<T>& panel, T* out,
                     int64_t out_stride, const T* start) {
  if constexpr (V > 1)
    if (vectors < V)
      return gather_panel<T, packed, V - 1>(vectors, lists, panel, out, out_stride, start);
  return gather_panel<T, V, packed>(lists, panel, out, out_stride, start);
}

// The panels of columns [begin, end): number p has vectors [first(p), first(p + 1)).
template <class T> struct Panels {
  int64_t begin, end, vectors, count;

  Panels(int64_t begin, int64_t end, int64_t rows)
      : begin(begin), end(end), vectors((end - begin + lanes<T> - 1) / lanes<T>) {
    const int64_t widest = panel_vectors<T>(rows);
    count = (vectors + widest - 1) / widest;
  }
  int64_t first(int64_t p) const { return vectors * p / count; }
  int size(int64_t p) const { return int(first(p + 1) - first(p)); }
  int64_t column(int64_t p) const { return begin + first(p) * lanes<T>; }
  int64_t width(int64_t p) const {  // lanes of the last vector
    return smaller(lanes<T>, end - begin - (first(p + 1) - 1) * lanes<T>);
  }
  int64_t columns(int64_t p) const { return (size(p) - 1) * lanes<T> + width(p); }
};

// Columns [c0, c1) from a matrix used once: panels are packed into `buffer`, or, where there are
// too few lists to use them again, not packed. Multiply-accumulates done.
template <class T>
int64_t gather(const Lists<T>& lists, const T* dense, int64_t stride, int64_t rows, int64_t c0,
               int64_t c1, T* out, int64_t out_stride, const T* start, Vec<T>* buffer) {
  const Panels<T> panels(c0, c1, rows);
  int64_t macs = 0;
  for (int64_t p = 0; p < panels.count; ++p) {
    const int64_t column = panels.column(p);
    Panel<T> panel{dense + column, stride, panels.width(p), nullptr, 0};
    const T* from = start ? start + column : nullptr;
    if (buffer) {
      pack(buffer, panel.rows, stride, rows, panels.size(p), panel.width);
      panel.rows = reinterpret_cast<const T*>(buffer);
    }
    macs += panels.columns(p) *
            (buffer ? gather_panel<T, true>(panels.size(p), lists, panel, out + column,
                                            out_stride, from)
                    : gather_panel<T, false>(panels.size(p), lists, panel, out + column,
                                             out_stride, from));
  }
  return macs;
}

}  // namespace egru::EGRU_TARGET
