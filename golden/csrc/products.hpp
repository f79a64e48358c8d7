// Products with events over all steps at once: the input's, and the weights' gradients.
#pragma once
#include "recurrence.hpp"

namespace egru::EGRU_TARGET {

constexpr int64_t outer_rows = 1024;   // of gradients in a panel
constexpr int64_t fewest_to_pack = 4;  // lists; with fewer a panel would not be used again

template <class T> inline int64_t nonzeros(const T* x, int64_t size) {
  int64_t n = 0;
  for (int64_t i = 0; i < size; ++i) n += x[i] != 0;
  return n;
}

// out [M, J] = x [M, K] w [K, J]
template <class T>
void product(T* out, const T* x, const T* w, int64_t M, int64_t K, int64_t J, int threads,
             int64_t* macs) {
  Array<int64_t> begin(M + 1), end(M);
  Array<T> zeros(J);
  std::memset(zeros.data, 0, J * sizeof(T));
#pragma omp parallel for num_threads(threads)
  for (int64_t m = 0; m < M; ++m) begin[m + 1] = nonzeros(x + m * K, K);
  begin[0] = 0;
  for (int64_t m = 0; m < M; ++m) begin[m + 1] += begin[m] + 1;  // one spare, see collect()
  Array<int32_t> index(begin[M]);
  Array<T> value(begin[M]);
  int64_t done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
#pragma omp for
    for (int64_t m = 0; m < M; ++m)
      end[m] = begin[m] + collect(x + m * K, 0, K, index.data + begin[m], value.data + begin[m]);
    const Lists<T> lists{1, M, M, begin.data, end.data, index.data, value.data};
    Array<Vec<T>> buffer(M < fewest_to_pack ? 0 : K * widest_panel);
#pragma omp for schedule(static, 1)
    for (int part = 0; part < threads; ++part) {
      const Range columns = share<T>(J, part, threads);
      done += gather(lists, w, J, K, columns.begin, columns.end, out, J, zeros.data,
                     M < fewest_to_pack ? nullptr : buffer.data);
    }
  }
  *macs += done;
}

// out [K, J] += x [M, K] transposed · columns [M, J]
template <class T>
void outer(T* out, const T* x, const Columns<T>* columns, int parts, int64_t M, int64_t K,
           int64_t J, int threads, int64_t* macs) {
  const int64_t blocks = (M + outer_rows - 1) / outer_rows;
  Array<int64_t> begin(blocks * K), end(blocks * K);
  std::memset(end.data, 0, blocks * K * sizeof(int64_t));
#pragma omp parallel for num_threads(threads)
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t m = b * outer_rows; m < smaller((b + 1) * outer_rows, M); ++m)
      for (int64_t k = 0; k < K; ++k) end[b * K + k] += x[m * K + k] != 0;
  int64_t total = 0;
  for (int64_t i = 0; i < blocks * K; ++i) {
    const int64_t size = end[i];
    begin[i] = end[i] = total;
    total += size;
  }
  Array<int32_t> index(total);
  Array<T> value(total);
  int64_t done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
  {
    Array<int32_t> active(K);
    Array<T> values(K);
#pragma omp for
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t m = b * outer_rows; m < smaller((b + 1) * outer_rows, M); ++m) {
        const int64_t n = collect(x + m * K, 0, K, active.data, values.data);
        for (int64_t i = 0; i < n; ++i) {
          const int64_t at = end[b * K + active[i]]++;
          index[at] = int32_t(m - b * outer_rows);
          value[at] = values[i];
        }
      }
    Array<Vec<T>> buffer(K < fewest_to_pack ? 0 : smaller(M, outer_rows) * widest_panel);
#pragma omp for schedule(static, 1)
    for (int part = 0; part < threads; ++part)
      for (const Columns<T>* c = columns; c < columns + parts; ++c) {
        const Range range = share<T>(c->count, part, threads);
        for (int64_t b = 0; b < blocks; ++b) {
          const Lists<T> lists{1, K, K, begin.data + b * K, end.data + b * K, index.data,
                               value.data};
          done += gather(lists, c->rows + b * outer_rows * c->stride, c->stride,
                         smaller(outer_rows, M - b * outer_rows), range.begin, range.end,
                         out + c->offset, J, static_cast<const T*>(nullptr),
                         K < fewest_to_pack ? nullptr : buffer.data);
        }
      }
  }
  *macs += done;
}

// out [M, K] = columns [M, J] · w [K, J] transposed, where wanted
template <class T>
void wanted_dots(T* out, const uint8_t* wanted, const Columns<T>* columns, int parts, const T* w,
                 int64_t M, int64_t K, int64_t J, int threads, int64_t* macs) {
  int64_t done = 0;
  const Strips<T> strips{columns, parts};
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
