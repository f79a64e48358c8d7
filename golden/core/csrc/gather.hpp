// out [lists, columns] = start + lists · dense: every non-zero of a list adds one row of `dense`.
//
// The four products with events are of this form: R y and W x (lists of units, rows of weights)
// and dR and dW (lists of steps and sequences, rows of gradients). A panel is a few vectors of
// columns of all rows of `dense`, packed so that it is aligned and stays in the second-level cache.
// A block of its rows fills most of the first-level cache; all lists of a group add their rows of
// that block, with sums in registers, before the next block. Sums are in list order,
// whatever the panels, groups and blocks.
#pragma once
#include "events.hpp"

namespace egru::EGRU_EXTENSION {

constexpr int panel_vectors = vector_bytes == 64 ? 4 : 8;  // at most

struct Range {
  int64_t begin, end;
};

// Part `part` of `parts` of [0, size), in whole vectors.
template <class T> inline Range share(int64_t size, int part, int parts) {
  const int64_t vectors = (size + lanes<T> - 1) / lanes<T>;
  return {smaller(vectors * part / parts * lanes<T>, size),
          smaller(vectors * (part + 1) / parts * lanes<T>, size)};
}

// Whether a second-level cache is too small to keep a thread's part of a packed matrix.
template <class T> inline bool worth_fetching(int64_t rows, int64_t units, int threads) {
  return gates * rows * units / threads * sizeof(T) > 1 << 20;
}

// A packed panel. If `next` is set, the second-level cache cannot hold both panels, and their rows
// are prefetched into it one block ahead.
template <class T> struct Panel {
  const Vec<T>* rows;
  int64_t count;
  const Vec<T>* next;
};

// Where sums are stored: in rows of a wider array; in an aligned, contiguous tile, where they are
// also accumulated; or in a tile, bypassing the caches.
enum class To { rows, tile, far_tile };

// Finished sums to be stored past the caches, one vector at a time: storing all at once would
// stall the processor.
template <class T> struct Leaving {
  const Vec<T>* from = nullptr;
  T* to = nullptr;
  int64_t count = 0;

  void step() {
    if (count == 0) return;
    stream(to, *from++);
    to += lanes<T>;
    --count;
  }
};

// sums [group_lists, V] += lists of a group · panel; returns the element count. With `ahead`, each
// block of events prefetches the next `block_bytes` from there, the last one those at `next`.
template <class T, int V>
int64_t gather_panel(const Events<T>& events, int64_t group, const Panel<T>& panel,
                     int64_t block_bytes, const char* ahead, const Vec<T>* next,
                     Leaving<T>& leaving, Vec<T>* sums) {
  const int64_t *first_run = events.runs_of(group), blocks = events.blocks[group];
  int64_t elements = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    const Run *run = events.runs + first_run[b], *last = events.runs + first_run[b + 1];
    if (run == last) continue;
    const Elements<T>& start = events.first[group * events.most + b];
    const int32_t* index = start.index;
    const T* value = start.value;
    const int64_t share = block_bytes / (last - run) + 1;
    const char* line = ahead ? ahead + b * block_bytes : nullptr;
    if (next && b == blocks - 1) line = reinterpret_cast<const char*>(next);
    for (; run < last; ++run) {
      if (ahead)
        for (const char* stop = line + share; line < stop; line += 64)
          __builtin_prefetch(line, 0, 2);
      leaving.step();
      Vec<T>* at = sums + int64_t(run->list) * V;
      Vec<T> sum[V];
      for (int v = 0; v < V; ++v) sum[v] = at[v];
      for (const int32_t* end = index + run->size; index < end; ++index, ++value) {
        const Vec<T>* row = panel.rows + int64_t(*index) * V;
        // One register for the address: with two, every load would cost an instruction of its own.
        asm("" : "+r"(row));
        const Vec<T> factor = splat(*value);
        for (int v = 0; v < V; ++v) sum[v] += factor * row[v];
      }
      for (int v = 0; v < V; ++v) at[v] = sum[v];
    }
    elements += index - start.index;
  }
  return elements;
}

// The panel's columns of out [lists, columns] = start (one row for all; null: out) + lists ·
// panel; returns the count.
template <class T, int V = panel_vectors>
int64_t gather_panel(int vectors, int64_t width, const Lists<T>& lists, const Panel<T>& panel,
                     To to, T* out, int64_t out_stride, const T* start) {
  if constexpr (V > 1)
    if (vectors < V)
      return gather_panel<T, V - 1>(vectors, width, lists, panel, to, out, out_stride, start);
  constexpr int64_t L = lanes<T>;
  Vec<T> own[2][group_lists * V];  // of a group, and of the previous one, perhaps leaving
  Leaving<T> leaving;
  // Blocks of the first group, during which the panel is fetched.
  int64_t blocks = 0, elements = 0;
  for (int part = 0; part < lists.parts; ++part) blocks += lists.events[part].blocks[0];
  const int64_t block_bytes = panel.count * V * vector_bytes / blocks;
  for (int64_t i0 = 0; i0 < lists.count; i0 += group_lists) {
    const int64_t count = smaller(group_lists, lists.count - i0);
    T* rows = out + i0 * out_stride;
    Vec<T>* sums = own[i0 / group_lists % 2];
    if (to == To::tile) sums = reinterpret_cast<Vec<T>*>(rows);
    for (int64_t i = 0; i < count; ++i) {
      const T* from = start ? start : rows + i * out_stride;
      for (int v = 0; v < V && to == To::rows; ++v)
        __builtin_prefetch(rows + i * out_stride + v * L, 1, 2);
      for (int v = 0; v < V - 1; ++v) sums[i * V + v] = load(from + v * L);
      sums[i * V + V - 1] = load_upto(from + (V - 1) * L, width);
    }
    const char* ahead = reinterpret_cast<const char*>(panel.rows) + block_bytes;
    for (int part = 0; part < lists.parts; ++part) {
      const Events<T>& events = lists.events[part];
      const bool fetch = panel.next && i0 == 0;
      const Vec<T>* next = part == lists.parts - 1 ? panel.next : nullptr;
      elements += gather_panel<T, V>(events, i0 / group_lists, panel, block_bytes,
                                     fetch ? ahead : nullptr, next, leaving, sums);
      ahead += events.blocks[0] * block_bytes;
    }
    while (leaving.count) leaving.step();
    if (to == To::far_tile) leaving = {sums, rows, count * V};
    for (int64_t i = 0; i < count && to == To::rows; ++i) {
      T* row = rows + i * out_stride;
      for (int v = 0; v < V - 1; ++v) store(row + v * L, sums[i * V + v]);
      store_first(row + (V - 1) * L, sums[i * V + V - 1], width);
    }
  }
  while (leaving.count) leaving.step();
  return elements;
}

// A thread's columns [begin, end) in panels: panel p has size(p) vectors from first(p) on. Sizes
// differ by at most one.
template <class T> struct Panels {
  int64_t begin, end, vectors, count, least, wide;

  explicit Panels(Range columns)
      : begin(columns.begin),
        end(columns.end),
        vectors((end - begin + lanes<T> - 1) / lanes<T>),
        count((vectors + panel_vectors - 1) / panel_vectors),
        least(count ? vectors / count : 0),
        wide(vectors - least * count) {}
  int64_t first(int64_t p) const { return p * least + smaller(p, wide); }
  int size(int64_t p) const { return int(least) + (p < wide); }
  int64_t row(int64_t p) const { return size(p) * lanes<T>; }  // elements
  int64_t column(int64_t p) const { return begin + first(p) * lanes<T>; }
  int64_t width(int64_t p) const {  // lanes of the last vector
    return smaller(lanes<T>, end - begin - (first(p + 1) - 1) * lanes<T>);
  }
  int64_t columns(int64_t p) const { return (size(p) - 1) * lanes<T> + width(p); }
};

// The gates of a matrix [*, 3 · units].
template <class T> struct GateSections {
  Section<T> of[gates];

  GateSections(const T* rows, int64_t units) {
    for (int gate = 0; gate < gates; ++gate) of[gate] = {rows + gate * units, gates * units};
  }
};

// The layout of sections [rows, units] in panels: by thread, panel and section, all rows of each
// together, in whole vectors.
template <class T> struct InPanels {
  int64_t rows, units;
  int sections, threads;

  Panels<T> panels(int part) const { return Panels<T>(share<T>(units, part, threads)); }

  // Offset of a section's panel in elements.
  int64_t before(int section, const Panels<T>& panels, int64_t p) const {
    return rows * (sections * panels.column(p) + section * panels.row(p));
  }
};

// The gates of a panel, [3, rows, row] from `first` on.
template <class T> inline Gates<T> tile(T* first, int64_t rows, int64_t row) {
  return {first, rows * row, row};
}

// Sections [rows, units], copied into panels.
template <class T> struct Packed : InPanels<T> {
  T* data;

  const Vec<T>* at(int section, const Panels<T>& panels, int64_t p) const {
    return reinterpret_cast<const Vec<T>*>(data + this->before(section, panels, p));
  }

  // Packs the thread's part, a few rows of all panels at a time: reads are sequential, and writes
  // are not too short.
  void pack(const Section<T>* from, int part) const {
    constexpr int64_t together = 4;
    const int64_t rows = this->rows;
    const Panels<T> panels = this->panels(part);
    for (int64_t first = 0; first < rows; first += together)
      for (int s = 0; s < this->sections; ++s)
        for (int64_t p = 0; p < panels.count; ++p) {
          const int size = panels.size(p);
          const int64_t width = panels.width(p);
          const T* source = from[s].rows + first * from[s].stride + panels.column(p);
          Vec<T>* to = reinterpret_cast<Vec<T>*>(data + this->before(s, panels, p)) + first * size;
          for (int64_t row = first; row < smaller(rows, first + together); ++row) {
            for (int v = 0; v < size - 1; ++v) to[v] = load(source + v * lanes<T>);
            to[size - 1] = load_upto(source + (size - 1) * lanes<T>, width);
            source += from[s].stride;
            to += size;
          }
        }
  }
};

// Panel p of out = start [gates · units] (null: out) + lists · dense; `chosen` has each gate's
// section. `fetch`: dense is too large to stay in the second-level cache, and panel `next` follows
// this one. Returns the multiply-accumulates.
template <class T>
int64_t gather(const Lists<T>& lists, const Packed<T>& dense, const int (&chosen)[gates],
               const Panels<T>& panels, int64_t p, bool fetch, int64_t next, To to, Gates<T> out,
               const T* start) {
  int64_t elements = 0;
  for (int gate = 0; gate < gates; ++gate) {
    const Vec<T>* then = gate < gates - 1 ? dense.at(chosen[gate + 1], panels, p)
                                          : dense.at(chosen[0], panels, next);
    const Panel<T> panel{dense.at(chosen[gate], panels, p), dense.rows, fetch ? then : nullptr};
    elements += gather_panel<T>(panels.size(p), panels.width(p), lists, panel, to,
                                out.first + gate * out.gate, out.row,
                                start ? start + gate * dense.units + panels.column(p) : nullptr);
  }
  if (to == To::far_tile) streamed();
  return elements * panels.columns(p);
}

// All panels of a thread; out(panels, p) is the place of panel p.
template <class T, class Out>
int64_t gather(const Lists<T>& lists, const Packed<T>& dense, const int (&chosen)[gates], int part,
               To to, Out out, const T* start) {
  const Panels<T> panels = dense.panels(part);
  const bool fetch = worth_fetching<T>(dense.rows, dense.units, dense.threads);
  int64_t macs = 0;
  for (int64_t p = 0; p < panels.count; ++p)
    macs += gather(lists, dense, chosen, panels, p, fetch, smaller(p + 1, panels.count - 1),
                   to, out(panels, p), start);
  return macs;
}

// to [V vectors, the last of `width` lanes] += events · rows
template <class T, int V>
void gather_rows(const int32_t* index, const T* value, int count, const T* rows, int64_t stride,
                 bool far, int64_t width, T* to) {
  constexpr int ahead = 8;
  Vec<T> sum[V];
  for (int v = 0; v < V - 1; ++v) sum[v] = load(to + v * lanes<T>);
  sum[V - 1] = load_upto(to + (V - 1) * lanes<T>, width);
  for (int e = 0; e < count; ++e) {
    const T* row = rows + index[e] * stride;
    const Vec<T> factor = splat(value[e]);
    if (far && e + ahead < count) {
      const T* next = rows + index[e + ahead] * stride;
      for (int v = 0; v < V; ++v) __builtin_prefetch(next + v * lanes<T>);
    }
    for (int v = 0; v < V - 1; ++v) sum[v] += factor * load(row + v * lanes<T>);
    sum[V - 1] += factor * load_upto(row + (V - 1) * lanes<T>, width);
  }
  for (int v = 0; v < V - 1; ++v) store(to + v * lanes<T>, sum[v]);
  store_upto(to + (V - 1) * lanes<T>, sum[V - 1], width);
}

// The same without packing, for few lists: reads rows in place, with as many columns at a time as
// there are registers for sums.
template <class T>
int64_t gather(const Lists<T>& lists, const GateSections<T>& dense, int64_t size, Range units,
               T* out, int64_t gate_size, const T* start) {
  constexpr int64_t L = lanes<T>;
  constexpr int wide = vector_bytes == 64 ? 16 : 8;
  const int64_t columns = units.end - units.begin, out_stride = gates * gate_size;
  const bool far = size > 512;  // weights to be fetched early
  int64_t elements = 0;
  for (int gate = 0; gate < gates; ++gate) {
    T* rows = out + gate * gate_size + units.begin;
    for (int64_t i = 0; i < lists.count && start; ++i)
      for (int64_t c = 0; c < columns; c += L)
        store_upto(rows + i * out_stride + c,
                   load_upto(start + gate * size + units.begin + c, smaller(L, columns - c)),
                   smaller(L, columns - c));
    const T* weights = dense.of[gate].rows + units.begin;
    const int64_t stride = dense.of[gate].stride;
    for (int part = 0; part < lists.parts; ++part)
      lists.events[part].visit([&](int64_t list, const int32_t* index, const T* value, int count) {
        T* to = rows + list * out_stride;
        elements += count;
        int64_t c = 0;
        for (; c + wide * L <= columns; c += wide * L)
          gather_rows<T, wide>(index, value, count, weights + c, stride, far, L, to + c);
        for (; c + 4 * L <= columns; c += 4 * L)
          gather_rows<T, 4>(index, value, count, weights + c, stride, far, L, to + c);
        for (; c < columns; c += L)
          gather_rows<T, 1>(index, value, count, weights + c, stride, far,
                            smaller(L, columns - c), to + c);
      });
  }
  return elements * columns;
}

}  // namespace egru::EGRU_EXTENSION
