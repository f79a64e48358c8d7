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

// The events of one step: per thread's units and sequence a list, in their own place.
template <class T> struct StepEvents {
  int64_t *begin, *end;  // [threads, N]
  int32_t* index;        // [N, H]
  T* value;              // [N, H]
};

template <class T> struct Steps {
  const Forward<T>& f;
  int threads;
  StepEvents<T> events[2];  // before and after a step, by its parity

  Steps(const Forward<T>& f, int threads) : f(f), threads(threads) {
    char* scratch = static_cast<char*>(f.scratch);
    const int64_t even = (f.count * f.units + 1) / 2 * 2;  // keeps everything aligned
    for (StepEvents<T>& e : events) {
      e.begin = reinterpret_cast<int64_t*>(scratch);
      e.end = e.begin + threads * f.count;
      e.value = reinterpret_cast<T*>(e.end + threads * f.count);
      e.index = reinterpret_cast<int32_t*>(e.value + even);
      scratch = reinterpret_cast<char*>(e.index + even);
    }
  }

  int64_t before(int64_t t) const {  // events that step t starts from
    const StepEvents<T>& e = events[t % 2];
    int64_t total = 0;
    for (int64_t i = 0; i < threads * f.count; ++i) total += e.end[i] - e.begin[i];
    return total;
  }

  // Lists the events y [H] of sequence n, from which step t starts.
  void list(int64_t t, const T* y, int64_t n, int part, Range units) {
    const StepEvents<T>& e = events[t % 2];
    const int64_t at = n * f.units + units.begin, i = part * f.count + n;
    e.begin[i] = at;
    e.end[i] = at + collect(y, units.begin, units.end, e.index + at, e.value + at);
  }

  void list_first(int part) {
    for (int64_t n = 0; n < f.count; ++n)
      list(0, f.y0 + n * f.units, n, part, share<T>(f.units, part, threads));
  }

  template <class Visit> void visit_panels(int part, Visit visit) const {
    const int64_t H = f.units;
    const Range units = share<T>(H, part, threads);
    T* packed = f.packed ? f.packed + 3 * H * units.begin : nullptr;
    for (int gate = 0; gate < 3; ++gate) {
      const Panels<T> panels(gate * H + units.begin, gate * H + units.end, H);
      for (int64_t p = 0; p < panels.count; ++p) {
        visit(panels, p, packed);
        if (packed) packed += H * panels.size(p) * lanes<T>;
      }
    }
  }

  void pack_weights(int part) const {
    visit_panels(part, [&](const Panels<T>& panels, int64_t p, T* packed) {
      pack(reinterpret_cast<Vec<T>*>(packed), f.weight + panels.column(p), 3 * f.units, f.units,
           panels.size(p), panels.width(p));
    });
  }

  // q of the thread's units; multiply-accumulates.
  int64_t recur(int64_t t, int part) const {
    const int64_t N = f.count, H = f.units;
    const StepEvents<T>& e = events[t % 2];
    const Lists<T> lists{threads, N, N, e.begin, e.end, e.index, e.value};
    // Worth fetching ahead if most rows of the weights will be used.
    const bool fetch = f.packed && before(t) > H / 2;
    int64_t macs = 0;
    visit_panels(part, [&](const Panels<T>& panels, int64_t p, T* packed) {
      const int64_t column = panels.column(p), size = H * panels.size(p) * lanes<T>;
      const Panel<T> panel{packed ? packed : f.weight + column, 3 * H, panels.width(p),
                           fetch ? packed + size : nullptr, size};
      macs += panels.columns(p) *
              (packed ? gather_panel<T, true>(panels.size(p), lists, panel, f.q + column, 3 * H,
                                              f.bias_hh + column)
                      : gather_panel<T, false>(panels.size(p), lists, panel, f.q + column, 3 * H,
                                               f.bias_hh + column));
    });
    return macs;
  }

  void update(int64_t t, int part) {
    const int64_t N = f.count, H = f.units;
    const Range units = share<T>(H, part, threads);
    int64_t nearby = 0;
    for (int64_t n = 0; n < N; ++n) {
      nearby += cell_forward(f, t, n, units.begin, units.end);
      list(t + 1, f.y + (t * N + n) * H, n, part, units);
    }
    if (f.tape) {
#pragma omp atomic
      f.nearby[t] += nearby;
    }
  }
};

template <class T>
int64_t forward(const Forward<T>& f, int64_t step, bool given, int64_t limit, int threads,
                int64_t* macs) {
  Steps<T> steps(f, threads);
  int64_t next = step, done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
    const int first = omp_get_thread_num(), team = omp_get_num_threads();
    const bool is_packed = !f.packed || *f.is_packed;
    bool have_q = given, packed_now = is_packed;
    if (!given)  // only ever before the first step
      for (int part = first; part < threads; part += team) steps.list_first(part);
#pragma omp barrier
    int64_t t = step;
    while (t < f.steps && (have_q || steps.before(t) <= limit)) {
      for (int part = first; part < threads; part += team) {
        if (!have_q) {
          if (!packed_now) steps.pack_weights(part);
          done += steps.recur(t, part);
        }
        steps.update(t, part);
      }
      packed_now = packed_now || !have_q;
      have_q = false;
      ++t;
#pragma omp barrier
    }
    if (first == 0) {
      next = t;
      if (f.packed) *f.is_packed = packed_now;
    }
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
    Array<Vec<T>> packed(smaller(N, dots_group) * (3 * H / lanes<T> + 2));
    bool have_ybar = given;
    int64_t t = step;
    while (t >= 0 && (have_ybar || b.nearby[t] <= limit)) {
      for (int part = first; part < threads; part += team) {
        const Range units = share<T>(H, part, threads);
        if (!have_ybar) {
          const int64_t after = (t + 1) * N * H;
          const Columns<T> dq[] = {{b.dp + 3 * after, 3 * H, 2 * H, 0},
                                   {b.dq_n + after, H, H, 2 * H}};
          done += dots(b.ybar, b.near + t * N * H, Strips<T>{dq, 2}, b.weight, 3 * H, N, H,
                       units.begin, units.end, packed.data);
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
