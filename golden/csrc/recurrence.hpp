// A layer over its steps, forward and backward.
//
// Threads share the units, never a sum: each owns a range of units of all sequences, in all
// gates, so that results do not depend on their number. They meet once a step.
#pragma once
#include <omp.h>

#include "cell.hpp"
#include "dots.hpp"
#include "gather.hpp"

namespace egru::EGRU_TARGET {

struct Range {
  int64_t begin, end;
};

// Part `part` of `parts` of [0, size), in whole vectors.
template <class T> inline Range share(int64_t size, int part, int parts) {
  const int64_t vectors = (size + lanes<T> - 1) / lanes<T>;
  return {smaller(vectors * part / parts * lanes<T>, size),
          smaller(vectors * (part + 1) / parts * lanes<T>, size)};
}

constexpr int most_threads = 256;

// The events of one step: per block of units and sequence a list, in the block's own place.
template <class T> struct StepEvents {
  int64_t *begin, *end;  // [blocks, N]
  int32_t* index;        // [N, H]
  T* value;              // [N, H]
  int64_t total[most_threads];

  void collect(const T* y, int64_t n, int64_t count, int64_t units, int64_t block, Range range) {
    int64_t at = n * units + range.begin;
    begin[block * count + n] = at;
    for (int64_t u = range.begin; u < range.end; ++u) {
      index[at] = int32_t(u);
      value[at] = y[u];
      at += y[u] != 0;
    }
    end[block * count + n] = at;
  }
};

// Blocks of units, none of which belongs to two threads.
template <class T> inline int64_t blocks_before(int64_t units, int part, int parts) {
  int64_t blocks = 0;
  for (int i = 0; i < part; ++i) {
    const Range range = share<T>(units, i, parts);
    blocks += (range.end - range.begin + block_rows - 1) / block_rows;
  }
  return blocks;
}

template <class T>
int64_t forward(const Forward<T>& f, int64_t step, bool given, int64_t limit, int threads,
                int64_t* macs) {
  const int64_t N = f.count, H = f.units, blocks = blocks_before<T>(H, threads, threads);
  StepEvents<T> events[2];
  const int64_t even = (N * H + 1) / 2 * 2;  // keeps everything in the scratch aligned
  char* scratch = static_cast<char*>(f.scratch);
  for (StepEvents<T>& e : events) {
    e.begin = reinterpret_cast<int64_t*>(scratch);
    e.end = e.begin + blocks * N;
    e.value = reinterpret_cast<T*>(e.end + blocks * N);
    e.index = reinterpret_cast<int32_t*>(e.value + even);
    scratch = reinterpret_cast<char*>(e.index + even);
  }
  int64_t next = step, done = 0;

  // Takes step `t` for the units of one thread; leaves their events in the other list.
  const auto run = [&](int64_t t, int part, bool given_q) {
    const Range units = share<T>(H, part, threads);
    const StepEvents<T>& before = events[t % 2];
    StepEvents<T>& after = events[(t + 1) % 2];
    int64_t products = 0, nearby = 0, total = 0;
    if (!given_q) {
      const Gather<T> g{{blocks, N, before.begin, before.end, before.index, before.value},
                        N, f.weight, 3 * H, f.q, 3 * H, f.bias_hh};
      for (int gate = 0; gate < 3; ++gate)
        products += gather(g, gate * H + units.begin, gate * H + units.end);
    }
    int64_t block = blocks_before<T>(H, part, threads);
    for (int64_t u = units.begin; u < units.end; u += block_rows, ++block) {
      const Range range{u, smaller(u + block_rows, units.end)};
      for (int64_t n = 0; n < N; ++n) {
        nearby += cell_forward(f, t, n, range.begin, range.end);
        after.collect(f.y + (t * N + n) * H, n, N, H, block, range);
        total += after.end[block * N + n] - after.begin[block * N + n];
      }
    }
    after.total[part] = total;
    if (f.tape) {
#pragma omp atomic
      f.nearby[t] += nearby;
    }
    return products;
  };
  const auto too_many = [&](int64_t t) {
    int64_t total = 0;
    for (int part = 0; part < threads; ++part) total += events[t % 2].total[part];
    return total > limit;
  };

#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
    const int first = omp_get_thread_num(), team = omp_get_num_threads();
    bool have_q = given;
    if (!given) {  // only ever before the first step
      for (int part = first; part < threads; part += team) {
        const Range units = share<T>(H, part, threads);
        int64_t block = blocks_before<T>(H, part, threads), total = 0;
        for (int64_t u = units.begin; u < units.end; u += block_rows, ++block)
          for (int64_t n = 0; n < N; ++n) {
            StepEvents<T>& e = events[step % 2];
            e.collect(f.y0 + n * H, n, N, H, block, {u, smaller(u + block_rows, units.end)});
            total += e.end[block * N + n] - e.begin[block * N + n];
          }
        events[step % 2].total[part] = total;
      }
#pragma omp barrier
    }
    int64_t t = step;
    while (t < f.steps && (have_q || !too_many(t))) {
      for (int part = first; part < threads; part += team) done += run(t, part, have_q);
      have_q = false;
      ++t;
#pragma omp barrier
    }
    if (first == 0) next = t;
  }
  *macs += done;
  return next;
}

template <class T>
int64_t backward(const Backward<T>& b, int64_t step, bool given, int64_t limit, int threads,
                 int64_t* macs) {
  const int64_t N = b.count, H = b.units;
  int64_t next = step, done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
    const int first = omp_get_thread_num(), team = omp_get_num_threads();
    bool have_ybar = given;
    int64_t t = step;
    while (t >= 0 && (have_ybar || b.nearby[t] <= limit)) {
      for (int part = first; part < threads; part += team) {
        const Range units = share<T>(H, part, threads);
        if (!have_ybar) {
          const int64_t after = (t + 1) * N * H;
          const Columns<T> dq[] = {{b.dp + 3 * after, 3 * H, 2 * H, 0},
                                   {b.dq_n + after, H, H, 2 * H}};
          done += dots(b.ybar, b.near + t * N * H, dq, 2, b.weight, 3 * H, N, H, units.begin,
                       units.end);
        }
        for (int64_t n = 0; n < N; ++n) cell_backward(b, t, n, units.begin, units.end);
      }
      have_ybar = false;
      --t;
#pragma omp barrier
    }
    if (first == 0) {
      next = t;
      for (int64_t u = 0; u < 2 * H; ++u) b.dbias_hh[u] = b.dbias_ih[u];
    }
  }
  *macs += done;
  return next;
}

}  // namespace egru::EGRU_TARGET
