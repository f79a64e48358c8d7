// Aligned memory for the duration of a call.
#pragma once
#include <cstdint>
#include <cstdlib>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace egru::EGRU_EXTENSION {

// An array aligned for vectors. Large arrays get large pages, which avoids TLB misses on random
// access; smaller ones reuse freed memory.
template <class U> struct Array {
  U* data;
  explicit Array(int64_t size) {
    const size_t bytes = size * sizeof(U), page = bytes < (1 << 23) ? 64 : 1 << 21;
    data = static_cast<U*>(std::aligned_alloc(page, (bytes / page + 1) * page));
    if (!data) std::abort();
#ifdef MADV_HUGEPAGE
    if (page > 64) madvise(data, (bytes / page + 1) * page, MADV_HUGEPAGE);
#endif
  }
  Array(const Array&) = delete;
  ~Array() { std::free(data); }
  U& operator[](int64_t i) { return data[i]; }
};

}  // namespace egru::EGRU_EXTENSION
