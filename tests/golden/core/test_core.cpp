// Standalone tests of the core, for sanitizers: every vector extension, random shapes, activity
// from none to all, against plain loops; bit-identical results for 1, 2 and 3 threads.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>

#include "extension.hpp"

using namespace egru;

namespace {

std::mt19937_64 random_bits;

int64_t integer(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random_bits);
}

// Numbers in [-scale, scale], of which about `density` are not zero.
template <class T> std::vector<T> numbers(int64_t size, double density = 1, double scale = 1) {
  std::uniform_real_distribution<double> value(-scale, scale), chance(0, 1);
  std::vector<T> v(size);
  for (T& x : v) x = chance(random_bits) < density ? T(value(random_bits)) : T(0);
  return v;
}

int failures = 0;

void expect(bool right, const std::string& extension, const char* what) {
  if (right) return;
  ++failures;
  std::printf("FAILED %s: %s\n", extension.c_str(), what);
}

template <class T> bool close(const std::vector<T>& found, const std::vector<double>& expected) {
  double worst = 0, largest = 1;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!std::isfinite(double(found[i]))) return false;
    worst = std::fmax(worst, std::fabs(double(found[i]) - expected[i]));
    largest = std::fmax(largest, std::fabs(expected[i]));
  }
  return found.size() == expected.size() && worst <= largest * (sizeof(T) == 4 ? 2e-5 : 1e-12);
}

template <class T> bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <class T> T* aligned(int64_t size) {
  return static_cast<T*>(std::aligned_alloc(64, (size * sizeof(T) / 64 + 1) * 64));
}

// Room for `sections` packed matrices [rows, H].
template <class T> T* room_for(int64_t rows, int64_t H, int sections) {
  return aligned<T>(packed_size(rows, H, sections));
}

template <class T> void test_products(const VectorExtension& extension, int64_t M, int64_t K, int64_t H) {
  const int64_t J = 3 * H;
  const double density = std::uniform_real_distribution<double>(0, 1)(random_bits);
  const std::vector<T> x = numbers<T>(M * K, density), w = numbers<T>(K * J);
  const std::vector<T> d = numbers<T>(M * J), d_last = numbers<T>(M * H), start = numbers<T>(K * J);
  std::vector<uint8_t> wanted(M * K);
  for (uint8_t& flag : wanted) flag = integer(0, 2) == 0;
  const bool recurrent = integer(0, 1);
  const auto gradient = [&](int64_t m, int64_t j) {
    return double(recurrent && j >= 2 * H ? d_last[m * H + j - 2 * H] : d[m * J + j]);
  };
  std::vector<double> xw(M * J), xd(start.begin(), start.end()), dw(M * K);
  int64_t events = 0, pairs = 0;
  for (int64_t m = 0; m < M; ++m)
    for (int64_t k = 0; k < K; ++k) {
      events += x[m * K + k] != 0;
      pairs += wanted[m * K + k];
      for (int64_t j = 0; j < J; ++j) {
        xw[m * J + j] += double(x[m * K + k]) * w[k * J + j];
        xd[k * J + j] += double(x[m * K + k]) * gradient(m, j);
        if (wanted[m * K + k]) dw[m * K + k] += double(d[m * J + j]) * w[k * J + j];
      }
    }
  std::vector<T> first[3];
  for (int threads = 1; threads <= 3; ++threads)
    for (const bool pack : {false, true}) {
      const Functions<T>& f = extension.functions<T>();
      T* room = aligned<T>(M * 3 * padded(H));
      std::vector<T> product(M * J), outer = start, dots(M * K);
      Product<T> weights{.inputs = K, .units = H, .x = x.data(), .w = w.data(), .out = room,
                         .packed = pack ? room_for<T>(K, H, 3) : nullptr};
      Outer<T> gradients{.rows = M, .units = H, .dp = d.data(), .dq_n = d_last.data(),
                         .packed = room_for<T>(M, H, 4)};
      const auto multiply = [&](int64_t limit) {
        return f.product(weights, 0, M, false, limit, threads);
      };
      const auto add = [&](int64_t limit) {
        return f.outer(gradients, outer.data(), x.data(), K, recurrent, limit, threads);
      };
      expect(multiply(events - 1) == -1 && add(events - 1) == -1 && outer == start, extension.name,
             "nothing is done beyond the limit");
      expect(multiply(events) == events * J && add(events) == events * J, extension.name,
             "multiply-accumulates are those of the events");
      if (weights.is_packed) {
        std::fill_n(room, M * 3 * padded(H), T(0));
        multiply(events);  // reuses packed data
      }
      const int64_t macs =
          f.dots(dots.data(), wanted.data(), d.data(), w.data(), M, K, J, threads);
      std::free(weights.packed);
      std::free(gradients.packed);
      for (int64_t m = 0; m < M; ++m)
        for (int64_t j = 0; j < J; ++j)
          product[m * J + j] = room[(3 * m + j / H) * padded(H) + j % H];
      std::free(room);
      expect(close(product, xw), extension.name, "product");
      expect(close(outer, xd), extension.name, "outer");
      expect(close(dots, dw), extension.name, "dots");
      expect(macs == pairs * J, extension.name, "multiply-accumulates are those that are wanted");
      const std::vector<T>* found[] = {&product, &outer, &dots};
      for (int i = 0; i < 3; ++i) {
        if (threads == 1 && !pack) first[i] = *found[i];
        expect(same(first[i], *found[i]), extension.name,
               "products do not depend on threads or packing");
      }
    }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// All results of the forward and backward pass of a layer.
template <class T> struct Run {
  std::vector<T> y, h, dp, dq_n, dtheta, dbias_ih, dbias_hh, dh;
};

template <class T> void test_layer(const VectorExtension& extension, int64_t steps, int64_t N, int64_t H) {
  const std::vector<T> weight = numbers<T>(3 * H * H, 1, 2 / std::sqrt(double(H)));
  const std::vector<T> bias_ih = numbers<T>(3 * H), bias_hh = numbers<T>(3 * H);
  const int64_t C = integer(1, 20), M = steps * N, pitch = padded(H);
  const std::vector<T> x = numbers<T>(M * C, 0.7), w = numbers<T>(C * 3 * H);
  const int64_t all = M * C;
  T* p = aligned<T>(M * 3 * pitch);
  Product<T> unpacked{.inputs = C, .units = H, .x = x.data(), .w = w.data(), .out = p,
                      .packed = nullptr};
  extension.functions<T>().product(unpacked, 0, M, false, all, 1);
  const std::vector<T> y0 = numbers<T>(N * H, 0.3), h0 = numbers<T>(N * H);
  const std::vector<T> dy = numbers<T>(steps * N * H), dh = numbers<T>(N * H);
  std::vector<T> theta = numbers<T>(H, 1, 0.5);
  for (T& value : theta) value = std::fabs(value);
  std::vector<uint8_t> kept(integer(0, 1) * steps * N * H);
  for (uint8_t& flag : kept) flag = integer(0, 3) == 0;
  // Of events: no limit, a third, or exactly the number at the start.
  const int64_t limits[] = {N * H, N * H / 3, N * H - std::count(y0.begin(), y0.end(), T(0))};
  const int64_t limit = limits[integer(0, 2)];
  const T zoneout = kept.empty() ? T(0.25) : T(0), height = T(0.7), width = T(0.4);

  Run<T> first;
  for (int threads = 1; threads <= 3; ++threads)
    for (const bool packed : {false, true}) {
      Run<T> r{std::vector<T>(steps * N * H), h0, std::vector<T>(steps * N * 3 * H),
               std::vector<T>(steps * N * H), std::vector<T>(H), std::vector<T>(3 * H),
               std::vector<T>(3 * H), dh};
      std::vector<T> tape(steps * N * 5 * H), q(N * 3 * padded(H)), ybar(N * H);
      std::vector<uint8_t> near(steps * N * H);
      std::vector<int64_t> nearby(steps);
      std::vector<char> scratch(forward_scratch(N, H, threads, sizeof(T)));
      const Functions<T>& f = extension.functions<T>();
      // W x in padded rows, in rows of a dense product, or in panels.
      T* by_steps = aligned<T>(M * 3 * pitch);
      int64_t p_gate = integer(0, 1) ? H : pitch;
      for (int64_t row = 0; row < M * 3; ++row)
        std::copy_n(p + row * pitch, H, by_steps + row * p_gate);
      if (integer(0, 1)) {
        Product<T> product{.inputs = C, .units = H, .x = x.data(), .w = w.data(), .out = by_steps,
                           .packed = room_for<T>(C, H, 3)};
        f.product(product, 0, M, true, all, threads);
        p_gate = product.is_packed ? 0 : pitch;
        std::free(product.packed);
      }
      const Layer<T> layer{.count = N, .units = H, .weight = weight.data(), .theta = theta.data(),
                           .kept = kept.empty() ? nullptr : kept.data(), .zoneout = zoneout,
                           .width = width};
      Forward<T> forward{layer};
      forward.bias_ih = bias_ih.data();
      forward.bias_hh = bias_hh.data();
      forward.y0 = y0.data();
      forward.y = r.y.data();
      forward.h = r.h.data();
      forward.tape = tape.data();
      forward.near = near.data();
      forward.nearby = nearby.data();
      forward.q = q.data();
      forward.packed = packed ? room_for<T>(H, H, 3) : nullptr;
      forward.scratch = scratch.data();
      forward.end = steps;
      forward.p = by_steps;
      forward.p_gate = p_gate;
      int64_t macs = 0, needed = 0;
      const auto run = [&](int64_t step, bool given) {
        const Progress to = f.forward(forward, step, given, limit, threads);
        macs += to.macs;
        return to.next;
      };
      for (int64_t t = 0, stopped = 0; t < steps; ++t) {
        const T* y = t ? &r.y[(t - 1) * N * H] : y0.data();
        int64_t events = 0;
        if (t == 0) stopped = run(0, false);
        for (int64_t i = 0; i < N * H; ++i) events += y[i] != 0;
        expect((t == stopped) == (events > limit), extension.name,
               "forward stops at the first step with more events than the limit");
        if (t < stopped) {
          needed += 3 * H * events;
          continue;
        }
        for (int64_t n = 0; n < N; ++n)
          for (int64_t j = 0; j < 3 * H; ++j) {
            double sum = bias_hh[j];
            for (int64_t k = 0; k < H; ++k) sum += double(y[n * H + k]) * weight[k * 3 * H + j];
            q[n * 3 * H + j] = T(sum);
          }
        stopped = run(t, true);
      }
      expect(macs == needed, extension.name, "forward multiplies for events only");
      std::free(forward.packed);
      std::free(by_steps);

      // Recomputes every step from its initial state and events.
      std::vector<double> y_expected(steps * N * H), c_expected(steps * N * H);
      std::vector<double> found_c(steps * N * H);
      for (int64_t t = 0; t < steps; ++t)
        for (int64_t n = 0; n < N; ++n)
          for (int64_t u = 0; u < H; ++u) {
            const int64_t at = (t * N + n) * H + u;
            double sums[3];
            for (int gate = 0; gate < 3; ++gate) {
              sums[gate] = bias_hh[gate * H + u];
              for (int64_t k = 0; k < H; ++k)
                sums[gate] += double(t ? r.y[at - N * H - u + k] : y0[n * H + k]) *
                              weight[k * 3 * H + gate * H + u];
            }
            const T* input = p + (t * N + n) * 3 * pitch + u;
            double before = h0[n * H + u];
            if (t) {
              before = tape[((t - 1) * N + n) * 5 * H + 4 * H + u];
              if (before > theta[u]) before -= theta[u];
            }
            const double reset = sigmoid(input[0] + bias_ih[u] + sums[0]);
            const double z = sigmoid(input[pitch] + bias_ih[H + u] + sums[1]);
            const double g = std::tanh(input[2 * pitch] + bias_ih[2 * H + u] + reset * sums[2]);
            const double k = kept.empty() ? double(zoneout) : kept[at];
            c_expected[at] = k * before + (1 - k) * (z * before + (1 - z) * g);
            found_c[at] = tape[(t * N + n) * 5 * H + 4 * H + u];
            y_expected[at] = found_c[at] > theta[u] ? found_c[at] : 0;
          }
      expect(close(std::vector<T>(found_c.begin(), found_c.end()), c_expected), extension.name,
             "states");
      expect(close(r.y, y_expected), extension.name, "events");

      Backward<T> backward{layer};
      backward.height = height;
      backward.h0 = h0.data();
      backward.tape = tape.data();
      backward.near = near.data();
      backward.nearby = nearby.data();
      backward.dy = dy.data();
      backward.dh = r.dh.data();
      backward.ybar = ybar.data();
      backward.dp = r.dp.data();
      backward.dq_n = r.dq_n.data();
      backward.dtheta = r.dtheta.data();
      backward.dbias_ih = r.dbias_ih.data();
      backward.dbias_hh = r.dbias_hh.data();
      const Progress to = f.backward(backward, steps - 1, true, N * H, threads);
      expect(to.next == -1, extension.name, "backward runs to the start");
      needed = 0;
      for (int64_t t = 0; t + 1 < steps; ++t) needed += 3 * H * nearby[t];
      expect(to.macs == needed, extension.name, "backward multiplies for near units only");
      if (threads == 1 && !packed) first = r;
      expect(same(first.y, r.y) && same(first.h, r.h) && same(first.dp, r.dp) &&
                 same(first.dq_n, r.dq_n) && same(first.dtheta, r.dtheta) &&
                 same(first.dbias_ih, r.dbias_ih) && same(first.dbias_hh, r.dbias_hh) &&
                 same(first.dh, r.dh),
             extension.name, "a layer does not depend on threads or packing");
    }
  std::free(p);
}

}  // namespace

int main() {
  const uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  random_bits.seed(seed);
  for (const VectorExtension& extension : vector_extensions()) {
    // A layer whose W x bypasses the caches.
    test_layer<float>(extension, 80, 70, integer(63, 64));
    for (int i = 0; i < 8; ++i) {
      test_products<float>(extension, integer(1, 300), integer(1, 300), integer(1, 90));
      test_products<double>(extension, integer(1, 300), integer(1, 300), integer(1, 90));
      test_layer<float>(extension, integer(1, 6), integer(1, 70), integer(1, 160));
      test_layer<double>(extension, integer(1, 6), integer(1, 70), integer(1, 160));
    }
  }
  std::printf(failures ? "%d failures\n" : "passed\n", failures);
  return failures != 0;
}
