// What the core computes, on plain pointers. H is units, C inputs, T steps, N sequences; gates are
// in the order (r, z, n); all arrays are dense, the last index running fastest.
#pragma once
#include <cstdint>

namespace egru {

template <class T> struct Layer {
  int64_t count, units;
  const T* weight;      // [H, 3H]: R transposed, so that an event of a unit reads one row
  const T* bias_ih;     // [3H]
  const T* bias_hh;     // [3H]
  const T* theta;       // [H]
  const T* h0;          // [N, H]
  const uint8_t* kept;  // [T, N, H]: units that zoneout keeps; null: `zoneout` of every state
  T zoneout;
  T height, width;      // of the surrogate derivative
};

// Elements from one gate to the next where nobody outside looks: every row is aligned.
inline int64_t padded(int64_t units) { return (units + 15) / 16 * 16; }

// r, z, g, q_n and c of a step, all that the backward pass needs to know of it.
constexpr int64_t tape_fields = 5;

template <class T> struct Forward : Layer<T> {
  int64_t steps;
  const T* p;       // W x: [T, N, 3, p_gate], or in panels
  int64_t p_gate;   // padded H; H if it comes from a dense product; 0: in panels
  const T* y0;      // [N, H]
  T* y;             // [T, N, H]
  T* h;             // [N, H]: state before the first step to run, then after the last one run
  T* tape;          // [T, N, 5, H] or null
  uint8_t* near;    // [T, N, H] or null: units with an event or inside the surrogate's window
  int64_t* nearby;  // [T], zero at first: how many those are
  T* q;             // [N, 3, padded H]: R y + bias_hh of the current step; [N, 3, H] if given
  T* packed;        // packed_size() aligned elements, or null: not worth it
  bool* is_packed;  // false at first
  void* scratch;    // forward_scratch() bytes
};

template <class T> struct Backward : Layer<T> {
  const T* tape;
  const uint8_t* near;
  const int64_t* nearby;
  const T* dy;       // [T, N, H] or null
  T* dh;             // [N, H]: gradient of h after the step to run, then before the last one run
  T* ybar;           // [N, H]: gradient of y from the step after
  int64_t first;     // step to end with, of which the gradients are dp[0]
  T* dp;             // [steps from there and one more, N, 3H]
  T* dq_n;           // [likewise, N, H]; dq is dp in the gates r and z
  T* dtheta;         // [H], added to, as are the biases'
  T* dbias_ih;       // [3H]
  T* dbias_hh;       // [3H]
};

constexpr int gates = 3;

// Some units of all gates, [3, rows, units]: elements from one gate or row to the next.
template <class T> struct Gates {
  T* first;
  int64_t gate, row;
};

// A matrix [*, units] that is a gate of something larger.
template <class T> struct Section {
  const T* rows;
  int64_t stride;
};

// Products return the multiply-accumulates that they did; -1 and nothing done if x has more than
// `limit` elements that are not zero, of which the caller then makes a dense product. `packed` has
// room for packed_size() aligned elements; what a call has packed there (`is_packed`, false at
// first) serves the next ones with the same matrices and threads. Panels are gather.hpp's.
template <class T> struct Functions {
  // Runs steps from `step` until the events of one are more than `limit`; returns the next step,
  // of which the caller then provides q (`given`), by a dense product.
  int64_t (*forward)(const Forward<T>&, int64_t step, bool given, int64_t limit, int threads,
                     int64_t* macs);
  // The same backwards, to `first`: stops before a step with more than `limit` units near their
  // threshold, of which the caller then provides ybar.
  int64_t (*backward)(const Backward<T>&, int64_t step, bool given, int64_t limit, int threads,
                      int64_t* macs);
  // out [M, 3, padded H], aligned, = x [M, K] w [K, 3H], skipping zeros of x; `packed` null: never
  // pack. If then `is_packed` and wanted `in_panels`, that is how `out` lies: for `forward` with as
  // many threads.
  int64_t (*product)(T* out, bool in_panels, const T* x, const T* w, T* packed, bool* is_packed,
                     int64_t M, int64_t K, int64_t units, int64_t limit, int threads);
  // out [K, 3H] += x [M, K] transposed · dp [M, 3H], skipping zeros of x; if `recurrent` dq_n
  // [M, H] is in the place of the last gate. Four sections are packed.
  int64_t (*outer)(T* out, const T* x, const T* dp, const T* dq_n, bool recurrent, T* packed,
                   bool* is_packed, int64_t M, int64_t K, int64_t units, int64_t limit,
                   int threads);
  // out [M, K] = d [M, J] times w [K, J] transposed, where `wanted` [M, K]; else untouched
  int64_t (*dots)(T* out, const uint8_t* wanted, const T* d, const T* w, int64_t M, int64_t K,
                  int64_t J, int threads);
  T (*read)(const T* from, int64_t size, int64_t times);
};

// Rows of a matrix that lists of events take at a time, 32 KB of it with the widest vectors, and
// the lists that do so together, up to 32 KB of sums.
constexpr int64_t block_rows = 128, group_lists = 128;

// A result of so many bytes is read again from behind the second-level cache, at best.
constexpr int64_t beyond_caches = 1 << 22;

// Bytes for the events of two steps.
inline int64_t forward_scratch(int64_t count, int64_t units, int threads, int64_t item) {
  const int64_t groups = count / group_lists + 1, blocks = units / block_rows + 1;
  return 2 * (threads * groups * (blocks * (group_lists + 3) + 2) * 8 +
              (count * units + 1) * (item + 4));
}

// Elements of a packed matrix: as many as there are, and a vector more of every row and section.
inline int64_t packed_size(int64_t rows, int64_t units, int sections) {
  return rows * sections * (units + 16);
}

}  // namespace egru
