// What the core computes, on plain pointers. H is units, C inputs, T steps, N sequences; gates are
// in the order (r, z, n); all arrays are contiguous and row-major.
#pragma once
#include <cstdint>

namespace egru {

template <class T> struct Layer {
  int64_t count, units;
  const T* weight;      // [H, 3H]: R transposed, so that an event of a unit reads one row
  const T* theta;       // [H]
  const uint8_t* kept;  // [T, N, H]: units that zoneout keeps; null: keep the share `zoneout`
  T zoneout;
  T width;              // of the surrogate derivative
};

// Stride of gates in arrays internal to the core, where every row is aligned.
inline int64_t padded(int64_t units) { return (units + 15) / 16 * 16; }

// r, z, g, q_n and c, all that the backward pass needs of a step.
constexpr int64_t tape_fields = 5;

template <class T> struct Forward : Layer<T> {
  const T* bias_ih;  // [3H]
  const T* bias_hh;  // [3H]
  const T* y0;       // [N, H]
  T* y;              // [T, N, H]
  T* h;              // [N, H]: state before the first step to run, then after the last one run
  T* tape;           // [T, N, 5, H] or null
  uint8_t* near;     // [T, N, H] or null: units with an event or inside the surrogate's window
  int64_t* nearby;   // [T], initially zero: their number
  T* q;              // [N, 3, padded H]: R y + bias_hh of the current step; [N, 3, H] if given
  T* packed;         // packed_size() aligned elements, or null: do not pack
  void* scratch;     // forward_scratch() bytes
  int64_t first;     // The chunk is the steps [first, end).
  int64_t end;
  const T* p;        // W x of the chunk: [end - first, N, 3, p_gate], or in panels
  int64_t p_gate;    // padded H; H if it comes from a dense product; 0: in panels
  bool is_packed = false;
};

template <class T> struct Backward : Layer<T> {
  T height;      // of the surrogate derivative
  const T* h0;   // [N, H]
  const T* tape;
  const uint8_t* near;
  const int64_t* nearby;
  const T* dy;   // [T, N, H] or null
  T* dh;         // [N, H]: gradient of h after the step to run, then before the last one run
  T* ybar;       // [N, H]: gradient of y from the step after
  int64_t first; // the chunk's first step, the last to run: dp[0] holds its gradients
  T* dp;         // [steps of the chunk and one more, N, 3H]
  T* dq_n;       // [likewise, N, H]; for gates r and z, dq equals dp
  T* dtheta;     // [H]; these three accumulate
  T* dbias_ih;   // [3H]
  T* dbias_hh;   // [3H]
};

constexpr int gates = 3;

// Some units of all gates, [3, rows, units], with the strides of gates and rows.
template <class T> struct Gates {
  T* first;
  int64_t gate, row;
};

// A matrix [*, units]: one gate of a larger array.
template <class T> struct Section {
  const T* rows;
  int64_t stride;
};

// x w, skipping zeros of x. The first call for which it pays packs w into `packed`, which has room
// for packed_size() aligned elements. Later calls with as many threads reuse it.
template <class T> struct Product {
  int64_t inputs, units;
  const T* x;  // [*, C]
  const T* w;  // [C, 3H]
  T* out;      // [rows of a call, 3, padded H], aligned, or in panels
  T* packed;   // null: never pack
  bool is_packed = false;
};

// Gradients of weights: x transposed · (dp_r, dp_z, dp_n), or · (dp_r, dp_z, dq_n). Packing is as
// in Product; four sections are packed.
template <class T> struct Outer {
  int64_t rows, units;
  const T* dp;    // [rows, 3H]
  const T* dq_n;  // [rows, H]
  T* packed;
  bool is_packed = false;
};

// The next step to run, and the multiply-accumulates done.
struct Progress {
  int64_t next, macs;
};

// Products return the multiply-accumulates done; -1, with nothing done, if x has more than `limit`
// non-zeros: the caller then computes a dense product.
template <class T> struct Functions {
  // Runs steps from `step` on, until one reads more than `limit` events. The caller then computes
  // q of that step by a dense product and calls again (`given`).
  Progress (*forward)(Forward<T>&, int64_t step, bool given, int64_t limit, int threads);
  // The same backwards, to `first`: stops before a step with more than `limit` units near their
  // threshold, for which the caller then provides ybar.
  Progress (*backward)(const Backward<T>&, int64_t step, bool given, int64_t limit, int threads);
  // Rows [first, first + rows) of x. With `in_panels`, once w is packed, `out` is in panels
  // (gather.hpp), which `forward` with as many threads reads.
  int64_t (*product)(Product<T>&, int64_t first, int64_t rows, bool in_panels, int64_t limit,
                     int threads);
  // Adds the gradients of the weights of x [rows, inputs] to out [inputs, 3H].
  int64_t (*outer)(Outer<T>&, T* out, const T* x, int64_t inputs, bool recurrent, int64_t limit,
                   int threads);
  // out [M, K] = d [M, J] times w [K, J] transposed, where `wanted` [M, K]; the rest is left as is
  int64_t (*dots)(T* out, const uint8_t* wanted, const T* d, const T* w, int64_t M, int64_t K,
                  int64_t J, int threads);
  T (*read)(const T* from, int64_t size, int64_t times);
};

// Matrix rows per block, 32 KB with the widest vectors, and lists per group, with up to 32 KB of
// sums.
constexpr int64_t block_rows = 128, group_lists = 128;

// Results of more bytes than this leave the second-level cache before they are read again.
constexpr int64_t beyond_caches = 1 << 22;

// Bytes for the events of two steps.
inline int64_t forward_scratch(int64_t count, int64_t units, int threads, int64_t item) {
  const int64_t groups = count / group_lists + 1, blocks = units / block_rows + 1;
  return 2 * (threads * groups * (blocks * (group_lists + 3) + 2) * 8 +
              (count * units + 1) * (item + 4));
}

// Elements of a packed matrix: as many as it has, and one more vector for each row and section.
inline int64_t packed_size(int64_t rows, int64_t units, int sections) {
  return rows * sections * (units + 16);
}

}  // namespace egru
