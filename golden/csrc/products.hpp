// Products with events over all steps at once: the input's, and the weights' gradients.
#pragma once
#include "recurrence.hpp"

namespace egru::EGRU_TARGET {

// Events in memory of their own.
template <class T> struct OwnEvents {
  Array<int64_t> first_run, first_element;
  Array<Run> runs;
  Array<int32_t> index;
  Array<T> value;
  Events<T> events;

  OwnEvents(int64_t lists, int64_t blocks, int64_t elements)
      : first_run(groups_for(lists) * (blocks + 1)),
        first_element(groups_for(lists) * blocks),
        runs(groups_for(lists) * blocks * group_lists),
        index(elements),
        value(elements),
        events{groups_for(lists), blocks, first_run.data, first_element.data, runs.data,
               index.data, value.data} {}
};

// start [groups + 1]: where each group's elements begin, of which count(group) tells how many.
template <class Count>
void offsets(Array<int64_t>& start, int64_t groups, int threads, Count count) {
#pragma omp parallel for num_threads(int(smaller(threads, groups)))
  for (int64_t g = 0; g < groups; ++g) start[g + 1] = count(g);
  start[0] = 0;
  for (int64_t g = 0; g < groups; ++g) start[g + 1] += start[g];
}

// Uses of a row that pay for packing it: it is then read from the first-level cache.
constexpr int64_t packing_pays_from = 16;

// out [M, 3, padded H], aligned, or in panels, = x [M, K] w [K, 3H]
template <class T>
int64_t product(T* out, bool in_panels, const T* x, const T* w, T* packed, bool* is_packed,
                int64_t M, int64_t K, int64_t units, int64_t limit, int threads) {
  const int64_t groups = groups_for(M);
  const auto rows_of = [&](int64_t g) { return smaller(group_lists, M - g * group_lists); };
  Array<int64_t> start(groups + 1);
  offsets(start, groups, threads,
        [&](int64_t g) { return nonzeros(x + g * group_lists * K, K, rows_of(g), K); });
  const int64_t elements = start[groups];
  if (elements > limit) return -1;
  const bool pack = packed && (*is_packed || elements > packing_pays_from * K);
  Array<T> zeros(gates * units);
  std::memset(zeros.data, 0, gates * units * sizeof(T));
  OwnEvents<T> own(M, pack ? blocks_for(K, M, elements) : 1, elements);
  const Lists<T> lists{M, 1, &own.events};
  const GateSections<T> sections(w, units);
  const Packed<T> dense{{K, units, gates, threads}, packed};
  const InPanels<T> result{M, units, gates, threads};
  const auto place = [&](const Panels<T>& panels, int64_t p) -> Gates<T> {
    if (in_panels) return tile(out + result.before(0, panels, p), M, panels.row(p));
    return {out + panels.column(p), padded(units), gates * padded(units)};
  };
  const bool far = M * gates * padded(units) * int64_t(sizeof(T)) > beyond_caches;
  int64_t macs = 0;
#pragma omp parallel num_threads(threads) reduction(+ : macs)
  {
#pragma omp for
    for (int64_t g = 0; g < groups; ++g)
      own.events.collect_rows(g, x + g * group_lists * K, K, rows_of(g), 0, K, start[g]);
#pragma omp for schedule(static, 1)
    for (int part = 0; part < threads; ++part)
      if (pack) {
        if (!*is_packed) dense.pack(sections.of, part);
        macs += gather(lists, dense, {0, 1, 2}, part, place, zeros.data, far);
      } else {
        macs += gather(lists, sections, units, share<T>(units, part, threads), out, padded(units),
                       zeros.data);
      }
  }
  if (pack) *is_packed = true;
  return macs;
}

// out [K, 3H] += x [M, K] transposed · (dp [M, 3H], or dp with dq_n [M, H] as its last gate)
template <class T>
int64_t outer(T* out, const T* x, const T* dp, const T* dq_n, bool recurrent, T* packed,
              bool* is_packed, int64_t M, int64_t K, int64_t units, int64_t limit, int threads) {
  const int64_t groups = groups_for(K);
  const auto columns_of = [&](int64_t g) { return smaller(group_lists, K - g * group_lists); };
  Array<int64_t> start(groups + 1);
  offsets(start, groups, threads,
        [&](int64_t g) { return nonzeros(x + g * group_lists, K, M, columns_of(g)); });
  const int64_t elements = start[groups];
  if (elements > limit) return -1;
  // With so few, most rows of `out` are left alone, which panels would read and write.
  const bool pack = elements > K;
  OwnEvents<T> own(K, pack ? blocks_for(M, K, elements) : 1, elements);
  const Lists<T> lists{K, 1, &own.events};
  GateSections<T> chosen(dp, units);
  const Section<T> sections[] = {chosen.of[0], chosen.of[1], chosen.of[2], {dq_n, units}};
  if (recurrent) chosen.of[2] = sections[3];
  const Packed<T> dense{{M, units, 4, threads}, packed};
  const auto place = [&](const Panels<T>& panels, int64_t p) -> Gates<T> {
    return {out + panels.column(p), units, gates * units};
  };
  const T* unchanged = nullptr;
  int64_t macs = 0;
#pragma omp parallel num_threads(threads) reduction(+ : macs)
  {
#pragma omp for
    for (int64_t g = 0; g < groups; ++g)
      own.events.collect_columns(g, x + g * group_lists, K, columns_of(g), M, start[g]);
#pragma omp for schedule(static, 1)
    for (int part = 0; part < threads; ++part)
      if (pack) {
        if (!*is_packed) dense.pack(sections, part);
        macs += gather(lists, dense, {0, 1, recurrent ? 3 : 2}, part, place, unchanged, false);
      } else {
        macs += gather(lists, chosen, units, share<T>(units, part, threads), out, units,
                       unchanged);
      }
  }
  *is_packed = *is_packed || pack;
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

}  // namespace egru::EGRU_TARGET
