// All computation for one vector extension: compiled once for each, with EGRU_EXTENSION as its name
// and with the compiler flags that enable it. Nothing here may instantiate a template of the
// standard library: the linker would keep one copy for all extensions, which might use instructions
// that the machine does not have.
#include "products.hpp"

namespace egru::EGRU_EXTENSION {

// Reads `size` elements `times` over, as fast as it can: to measure what caches deliver.
template <class T> T read(const T* from, int64_t size, int64_t times) {
  constexpr int at_once = 8;
  Vec<T> sums[at_once]{};
  for (int64_t i = 0; i < times; ++i)
    for (const T* at = from; at + at_once * lanes<T> <= from + size; at += at_once * lanes<T>)
      for (int v = 0; v < at_once; ++v) sums[v] += T(i) * load(at + v * lanes<T>);
  Vec<T> all{};
  for (int v = 0; v < at_once; ++v) all += sums[v];
  return sum<T>(all);
}

template <class T> constexpr Functions<T> table{
    forward<T>, backward<T>, product<T>, outer<T>, wanted_dots<T>, read<T>};

extern const Functions<float> functions_float;
extern const Functions<double> functions_double;
const Functions<float> functions_float = table<float>;
const Functions<double> functions_double = table<double>;

}  // namespace egru::EGRU_EXTENSION
