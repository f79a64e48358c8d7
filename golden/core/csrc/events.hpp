// The non-zeros of a matrix, in the order in which gather.hpp reads them.
//
// Each row or column is a list. Lists are in groups whose sums fit the first-level cache, and are
// split into blocks of the other matrix's rows, which fit it too. Within a group and block, lists
// are sorted by length, shortest first, so that branch prediction works at their ends.
#pragma once
#include "layer.hpp"
#include "vectors.hpp"

namespace egru::EGRU_EXTENSION {

constexpr int64_t busy_list = 11;  // elements in a block that pay for loading the sums

inline int64_t groups_for(int64_t lists) { return (lists + group_lists - 1) / group_lists; }

inline int64_t most_blocks(int64_t rows) { return rows / block_rows + 1; }

// Number of blocks of `rows` rows, maybe 0, for lists of `elements` in total.
inline int64_t blocks_for(int64_t rows, int64_t lists, int64_t elements) {
  return smaller(most_blocks(rows), elements / (busy_list * lists + 1) + 1);
}

struct Run {
  int32_t list;  // in its group
  int32_t size;  // elements, more than 0
};

#if defined(__AVX2__) && !defined(__AVX512F__)
// The set lanes of each 8-bit mask, in order; AVX-512 has an instruction for this.
struct FirstLanes {
  uint8_t of[256][8];
  constexpr FirstLanes() : of() {
    for (int mask = 0; mask < 256; ++mask)
      for (int lane = 0, n = 0; lane < 8; ++lane)
        if (mask >> lane & 1) of[mask][n++] = uint8_t(lane);
  }
};
constexpr FirstLanes first_lanes;
#endif

// Appends the non-zeros of x [begin, end) and their indices; returns their count. Writes nothing
// beyond them.
template <class T>
inline int64_t append_nonzeros(const T* x, int64_t begin, int64_t end, int32_t* index, T* value) {
  int64_t n = 0;
#if defined(__AVX512F__)
  const __m512i counting = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int64_t i = begin; i < end; i += lanes<T>) {
    const Vec<T> v = load_upto(x + i, end - i < lanes<T> ? end - i : lanes<T>);
    const __m512i at = _mm512_add_epi32(_mm512_set1_epi32(int32_t(i)), counting);
    uint32_t found;
    if constexpr (sizeof(T) == 4) {
      found = _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
      const int count = __builtin_popcount(found);
      store_first(value + n, (Vec<T>)_mm512_maskz_compress_ps(__mmask16(found), (__m512)v), count);
    } else {
      found = _mm512_cmp_pd_mask((__m512d)v, _mm512_setzero_pd(), _CMP_NEQ_UQ);
      const int count = __builtin_popcount(found);
      store_first(value + n, (Vec<T>)_mm512_maskz_compress_pd(__mmask8(found), (__m512d)v), count);
    }
    const int count = __builtin_popcount(found);
    _mm512_mask_storeu_epi32(index + n, __mmask16((1u << count) - 1),
                             _mm512_maskz_compress_epi32(__mmask16(found), at));
    n += count;
  }
#else
  int64_t i = begin;
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    // Compacted vectors are stored whole, so they need a buffer with room for that.
    constexpr int64_t room = 64;
    alignas(32) float found[room];
    alignas(32) int32_t at[room];
    const __m256i counting = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    while (i + lanes<T> <= end) {
      int64_t count = 0;
      for (; i + lanes<T> <= end && count <= room - lanes<T>; i += lanes<T>) {
        const __m256 v = (__m256)load(x + i);
        const int mask = _mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NEQ_UQ));
        const __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(
            reinterpret_cast<const __m128i*>(first_lanes.of[mask])));
        _mm256_storeu_ps(found + count, _mm256_permutevar8x32_ps(v, order));
        _mm256_storeu_si256(
            reinterpret_cast<__m256i*>(at + count),
            _mm256_add_epi32(_mm256_set1_epi32(int32_t(i)),
                             _mm256_permutevar8x32_epi32(counting, order)));
        count += __builtin_popcount(mask);
      }
      std::memcpy(value + n, found, count * sizeof(T));
      std::memcpy(index + n, at, count * sizeof(int32_t));
      n += count;
    }
  }
#endif
  for (; i < end; ++i)
    if (x[i] != 0) {
      index[n] = int32_t(i);
      value[n++] = x[i];
    }
#endif
  return n;
}

// Consecutive elements.
template <class T> struct Elements {
  int32_t* index;
  T* value;

  Elements from(int64_t n) const { return {index + n, value + n}; }
};

template <class T> struct Events {
  int64_t groups, most;  // blocks of a group
  int64_t* blocks;       // [groups]: blocks of each
  int64_t* first_run;    // [groups, most + 1]
  Elements<T>* first;    // [groups, most]
  Run* runs;             // [groups, most, group_lists]

  // Block b of a group has the runs [runs_of(group)[b], runs_of(group)[b + 1]).
  int64_t* runs_of(int64_t group) const { return first_run + group * (most + 1); }

  // Sorts the lists of a group's block by `size` into runs. Elements start at `to`, those of list i
  // at at[i]. Returns the element count.
  int64_t order(int64_t group, int64_t block, int64_t count, const int32_t* size, Elements<T> to,
                int64_t* at) {
    constexpr int32_t buckets = block_rows;  // longer lists count as equal
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

  // Collects the rows of a group, in `parts` blocks, from columns [begin, end) of x, which starts
  // at the group's first row. Writes elements from `to` on; returns their end. Indices are columns.
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

  // Collects the columns of a group from x [rows, *], which starts at its first column. Indices
  // are rows.
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
    typename Bits<T>::Word n = 0;  // as wide as T, to vectorise
    for (int64_t i = begin; i < end; ++i) n += x[i] != 0;
    return int64_t(n);
  }
};

// Number of non-zeros of x [rows, columns].
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

}  // namespace egru::EGRU_EXTENSION
