// Products with events over all steps at once: the input's, and the weights' gradients.
#pragma once
#include <stdlib.h>

#include "recurrence.hpp"

namespace egru::EGRU_TARGET {

template <class U> struct Array {
  U* data;
  explicit Array(int64_t size) : data(static_cast<U*>(malloc((size + 1) * sizeof(U)))) {
    if (!data) abort();
  }
  Array(const Array&) = delete;
  ~Array() { free(data); }
  U& operator[](int64_t i) { return data[i]; }
};

template <class T> inline int64_t nonzeros(const T* x, int64_t size) {
  int64_t n = 0;
  for (int64_t i = 0; i < size; ++i) n += x[i] != 0;
  return n;
}

// out [M, J] = x [M, K] w [K, J]
template <class T>
void product(T* out, const T* x, const T* w, int64_t M, int64_t K, int64_t J, int threads,
             int64_t* macs) {
  const int64_t blocks = (K + block_rows - 1) / block_rows;
  Array<int64_t> first(M + 1), begin(blocks * M), end(blocks * M);
  const Array<T> zeros(J);
  std::memset(zeros.data, 0, J * sizeof(T));
#pragma omp parallel for num_threads(threads)
  for (int64_t m = 0; m < M; ++m) first[m + 1] = nonzeros(x + m * K, K);
  first[0] = 0;
  for (int64_t m = 0; m < M; ++m) first[m + 1] += first[m] + 1;  // one spare: see below
  Array<int32_t> index(first[M]);
  Array<T> value(first[M]);
#pragma omp parallel for num_threads(threads)
  for (int64_t m = 0; m < M; ++m) {
    int64_t at = first[m];
    for (int64_t b = 0; b < blocks; ++b) {
      begin[b * M + m] = at;
      for (int64_t k = b * block_rows; k < smaller((b + 1) * block_rows, K); ++k) {
        index[at] = int32_t(k);  // written for zeros too, in the spare place if it is the last
        value[at] = x[m * K + k];
        at += x[m * K + k] != 0;
      }
      end[b * M + m] = at;
    }
  }
  const Gather<T> g{{blocks, M, begin.data, end.data, index.data, value.data},
                    M, w, J, out, J, zeros.data};
  int64_t done = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : done)
  for (int part = 0; part < threads; ++part) {
    const Range columns = share<T>(J, part, threads);
    done += gather(g, columns.begin, columns.end);
  }
  *macs += done;
}

// out [K, J] += x [M, K] transposed · columns [M, J]
template <class T>
void outer(T* out, const T* x, const Columns<T>* columns, int parts, int64_t M, int64_t K,
           int64_t J, int threads, int64_t* macs) {
  const int64_t blocks = (M + block_rows - 1) / block_rows;
  Array<int64_t> begin(blocks * K), cursor(blocks * K);
  std::memset(cursor.data, 0, blocks * K * sizeof(int64_t));
#pragma omp parallel for num_threads(threads)
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t m = b * block_rows; m < smaller((b + 1) * block_rows, M); ++m)
      for (int64_t k = 0; k < K; ++k) cursor[b * K + k] += x[m * K + k] != 0;
  int64_t total = 0;
  for (int64_t i = 0; i < blocks * K; ++i) {
    const int64_t size = cursor[i];
    begin[i] = cursor[i] = total;
    total += size;
  }
  Array<int32_t> index(total);
  Array<T> value(total);
#pragma omp parallel num_threads(threads)
  {
    Array<int32_t> active(K);
#pragma omp for
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t m = b * block_rows; m < smaller((b + 1) * block_rows, M); ++m) {
        int64_t n = 0;
        for (int64_t k = 0; k < K; ++k) {
          active[n] = int32_t(k);
          n += x[m * K + k] != 0;
        }
        for (int64_t i = 0; i < n; ++i) {
          const int64_t at = cursor[b * K + active[i]]++;
          index[at] = int32_t(m);
          value[at] = x[m * K + active[i]];
        }
      }
  }
  int64_t done = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : done)
  for (int part = 0; part < threads; ++part)
    for (int c = 0; c < parts; ++c) {
      const Range range = share<T>(columns[c].count, part, threads);
      const Gather<T> g{{blocks, K, begin.data, cursor.data, index.data, value.data},
                        K, columns[c].rows, columns[c].stride, out + columns[c].offset, J,
                        nullptr};
      done += gather(g, range.begin, range.end);
    }
  *macs += done;
}

// out [M, K] = columns [M, J] · w [K, J] transposed, where wanted
template <class T>
void wanted_dots(T* out, const uint8_t* wanted, const Columns<T>* columns, int parts, const T* w,
                 int64_t M, int64_t K, int64_t J, int threads, int64_t* macs) {
  int64_t done = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : done)
  for (int part = 0; part < threads; ++part) {
    const Range units = share<T>(K, part, threads);
    done += dots(out, wanted, columns, parts, w, J, M, K, units.begin, units.end);
  }
  *macs += done;
}

}  // namespace egru::EGRU_TARGET
