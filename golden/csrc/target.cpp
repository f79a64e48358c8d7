// Everything once more for one vector extension: compiled with EGRU_TARGET naming it, and with the
// compiler's flags for it. Nothing here may call the standard library's templates: the linker
// would keep one copy for all targets, perhaps one that the machine cannot run.
#include "products.hpp"

namespace egru::EGRU_TARGET {

template <class T> constexpr Functions<T> table{forward<T>, backward<T>, product<T>, outer<T>,
                                                wanted_dots<T>};

extern const Functions<float> functions_float;
extern const Functions<double> functions_double;
const Functions<float> functions_float = table<float>;
const Functions<double> functions_double = table<double>;

}  // namespace egru::EGRU_TARGET
