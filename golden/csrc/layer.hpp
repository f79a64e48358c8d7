// What the core computes, on plain pointers. H is units, C inputs, T steps, N sequences; gates are
// in the order (r, z, n); all arrays are dense, the last index running fastest.
#pragma once
#include <cstdint>

namespace egru {

template <class T> struct Layer {
  int64_t steps, count, units;
  const T* weight;      // [H, 3H]: R transposed, so that an event of a unit reads one row
  const T* bias_ih;     // [3H]
  const T* bias_hh;     // [3H]
  const T* theta;       // [H]
  const T* h0;          // [N, H]
  const uint8_t* kept;  // [T, N, H]: units that zoneout keeps; null: `zoneout` of every state
  T zoneout;
  T height, width;      // of the surrogate derivative
};

// r, z, g, q_n and c of a step, all that the backward pass needs to know of it.
constexpr int64_t tape_fields = 5;

template <class T> struct Forward : Layer<T> {
  const T* p;       // [T, N, 3H]: W x
  const T* y0;      // [N, H]
  T* y;             // [T, N, H]
  T* h;             // [N, H]: state before the first step to run, then after the last one run
  T* tape;          // [T, N, 5, H] or null
  uint8_t* near;    // [T, N, H] or null: units with an event or inside the surrogate's window
  int64_t* nearby;  // [T], zero at first: how many those are
  T* q;             // [N, 3H]: R y + bias_hh of the current step
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
  T* dp;             // [T, N, 3H]
  T* dq_n;           // [T, N, H]; dq is dp in the gates r and z
  T* dtheta;         // [H], added to, as are the biases'
  T* dbias_ih;       // [3H]
  T* dbias_hh;       // [3H]
};

// D of a product with events, or one of its column ranges: `rows` [*, columns] and where they go.
template <class T> struct Columns {
  const T* rows;
  int64_t stride, count, offset;
};

// Every function returns the multiply-accumulates that it did in products through `macs`.
template <class T> struct Functions {
  // Runs steps from `step` until the events of one are more than `limit`; returns the next step,
  // of which the caller then provides q (`given`), by a dense product.
  int64_t (*forward)(const Forward<T>&, int64_t step, bool given, int64_t limit, int threads,
                     int64_t* macs);
  // The same backwards: stops before a step with more than `limit` units near their threshold,
  // of which the caller then provides ybar.
  int64_t (*backward)(const Backward<T>&, int64_t step, bool given, int64_t limit, int threads,
                      int64_t* macs);
  // out [M, J] = x [M, K] w [K, J], skipping zeros of x
  void (*product)(T* out, const T* x, const T* w, int64_t M, int64_t K, int64_t J, int threads,
                  int64_t* macs);
  // out [K, J] += x [M, K] transposed times the columns [M, J], skipping zeros of x
  void (*outer)(T* out, const T* x, const Columns<T>* columns, int parts, int64_t M, int64_t K,
                int64_t J, int threads, int64_t* macs);
  // out [M, K] = columns [M, J] times w [K, J] transposed, where `wanted` [M, K]; else untouched
  void (*dots)(T* out, const uint8_t* wanted, const Columns<T>* columns, int parts, const T* w,
               int64_t M, int64_t K, int64_t J, int threads, int64_t* macs);
  T (*read)(const T* from, int64_t size, int64_t times);
};

// Bytes for the events of two steps, as a list per sequence and thread.
inline int64_t forward_scratch(int64_t count, int64_t units, int threads, int64_t item) {
  return 2 * (count * threads * 2 * 8 + (count * units + 1) * (item + 4));
}

// Elements of the weights when packed: as many as there are, and a vector more of every row.
inline int64_t packed_size(int64_t units) { return 3 * units * (units + 16); }

}  // namespace egru
