// The vector extensions that this machine has, the best one first.
#pragma once
#include <string>
#include <vector>

#include "layer.hpp"

#define EGRU_DECLARE(extension)                   \
  namespace egru::extension {                     \
  extern const Functions<float> functions_float;  \
  extern const Functions<double> functions_double; \
  }
#ifdef EGRU_X86
EGRU_DECLARE(avx512)
EGRU_DECLARE(avx2)
#endif
EGRU_DECLARE(baseline)
#undef EGRU_DECLARE

namespace egru {

struct VectorExtension {
  std::string name;
  const Functions<float>* float32;
  const Functions<double>* float64;

  template <class T> const Functions<T>& functions() const {
    if constexpr (sizeof(T) == 4)
      return *float32;
    else
      return *float64;
  }
};

inline std::vector<VectorExtension> vector_extensions() {
  std::vector<VectorExtension> found;
#ifdef EGRU_X86
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
    found.push_back({"avx512", &avx512::functions_float, &avx512::functions_double});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    found.push_back({"avx2", &avx2::functions_float, &avx2::functions_double});
#endif
  found.push_back({"baseline", &baseline::functions_float, &baseline::functions_double});
  return found;
}

}  // namespace egru
