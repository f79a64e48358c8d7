// A layer over its steps, forward and backward.
//
// Threads share the units, never a sum: each has a range of units, in all sequences and gates, so
// results do not depend on their number. They synchronise once a step.
#pragma once
#include <omp.h>

#include "cell.hpp"
#include "dots.hpp"
#include "gather.hpp"
#include "memory.hpp"

namespace egru::EGRU_EXTENSION {

template <class T> struct Steps {
  const Forward<T>& f;
  int threads;
  // Before and after a step, by parity: events of each thread's units [threads], and counts.
  Events<T>* events[2];
  int64_t* total[2];
  Elements<T> elements[2];

  Steps(const Forward<T>& f, int threads, Array<Events<T>>& events_of, Array<int64_t>& totals)
      : f(f), threads(threads) {
    char* free = static_cast<char*>(f.scratch);
    const auto take = [&]<class U>(U*& array, int64_t size) {
      array = reinterpret_cast<U*>(free);
      free += size * sizeof(U);
    };
    const int64_t groups = groups_for(f.count), most = most_blocks(f.units);
    for (int parity = 0; parity < 2; ++parity) {
      events[parity] = events_of.data + parity * threads;
      total[parity] = totals.data + parity * threads;
      for (int part = 0; part < threads; ++part) {
        Events<T>& e = events[parity][part];
        e.groups = groups;
        e.most = most;
        take(e.blocks, groups);
        take(e.first_run, groups * (most + 1));
        take(e.first, groups * most);
        take(e.runs, groups * most * group_lists);
      }
      take(elements[parity].value, (f.count * f.units + 1) / 2 * 2);  // keeps everything aligned
      take(elements[parity].index, (f.count * f.units + 1) / 2 * 2);
    }
  }

  int64_t before(int64_t t) const {  // events that step t reads
    int64_t sum = 0;
    for (int part = 0; part < threads; ++part) sum += total[t % 2][part];
    return sum;
  }

  // Blocks of every thread's units for a step that reads about `count` events.
  int64_t blocks(int64_t count) const {
    if (!f.packed) return 1;
    return blocks_for(f.units / threads, f.count, count / threads);
  }

  // Lists the events y [N, H] of the thread's units, which step t reads.
  void list(int64_t t, const T* y, int part, int64_t blocks) const {
    Events<T>& e = events[t % 2][part];
    const Range units = share<T>(f.units, part, threads);
    const Elements<T> first = elements[t % 2].from(f.count * units.begin);
    Elements<T> at = first;
    for (int64_t g = 0; g < e.groups; ++g) {
      const int64_t n = g * group_lists;
      at = e.collect_rows(g, blocks, y + n * f.units, f.units, smaller(group_lists, f.count - n),
                          units.begin, units.end, at);
    }
    total[t % 2][part] = at.index - first.index;
  }

  GateSections<T> weights() const { return {f.weight, f.units}; }
  Packed<T> packed() const { return {{f.units, f.units, gates, threads}, f.packed}; }

  // W x of step t, from the first unit of a panel on.
  Gates<const T> input(int64_t t, const Panels<T>& panels, int64_t p) const {
    const int64_t row = (t - f.first) * f.count;
    if (f.p_gate) {
      const T* step = f.p + row * gates * f.p_gate;
      return {step + panels.column(p), f.p_gate, gates * f.p_gate};
    }
    const InPanels<T> all{(f.end - f.first) * f.count, f.units, gates, threads};
    Gates<const T> panel = tile(f.p + all.before(0, panels, p), all.rows, panels.row(p));
    panel.first += row * panel.row;
    return panel;
  }

  // Runs step t of the thread's units, panel by panel, so that the sums of R y are used while in
  // the nearest cache, and lists the events for the next step. Every other step visits the panels
  // in reverse, as the second-level cache still has the last ones. Returns the
  // multiply-accumulates.
  int64_t run(int64_t t, int part, bool have_q, int64_t blocks) const {
    const int64_t H = f.units, N = f.count;
    const Range units = share<T>(H, part, threads);
    const Panels<T> panels(units);
    const Lists<T> lists{N, threads, events[t % 2]};
    const bool in_panels = !have_q && f.packed, back = t % 2;
    const bool whole_rows = !in_panels && f.p_gate;  // nothing is in panels
    const bool fetch = in_panels && before(t) > H / 2 && worth_fetching<T>(H, H, threads);
    const int64_t q_gate = have_q ? H : padded(H), last = whole_rows ? 0 : panels.count - 1;
    int64_t macs = 0, nearby = 0;
    if (!have_q && !f.packed)
      macs = gather(lists, weights(), H, units, f.q, padded(H), f.bias_hh);
    for (int64_t i = 0; i <= last; ++i) {
      const int64_t p = back ? last - i : i, next = smaller(i + 1, last);
      const int64_t u0 = panels.column(p), u1 = whole_rows ? units.end : u0 + panels.columns(p);
      Gates<T> q{f.q + u0, q_gate, gates * q_gate};
      if (in_panels) {
        q = tile(f.q + N * gates * units.begin, N, panels.row(p));
        macs += gather(lists, packed(), {0, 1, 2}, panels, p, fetch, back ? last - next : next,
                       To::tile, q, f.bias_hh);
      }
      const Gates<const T> given{q.first, q.gate, q.row}, x = input(t, panels, p);
      nearby += cell_forward(f, t, u0, u1, x, given);
    }
    list(t + 1, f.y + t * N * H, part, blocks);
    if (f.tape) {
#pragma omp atomic
      f.nearby[t] += nearby;
    }
    return macs;
  }
};

template <class T>
Progress forward(Forward<T>& f, int64_t step, bool given, int64_t limit, int threads) {
  const T* before = step ? f.y + (step - 1) * f.count * f.units : f.y0;
  // Counted before any thread is woken.
  if (!given && nonzeros(before, f.units, f.count, f.units) > limit) return {step, 0};
  Array<Events<T>> events(2 * threads);
  Array<int64_t> totals(2 * threads);
  Steps<T> steps(f, threads, events, totals);
  int64_t next = step, done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
    const int first = omp_get_thread_num(), team = omp_get_num_threads();
    const bool is_packed = !f.packed || f.is_packed;
    bool have_q = given, packed_now = is_packed;
    int64_t blocks = steps.blocks(f.count * f.units), next_blocks;
    if (!given)  // only before the first step
      for (int part = first; part < threads; part += team) steps.list(step, before, part, blocks);
#pragma omp barrier
    int64_t t = step;
    while (t < f.end && (have_q || steps.before(t) <= limit)) {
      next_blocks = have_q ? blocks : steps.blocks(steps.before(t));
      for (int part = first; part < threads; part += team) {
        if (!have_q && !packed_now) steps.packed().pack(steps.weights().of, part);
        done += steps.run(t, part, have_q, next_blocks);
      }
      blocks = next_blocks;
      packed_now = packed_now || !have_q;
      have_q = false;
      ++t;
#pragma omp barrier
    }
    if (first == 0) {
      next = t;
      if (f.packed) f.is_packed = packed_now;
    }
  }
  return {next, done};
}

template <class T>
Progress backward(const Backward<T>& b, int64_t step, bool given, int64_t limit, int threads) {
  const int64_t N = b.count, H = b.units;
  int64_t next = step, done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
    const int first = omp_get_thread_num(), team = omp_get_num_threads();
    Array<Vec<T>> packed(smaller(N, dots_group) * (3 * H / lanes<T> + 2));
    bool have_ybar = given;
    int64_t t = step;
    while (t >= b.first && (have_ybar || b.nearby[t] <= limit)) {
      for (int part = first; part < threads; part += team) {
        const Range units = share<T>(H, part, threads);
        if (!have_ybar) {
          const int64_t after = (t + 1 - b.first) * N * H;
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
  return {next, done};
}

}  // namespace egru::EGRU_EXTENSION
