// The element-wise part of one step of one sequence, units [u0, u1), forward and backward.
#pragma once
#include "layer.hpp"
#include "simd.hpp"

namespace egru::EGRU_TARGET {

template <class T> inline void add(T* to, Vec<T> v, int64_t width) {
  store_upto(to, load_upto(to, width) + v, width);
}

// Share of the state before that a unit keeps: zoneout.
template <class T> inline Vec<T> keep(const Layer<T>& layer, int64_t at, int64_t width) {
  if (!layer.kept) return splat(layer.zoneout);
  Vec<T> k{};
  for (int64_t i = 0; i < width; ++i) k[i] = layer.kept[at + i];
  return k;
}

// Row n of step t: q [3H] and the state h [H] to y [H], h and the tape [5, H].
template <class T>
int64_t cell_forward(const Forward<T>& f, int64_t t, int64_t n, int64_t u0, int64_t u1) {
  const int64_t H = f.units, at = (t * f.count + n) * H;
  const T *p = f.p + 3 * at, *q = f.q + 3 * H * n;
  T *h_row = f.h + n * H, *y_row = f.y + at, *tape = f.tape + tape_fields * at;
  int64_t nearby = 0;
  for (int64_t u = u0; u < u1; u += lanes<T>) {
    const int64_t w = u1 - u < lanes<T> ? u1 - u : lanes<T>;
    const auto input = [&](int gate) {
      return load_upto(p + gate * H + u, w) + load_upto(f.bias_ih + gate * H + u, w);
    };
    const Vec<T> h = load_upto(h_row + u, w), theta = load_upto(f.theta + u, w);
    const Vec<T> q_n = load_upto(q + 2 * H + u, w);
    const Vec<T> r = sigmoid<T>(input(0) + load_upto(q + u, w));
    const Vec<T> z = sigmoid<T>(input(1) + load_upto(q + H + u, w));
    const Vec<T> g = tanh<T>(input(2) + r * q_n);
    const Vec<T> k = keep(f, at + u, w);
    const Vec<T> c = k * h + (1 - k) * (z * h + (1 - z) * g);
    const Vec<T> o = c > theta ? splat<T>(1) : splat<T>(0);
    store_upto(y_row + u, o * c, w);
    store_upto(h_row + u, c - o * theta, w);
    if (!f.tape) continue;
    store_upto(tape + u, r, w);
    store_upto(tape + H + u, z, w);
    store_upto(tape + 2 * H + u, g, w);
    store_upto(tape + 3 * H + u, q_n, w);
    store_upto(tape + 4 * H + u, c, w);
    const Vec<T> is_near = c > theta || abs<T>(c - theta) < f.width ? splat<T>(1) : splat<T>(0);
    for (int64_t i = 0; i < w; ++i) {
      const bool near = is_near[i] != 0;
      f.near[at + u + i] = near;
      nearby += near;
    }
  }
  return nearby;
}

// Row n of step t: ybar [H] and dh [H] to dp [3H], dq_n [H], dh before the step, and sums over
// steps and sequences in dtheta [H] and the biases' gradients [3H].
template <class T>
void cell_backward(const Backward<T>& b, int64_t t, int64_t n, int64_t u0, int64_t u1) {
  const int64_t H = b.units, at = (t * b.count + n) * H;
  const T *tape = b.tape + tape_fields * at, *before = tape - tape_fields * b.count * H;
  T *dp = b.dp + 3 * at, *dh_row = b.dh + n * H;
  for (int64_t u = u0; u < u1; u += lanes<T>) {
    const int64_t w = u1 - u < lanes<T> ? u1 - u : lanes<T>;
    const auto field = [&](int i) { return load_upto(tape + i * H + u, w); };
    const Vec<T> r = field(0), z = field(1), g = field(2), q_n = field(3), c = field(4);
    const Vec<T> theta = load_upto(b.theta + u, w), k = keep(b, at + u, w);
    const Vec<T> zero{};
    Vec<T> h;
    if (t == 0) {
      h = load_upto(b.h0 + n * H + u, w);
    } else {
      const Vec<T> c_before = load_upto(before + 4 * H + u, w);
      h = c_before > theta ? c_before - theta : c_before;
    }
    Vec<T> Y = load_upto(b.ybar + n * H + u, w);
    if (b.dy) Y += load_upto(b.dy + at + u, w);
    const Vec<T> D = load_upto(dh_row + u, w);
    const Vec<T> slope = 1 - abs<T>(c - theta) / b.width;
    const Vec<T> e = b.height * (slope > 0 ? slope : zero) * (c * Y - theta * D);
    const Vec<T> a = (c > theta ? Y : zero) + e + D;
    const Vec<T> inner = (1 - k) * a;
    const Vec<T> dp_n = (1 - g * g) * (1 - z) * inner;
    const Vec<T> dp_z = z * (1 - z) * (h - g) * inner;
    const Vec<T> dp_r = r * (1 - r) * q_n * dp_n;
    const Vec<T> dq_n = r * dp_n;
    store_upto(dp + u, dp_r, w);
    store_upto(dp + H + u, dp_z, w);
    store_upto(dp + 2 * H + u, dp_n, w);
    store_upto(b.dq_n + at + u, dq_n, w);
    store_upto(dh_row + u, ((1 - k) * z + k) * a, w);
    add(b.dtheta + u, -(e + (c > theta ? D : zero)), w);
    add(b.dbias_ih + u, dp_r, w);
    add(b.dbias_ih + H + u, dp_z, w);
    add(b.dbias_ih + 2 * H + u, dp_n, w);
    add(b.dbias_hh + 2 * H + u, dq_n, w);
  }
}

}  // namespace egru::EGRU_TARGET
