// Where a matrix is not zero, in the order in which gather.hpp reads it.
//
// Lists of the non-zeros, one per row or per column, in groups whose sums fit the first-level
// cache, and in blocks of the other matrix' rows that fit it too. In a group and block the lists
// follow one another from the shortest to the longest: the processor then foresees their ends.
#pragma once
#include "layer.hpp"
#include "simd.hpp"

namespace egru::EGRU_TARGET {

constexpr int64_t busy_list = 11;  // elements in a block that pay for loading the sums

inline int64_t groups_for(int64_t lists) { return (lists + group_lists - 1) / group_lists; }

// Blocks of `rows` rows, perhaps none, for lists with so many elements together.
inline int64_t blocks_for(int64_t rows, int64_t lists, int64_t elements) {
  const int64_t most = rows / block_rows + 1;
  return smaller(most, elements / (busy_list * lists + 1) + 1);
}

struct Run {
  int32_t list;  // in its group
  int32_t size;  // elements, more than 0
};

template <class T> struct Events {
  int64_t groups, blocks;
  int64_t* first_run;      // [groups, blocks + 1]
  int64_t* first_element;  // [groups, blocks]
  Run* runs;               // [groups, blocks, group_lists]
  int32_t* index;
  T* value;

  // Sorts the lists of a group's block by `size` and makes its runs; element positions in `at`.
  void order(int64_t group, int64_t block, int64_t count, const int32_t* size, int64_t start,
             int64_t* at) {
    constexpr int32_t most = block_rows;  // longer lists are as good as equal
    int32_t first[most + 2] = {}, longest = 0;
    const auto bucket = [&](int64_t i) { return size[i] < most ? size[i] : most; };
    for (int64_t i = 0; i < count; ++i) {
      ++first[bucket(i) + 1];
      longest = bucket(i) > longest ? bucket(i) : longest;
    }
    const int32_t empty = first[1];
    for (int32_t i = 0; i < longest; ++i) first[i + 1] += first[i];
    Run sorted[group_lists];
    for (int64_t i = 0; i < count; ++i) sorted[first[bucket(i)]++] = {int32_t(i), size[i]};
    int64_t* run = first_run + group * (blocks + 1) + block;
    if (block == 0) *run = group * blocks * group_lists;
    first_element[group * blocks + block] = start;
    Run* to = runs + *run;
    for (int64_t i = empty; i < count; ++i) {
      *to++ = sorted[i];
      at[sorted[i].list] = start;
      start += sorted[i].size;
    }
    run[1] = to - runs;
  }

  // The rows of a group: x [*, columns begin to end], its first row first. Elements go to `start`
  // and on; returns where they end. Indices are columns.
  int64_t collect_rows(int64_t group, const T* x, int64_t stride, int64_t count, int64_t begin,
                       int64_t end, int64_t start) {
    int64_t at[group_lists];
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t from = begin + (end - begin) * b / blocks;
      const int64_t to = begin + (end - begin) * (b + 1) / blocks;
      int32_t size[group_lists];
      for (int64_t i = 0; i < count; ++i) size[i] = int32_t(nonzeros(x + i * stride, from, to));
      order(group, b, count, size, start, at);
      for (int64_t i = 0; i < count; ++i) {
        if (size[i] == 0) continue;
        append_nonzeros(x + i * stride, from, to, index + at[i], value + at[i]);
        start += size[i];
      }
    }
    return start;
  }

  // The columns of a group: x [rows, *], its first column first. Indices are rows.
  int64_t collect_columns(int64_t group, const T* x, int64_t stride, int64_t count, int64_t rows,
                          int64_t start) {
    int64_t at[group_lists];
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t from = rows * b / blocks, to = rows * (b + 1) / blocks;
      int32_t size[group_lists] = {};
      for (int64_t m = from; m < to; ++m)
        for (int64_t i = 0; i < count; ++i) size[i] += x[m * stride + i] != 0;
      order(group, b, count, size, start, at);
      for (int64_t m = from; m < to; ++m) {
        int32_t column[group_lists];
        T found[group_lists];
        const int64_t n = append_nonzeros(x + m * stride, 0, count, column, found);
        for (int64_t i = 0; i < n; ++i) {
          index[at[column[i]]] = int32_t(m);
          value[at[column[i]]++] = found[i];
        }
      }
      for (int64_t i = 0; i < count; ++i) start += size[i];
    }
    return start;
  }

  // Calls visit(list, index, value, size) for every run.
  template <class Visit> void visit(Visit visit) const {
    for (int64_t group = 0; group < groups; ++group)
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t* run = first_run + group * (blocks + 1) + b;
        int64_t at = first_element[group * blocks + b];
        for (const Run* r = runs + run[0]; r < runs + run[1]; ++r) {
          visit(group * group_lists + r->list, index + at, value + at, r->size);
          at += r->size;
        }
      }
  }

  static int64_t nonzeros(const T* x, int64_t begin, int64_t end) {
    typename Bits<T>::Word n = 0;  // as wide as T, for the sake of vectors
    for (int64_t i = begin; i < end; ++i) n += x[i] != 0;
    return int64_t(n);
  }
};

// Elements of x [rows, columns] that are not zero.
template <class T> int64_t nonzeros(const T* x, int64_t stride, int64_t rows, int64_t columns) {
  int64_t n = 0;
  for (int64_t i = 0; i < rows; ++i) n += Events<T>::nonzeros(x + i * stride, 0, columns);
  return n;
}

// Lists of all threads' units, or of a whole matrix.
template <class T> struct Lists {
  int64_t count;
  int parts;
  const Events<T>* events;  // [parts]
};

}  // namespace egru::EGRU_TARGET
