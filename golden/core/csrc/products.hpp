// Products with events over all steps at once: W x, and the gradients of the weights.
#pragma once
#include "recurrence.hpp"

namespace egru::EGRU_EXTENSION {

// The non-zeros of a matrix: `lists` lists, one per row or column of `length` elements.
template <class T> struct OwnEvents {
  int64_t lists, length, elements = 0;
  Array<int64_t> blocks, first_run;
  Array<Elements<T>> first;
  Array<Run> runs;
  Array<void*> memory;  // of each group's elements, allocated as needed
  Events<T> events;

  OwnEvents(int64_t lists, int64_t length)
      : lists(lists),
        length(length),
        blocks(groups_for(lists)),
        first_run(groups_for(lists) * (most_blocks(length) + 1)),
        first(groups_for(lists) * most_blocks(length)),
        runs(groups_for(lists) * most_blocks(length) * group_lists),
        memory(groups_for(lists)),
        events{groups_for(lists), most_blocks(length), blocks.data, first_run.data, first.data,
               runs.data} {
    std::memset(memory.data, 0, events.groups * sizeof(void*));
  }
  ~OwnEvents() {
    for (int64_t g = 0; g < events.groups; ++g) std::free(memory[g]);
  }

  // False if there are more than `limit`. count(first, size) counts those of lists
  // [first, first + size); collect(group, blocks, first, size, to) stores them: at once, while they
  // are cached, or, if groups this full would exceed the limit, after all are counted.
  // worth_packing(elements): whether so many in total are worth blocks.
  template <class Worth, class Count, class Collect>
  bool fill(int64_t limit, int threads, Worth worth_packing, Count count, Collect collect) {
    const int64_t groups = events.groups;
    int64_t all = 0;
    Array<int64_t> found(groups);
    const auto size = [&](int64_t g) { return smaller(group_lists, lists - g * group_lists); };
    const auto add = [&](int64_t g) {
      memory[g] = std::malloc(found[g] * (sizeof(T) + sizeof(int32_t)) + 1);
      if (!memory[g]) std::abort();
      T* value = static_cast<T*>(memory[g]);
      const bool in_blocks = worth_packing(found[g] * groups);
      collect(g, in_blocks ? blocks_for(length, size(g), found[g]) : 1, g * group_lists, size(g),
              Elements<T>{reinterpret_cast<int32_t*>(value + found[g]), value});
    };
#pragma omp parallel num_threads(int(smaller(threads, groups)))
    {
#pragma omp for reduction(+ : all)
      for (int64_t g = 0; g < groups; ++g) {
        all += found[g] = count(g * group_lists, size(g));
        if (found[g] * groups <= limit) add(g);
      }
      if (all <= limit) {
#pragma omp for
        for (int64_t g = 0; g < groups; ++g)
          if (found[g] * groups > limit) add(g);
      }
    }
    elements = all;
    return all <= limit;
  }
};

// Uses of a row from which packing pays: it is then read from the first-level cache.
constexpr int64_t packing_pays_from = 16;

template <class T>
int64_t product(Product<T>& p, int64_t first, int64_t M, bool in_panels, int64_t limit,
                int threads) {
  const int64_t K = p.inputs, units = p.units;
  const T* x = p.x + first * K;
  OwnEvents<T> own(M, K);
  const auto worth_packing = [&](int64_t elements) {
    return p.packed && (p.is_packed || elements > packing_pays_from * K);
  };
  const auto count = [&](int64_t row, int64_t rows) { return nonzeros(x + row * K, K, rows, K); };
  const auto collect = [&](int64_t g, int64_t blocks, int64_t row, int64_t rows, Elements<T> to) {
    own.events.collect_rows(g, blocks, x + row * K, K, rows, 0, K, to);
  };
  if (!own.fill(limit, threads, worth_packing, count, collect)) return -1;
  const bool pack = worth_packing(own.elements);
  Array<T> zeros(gates * units);
  std::memset(zeros.data, 0, gates * units * sizeof(T));
  const Lists<T> lists{M, 1, &own.events};
  const GateSections<T> sections(p.w, units);
  const Packed<T> dense{{K, units, gates, threads}, p.packed};
  const InPanels<T> result{M, units, gates, threads};
  const auto place = [&](const Panels<T>& panels, int64_t i) -> Gates<T> {
    if (in_panels) return tile(p.out + result.before(0, panels, i), M, panels.row(i));
    return {p.out + panels.column(i), padded(units), gates * padded(units)};
  };
  const bool far = M * gates * padded(units) * int64_t(sizeof(T)) > beyond_caches;
  const To to = !in_panels ? To::rows : far ? To::far_tile : To::tile;
  int64_t macs = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : macs)
  for (int part = 0; part < threads; ++part)
    if (pack) {
      if (!p.is_packed) dense.pack(sections.of, part);
      macs += gather(lists, dense, {0, 1, 2}, part, to, place, zeros.data);
    } else {
      macs += gather(lists, sections, units, share<T>(units, part, threads), p.out,
                     padded(units), zeros.data);
    }
  p.is_packed = p.is_packed || pack;
  return macs;
}

template <class T>
int64_t outer(Outer<T>& o, T* out, const T* x, int64_t K, bool recurrent, int64_t limit,
              int threads) {
  const int64_t M = o.rows, units = o.units;
  OwnEvents<T> own(K, M);
  // With fewer, most rows of `out` do not change; panels would read and write them all.
  const auto worth_packing = [&](int64_t elements) { return elements > K; };
  const auto count = [&](int64_t column, int64_t columns) {
    return nonzeros(x + column, K, M, columns);
  };
  const auto collect = [&](int64_t g, int64_t blocks, int64_t column, int64_t columns,
                           Elements<T> to) {
    own.events.collect_columns(g, blocks, x + column, K, columns, M, to);
  };
  if (!own.fill(limit, threads, worth_packing, count, collect)) return -1;
  const bool pack = worth_packing(own.elements);
  const Lists<T> lists{K, 1, &own.events};
  GateSections<T> chosen(o.dp, units);
  const Section<T> sections[] = {chosen.of[0], chosen.of[1], chosen.of[2], {o.dq_n, units}};
  if (recurrent) chosen.of[2] = sections[3];
  const Packed<T> dense{{M, units, 4, threads}, o.packed};
  const auto place = [&](const Panels<T>& panels, int64_t p) -> Gates<T> {
    return {out + panels.column(p), units, gates * units};
  };
  const T* unchanged = nullptr;
  int64_t macs = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : macs)
  for (int part = 0; part < threads; ++part)
    if (pack) {
      if (!o.is_packed) dense.pack(sections, part);
      macs += gather(lists, dense, {0, 1, recurrent ? 3 : 2}, part, To::rows, place, unchanged);
    } else {
      macs += gather(lists, chosen, units, share<T>(units, part, threads), out, units, unchanged);
    }
  o.is_packed = o.is_packed || pack;
  return macs;
}

// out [M, K] = d [M, J] · w [K, J] transposed, where wanted
template <class T>
int64_t wanted_dots(T* out, const uint8_t* wanted, const T* d, const T* w, int64_t M, int64_t K,
                    int64_t J, int threads) {
  int64_t macs = 0;
  const Columns<T> columns[] = {{d, J, J, 0}};
  const Strips<T> strips{columns, 1};
#pragma omp parallel num_threads(threads) reduction(+ : macs)
  {
    Array<Vec<T>> packed(smaller(M, dots_group) * strips.vectors());
#pragma omp for schedule(static, 1)
    for (int part = 0; part < threads; ++part) {
      const Range units = share<T>(K, part, threads);
      macs += dots(out, wanted, strips, w, J, M, K, units.begin, units.end, packed.data);
    }
  }
  return macs;
}

}  // namespace egru::EGRU_EXTENSION
