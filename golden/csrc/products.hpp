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

template <class T>
void pack(T* packed, const Section<T>* from, int sections, int64_t rows, int64_t units,
          int threads) {
  const Packed<T> to{reinterpret_cast<Vec<T>*>(packed), rows, units, sections, threads};
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int part = 0; part < threads; ++part) to.pack(from, part);
}

// out [M, 3, padded H] = x [M, K] w [K, 3H]
template <class T>
void product(T* out, const T* x, const T* w, const T* packed, int64_t M, int64_t K, int64_t units,
             int threads, int64_t* macs) {
  const int64_t groups = groups_for(M);
  Array<int64_t> start(groups + 1);
  Array<T> zeros(gates * units);
  std::memset(zeros.data, 0, gates * units * sizeof(T));
#pragma omp parallel for num_threads(threads)
  for (int64_t g = 0; g < groups; ++g)
    start[g + 1] =
        nonzeros(x + g * group_lists * K, K, smaller(group_lists, M - g * group_lists), K);
  start[0] = 0;
  for (int64_t g = 0; g < groups; ++g) start[g + 1] += start[g];
  OwnEvents<T> own(M, packed ? blocks_for(K, M, start[groups]) : 1, start[groups]);
  const Lists<T> lists{M, 1, &own.events};
  int64_t done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
#pragma omp for
    for (int64_t g = 0; g < groups; ++g)
      own.events.collect_rows(g, x + g * group_lists * K, K,
                              smaller(group_lists, M - g * group_lists), 0, K, start[g]);
#pragma omp for schedule(static, 1)
    for (int part = 0; part < threads; ++part)
      if (packed) {
        const Packed<T> dense{reinterpret_cast<Vec<T>*>(const_cast<T*>(packed)), K, units, gates,
                              threads};
        done += gather(lists, dense, {0, 1, 2}, part, worth_fetching<T>(K, units, threads), out,
                       padded(units), zeros.data);
      } else {
        Section<T> sections[gates];
        for (int gate = 0; gate < gates; ++gate)
          sections[gate] = {w + gate * units, gates * units};
        done += gather(lists, sections, units, share<T>(units, part, threads), out, padded(units),
                       zeros.data);
      }
  }
  *macs += done;
}

// out [K, 3H] += x [M, K] transposed · sections 0, 1 and `last`, each [M, H]
template <class T>
void outer(T* out, const T* x, const T* packed, int last, int64_t M, int64_t K, int64_t units,
           int threads, int64_t* macs) {
  const int64_t groups = groups_for(K);
  Array<int64_t> start(groups + 1);
#pragma omp parallel for num_threads(threads)
  for (int64_t g = 0; g < groups; ++g)
    start[g + 1] = nonzeros(x + g * group_lists, K, M, smaller(group_lists, K - g * group_lists));
  start[0] = 0;
  for (int64_t g = 0; g < groups; ++g) start[g + 1] += start[g];
  OwnEvents<T> own(K, blocks_for(M, K, start[groups]), start[groups]);
  const Lists<T> lists{K, 1, &own.events};
  const Packed<T> dense{reinterpret_cast<Vec<T>*>(const_cast<T*>(packed)), M, units, 4, threads};
  int64_t done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
#pragma omp for
    for (int64_t g = 0; g < groups; ++g)
      own.events.collect_columns(g, x + g * group_lists, K,
                                 smaller(group_lists, K - g * group_lists), M, start[g]);
#pragma omp for schedule(static, 1)
    for (int part = 0; part < threads; ++part)
      done += gather(lists, dense, {0, 1, last}, part, worth_fetching<T>(M, units, threads), out,
                     units, static_cast<const T*>(nullptr));
  }
  *macs += done;
}

// out [M, K] = d [M, J] · w [K, J] transposed, where wanted
template <class T>
void wanted_dots(T* out, const uint8_t* wanted, const T* d, const T* w, int64_t M, int64_t K,
                 int64_t J, int threads, int64_t* macs) {
  int64_t done = 0;
  const Columns<T> columns[] = {{d, J, J, 0}};
  const Strips<T> strips{columns, 1};
#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
    Array<Vec<T>> packed(smaller(M, dots_group) * strips.vectors());
#pragma omp for schedule(static, 1)
    for (int part = 0; part < threads; ++part) {
      const Range units = share<T>(K, part, threads);
      done += dots(out, wanted, strips, w, J, M, K, units.begin, units.end, packed.data);
    }
  }
  *macs += done;
}

}  // namespace egru::EGRU_TARGET
