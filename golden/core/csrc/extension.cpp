// All computation for one vector extension: compiled once for each, with EGRU_EXTENSION as its name
// and with the compiler flags that enable it. Nothing here may instantiate a template of the
// standard library: the linker would keep one copy for all extensions, which might use instructions
// that the machine does not have.
#include "products.hpp"

namespace egru::EGRU_EXTENSION {

// Reads `size` elements `times` times as fast as possible, to measure cache bandwidth. With
// `times` = 1, the result is 0, or NaN if an element is not finite.
template <class T> T read(const T* from, int64_t size, int64_t times) {
  constexpr int64_t L = lanes<T>, at_once = 8 * L;
  Vec<T> sums[8]{};
  for (int64_t i = 0; i < times; ++i) {
    int64_t at = 0;
    for (; at + at_once <= size; at += at_once)
      for (int v = 0; v < 8; ++v) sums[v] += T(i) * load(from + at + v * L);
    for (; at < size; at += L) sums[0] += T(i) * load_upto(from + at, smaller(L, size - at));
  }
  Vec<T> all{};
  for (const Vec<T>& sum : sums) all += sum;
  return sum<T>(all);
}

template <class T> constexpr Functions<T> table{
    forward<T>, backward<T>, product<T>, outer<T>, wanted_dots<T>, read<T>};

extern const Functions<float> functions_float;
extern const Functions<double> functions_double;
const Functions<float> functions_float = table<float>;
const Functions<double> functions_double = table<double>;

}  // namespace egru::EGRU_EXTENSION
