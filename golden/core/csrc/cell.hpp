// The element-wise part of one step of one sequence, units [u0, u1), forward and backward.
#pragma once
#include <type_traits>

#include "exponential.hpp"
#include "layer.hpp"

namespace egru::EGRU_EXTENSION {

// Share of the previous state that zoneout keeps.
template <class T> inline Vec<T> keep(const Layer<T>& layer, int64_t at, int64_t width) {
  if (!layer.kept) return splat(layer.zoneout);
  Vec<T> k{};
  for (int64_t i = 0; i < width; ++i) k[i] = layer.kept[at + i];
  return k;
}

// Calls part(u, width, k) for units [u0, u1): k vectors from unit u on, with `width` lanes each.
// Only the last vector may be narrower. For the others, width is a constant, and loads and stores
// need no mask.
template <class T, int K, class Part> inline void vectors(int64_t u0, int64_t u1, Part part) {
  using Whole = std::integral_constant<int64_t, lanes<T>>;
  int64_t u = u0;
  for (; u + K * lanes<T> <= u1; u += K * lanes<T>)
    part(u, Whole(), std::integral_constant<int, K>());
  for (; u + lanes<T> <= u1; u += lanes<T>) part(u, Whole(), std::integral_constant<int, 1>());
  if (u < u1) part(u, u1 - u, std::integral_constant<int, 1>());
}

// Step t of all sequences, units [u0, u1): computes y, h and the tape from p, q and the state h.
// Returns the number of units with an event or inside the surrogate's window.
template <class T>
int64_t cell_forward(const Forward<T>& f, int64_t t, int64_t u0, int64_t u1,
                     const Gates<const T>& p_of, const Gates<const T>& q_of) {
  constexpr int64_t L = lanes<T>;
  const int64_t H = f.units;
  const bool zoneout = f.kept || f.zoneout != 0;
  typename Lanes<T>::words nearby{};
  for (int64_t n = 0; n < f.count; ++n) {
    const int64_t at = (t * f.count + n) * H;
    const T *p = p_of.first + n * p_of.row - u0, *q = q_of.first + n * q_of.row - u0;
    T *h_row = f.h + n * H, *y_row = f.y + at, *tape = f.tape + tape_fields * at;
    vectors<T, together>(u0, u1, [&](int64_t first, auto w, auto k) {
      constexpr int K = k;
      Vec<T> rz[2 * K], g[K];
      const auto input = [&](int gate, int64_t u) {
        return load_upto(p + gate * p_of.gate + u, w) + load_upto(f.bias_ih + gate * H + u, w);
      };
      // Data of the next rows that R has evicted from the second-level cache.
      for (int i = 0; i < K; ++i) {
        const int64_t u = first + i * L;
        for (int gate = 0; gate < gates; ++gate)
          __builtin_prefetch(p + 2 * p_of.row + gate * p_of.gate + u);
        __builtin_prefetch(h_row + H + u, 1);
        __builtin_prefetch(y_row + H + u, 1);
      }
      for (int i = 0; i < 2 * K; ++i) {
        const int64_t gate = i / K, u = first + i % K * L;
        rz[i] = input(gate, u) + load_upto(q + gate * q_of.gate + u, w);
      }
      sigmoid<T>(rz);
      for (int i = 0; i < K; ++i)
        g[i] = input(2, first + i * L) + rz[i] * load_upto(q + 2 * q_of.gate + first + i * L, w);
      tanh<T>(g);
      for (int i = 0; i < K; ++i) {
        const int64_t u = first + i * L;
        const Vec<T> h = load_upto(h_row + u, w), theta = load_upto(f.theta + u, w);
        const Vec<T> z = rz[K + i];
        Vec<T> c = z * h + (1 - z) * g[i];
        if (zoneout) {
          const Vec<T> share = keep(f, at + u, w);
          c = share * h + (1 - share) * c;
        }
        // c - c and theta - theta are 0, or NaN where c or theta is not finite.
        store_upto(y_row + u, c > theta ? c : c - c, w);
        store_upto(h_row + u, c - (c > theta ? theta : theta - theta), w);
        if (!f.tape) continue;
        store_upto(tape + u, rz[i], w);
        store_upto(tape + H + u, z, w);
        store_upto(tape + 2 * H + u, g[i], w);
        store_upto(tape + 3 * H + u, load_upto(q + 2 * q_of.gate + u, w), w);
        store_upto(tape + 4 * H + u, c, w);
        const auto far = c <= theta && abs<T>(c - theta) >= f.width;
        const auto near = (typename Lanes<T>::words)(!far) & 1;
        const auto flags = __builtin_convertvector(near, typename Lanes<T>::bytes);
        std::memcpy(f.near + at + u, &flags, w);
        for (int64_t beyond = w; beyond < L; ++beyond) nearby[beyond] -= near[beyond];
        nearby += near;
      }
    });
  }
  int64_t sum = 0;
  for (int64_t i = 0; i < L; ++i) sum += nearby[i];
  return sum;
}

// Row n of step t: from ybar [H] and dh [H], computes dp [3H], dq_n [H] and dh before the step.
// Accumulates dtheta [H] and the bias gradients [3H].
template <class T>
void cell_backward(const Backward<T>& b, int64_t t, int64_t n, int64_t u0, int64_t u1) {
  const int64_t H = b.units, at = (t * b.count + n) * H;
  const T *tape = b.tape + tape_fields * at, *before = tape - tape_fields * b.count * H;
  const int64_t in_chunk = at - b.first * b.count * H;
  T *dp = b.dp + 3 * in_chunk, *dq_n_row = b.dq_n + in_chunk, *dh_row = b.dh + n * H;
  vectors<T, 1>(u0, u1, [&](int64_t u, auto w, auto) {
    const auto field = [&](int i) { return load_upto(tape + i * H + u, w); };
    const auto add = [&](T* to, Vec<T> v) { store_upto(to + u, load_upto(to + u, w) + v, w); };
    const Vec<T> r = field(0), z = field(1), g = field(2), q_n = field(3), c = field(4);
    const Vec<T> theta = load_upto(b.theta + u, w), k = keep(b, at + u, w);
    const Vec<T> zero{};
    Vec<T> h;
    if (t == 0) {
      h = load_upto(b.h0 + n * H + u, w);
    } else {
      const Vec<T> c_before = load_upto(before + 4 * H + u, w);
      h = c_before - (c_before > theta ? theta : theta - theta);
    }
    Vec<T> Y = load_upto(b.ybar + n * H + u, w);
    if (b.dy) Y += load_upto(b.dy + at + u, w);
    const Vec<T> D = load_upto(dh_row + u, w);
    const Vec<T> distance = abs<T>(c - theta);
    const Vec<T> slope = distance >= b.width ? zero : b.height * (1 - distance / b.width);
    const Vec<T> e = slope * (c * Y - theta * D);
    const Vec<T> a = (c > theta ? Y : zero) + e + D;
    const Vec<T> inner = (1 - k) * a;
    const Vec<T> dp_n = (1 - g * g) * (1 - z) * inner;
    const Vec<T> dp_z = z * (1 - z) * (h - g) * inner;
    const Vec<T> dp_r = r * (1 - r) * q_n * dp_n;
    const Vec<T> dq_n = r * dp_n;
    store_upto(dp + u, dp_r, w);
    store_upto(dp + H + u, dp_z, w);
    store_upto(dp + 2 * H + u, dp_n, w);
    store_upto(dq_n_row + u, dq_n, w);
    store_upto(dh_row + u, ((1 - k) * z + k) * a, w);
    add(b.dtheta, -(e + (c > theta ? D : zero)));
    add(b.dbias_ih, dp_r);
    add(b.dbias_ih + H, dp_z);
    add(b.dbias_ih + 2 * H, dp_n);
    add(b.dbias_hh + 2 * H, dq_n);
  });
}

}  // namespace egru::EGRU_EXTENSION
