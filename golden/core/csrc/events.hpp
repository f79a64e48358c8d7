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

inline int64_t most_blocks(int64_t rows) { return rows / block_rows + 1; }

// Blocks of `rows` rows, perhaps none, for lists with so many elements together.
inline int64_t blocks_for(int64_t rows, int64_t lists, int64_t elements) {
  return smaller(most_blocks(rows), elements / (busy_list * lists + 1) + 1);
}

struct Run {
  int32_t list;  // in its group
  int32_t size;  // elements, more than 0
};

// Elements one after another.
template <class T> struct Elements {
  int32_t* index;
  T* value;

  Elements from(int64_t n) const { return {index + n, value + n}; }
};

template <class T> struct Events {
  int64_t groups, most;  // blocks of a group
  int64_t* blocks;       // [groups]: how many of them it has
  int64_t* first_run;    // [groups, most + 1]
  Elements<T>* first;    // [groups, most]
  Run* runs;             // [groups, most, group_lists]

  // Of a group, the runs of a block: [runs_of(group)[b], runs_of(group)[b + 1]).
  int64_t* runs_of(int64_t group) const { return first_run + group * (most + 1); }

  // Sorts the lists of a group's block by `size` and makes its runs, with elements from `to` on, of
  // list i from at[i] on. How many they are.
  int64_t order(int64_t group, int64_t block, int64_t count, const int32_t* size, Elements<T> to,
                int64_t* at) {
    constexpr int32_t buckets = block_rows;  // longer lists are as good as equal
    int32_t first[buckets + 2] = {}, longest = 0;
    const auto bucket = [&](int64_t i) { return size[i] < buckets ? size[i] : buckets; };
    for (int64_t i = 0; i < count; ++i) {
      ++first[bucket(i) + 1];
      longest = bucket(i) > longest ? bucket(i) : longest;
    }
    const int32_t empty = first[1];
    for (int32_t i = 0; i < longest; ++i) first[i + 1] += first[i];
    Run sorted[group_lists];
    for (int64_t i = 0; i < count; ++i) sorted[first[bucket(i)]++] = {int32_t(i), size[i]};
    int64_t* run = runs_of(group) + block;
    if (block == 0) *run = group * most * group_lists;
    this->first[group * most + block] = to;
    int64_t elements = 0;
    for (int64_t i = empty; i < count; ++i) {
      runs[*run + i - empty] = sorted[i];
      at[sorted[i].list] = elements;
      elements += sorted[i].size;
    }
    run[1] = *run + count - empty;
    return elements;
  }

  // The rows of a group in so many blocks: x [*, columns begin to end], its first row first.
  // Elements go to `to` and on; returns where they end. Indices are columns.
  Elements<T> collect_rows(int64_t group, int64_t parts, const T* x, int64_t stride, int64_t count,
                           int64_t begin, int64_t end, Elements<T> to) {
    int64_t at[group_lists];
    blocks[group] = parts;
    for (int64_t b = 0; b < parts; ++b) {
      const int64_t left = begin + (end - begin) * b / parts;
      const int64_t right = begin + (end - begin) * (b + 1) / parts;
      int32_t size[group_lists];
      for (int64_t i = 0; i < count; ++i) size[i] = int32_t(nonzeros(x + i * stride, left, right));
      const int64_t elements = order(group, b, count, size, to, at);
      for (int64_t i = 0; i < count; ++i)
        if (size[i])
          append_nonzeros(x + i * stride, left, right, to.index + at[i], to.value + at[i]);
      to = to.from(elements);
    }
    return to;
  }

  // The columns of a group: x [rows, *], its first column first. Indices are rows.
  void collect_columns(int64_t group, int64_t parts, const T* x, int64_t stride, int64_t count,
                       int64_t rows, Elements<T> to) {
    int64_t at[group_lists];
    blocks[group] = parts;
    for (int64_t b = 0; b < parts; ++b) {
      const int64_t upper = rows * b / parts, lower = rows * (b + 1) / parts;
      int32_t size[group_lists] = {};
      for (int64_t m = upper; m < lower; ++m)
        for (int64_t i = 0; i < count; ++i) size[i] += x[m * stride + i] != 0;
      const int64_t elements = order(group, b, count, size, to, at);
      for (int64_t m = upper; m < lower; ++m) {
        int32_t column[group_lists];
        T found[group_lists];
        const int64_t n = append_nonzeros(x + m * stride, 0, count, column, found);
        for (int64_t i = 0; i < n; ++i) {
          to.index[at[column[i]]] = int32_t(m);
          to.value[at[column[i]]++] = found[i];
        }
      }
      to = to.from(elements);
    }
  }

  // Calls visit(list, index, value, size) for every run.
  template <class Visit> void visit(Visit visit) const {
    for (int64_t group = 0; group < groups; ++group)
      for (int64_t b = 0; b < blocks[group]; ++b) {
        const int64_t* run = runs_of(group) + b;
        Elements<T> at = first[group * most + b];
        for (const Run* r = runs + run[0]; r < runs + run[1]; ++r) {
          visit(group * group_lists + r->list, at.index, at.value, r->size);
          at = at.from(r->size);
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
