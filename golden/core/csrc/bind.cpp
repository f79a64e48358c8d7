// The core as a Python module. Arrays come as addresses, 0 for none: golden/core.py, which calls
// this, has checked their types, shapes and layout.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <stdexcept>

#include "extension.hpp"

namespace nb = nanobind;
using Address = uintptr_t;

namespace {

using namespace egru;

VectorExtension extension = vector_extensions().front();

template <class T> T* at(Address address) { return reinterpret_cast<T*>(address); }

// Arguments are in the order of layer.hpp; products return the multiply-accumulates they did,
// passes over the steps also the step at which they stopped.
template <class T> void bind(nb::module_& m, const std::string& type) {
  const auto def = [&](const char* name, auto function) {
    m.def((name + ("_" + type)).c_str(), function, nb::call_guard<nb::gil_scoped_release>());
  };
  def("forward", [](int64_t steps, int64_t count, int64_t units, Address weight, Address bias_ih,
                    Address bias_hh, Address theta, Address kept, double zoneout, double width,
                    Address p, int64_t p_gate, Address y0, Address y, Address h, Address tape,
                    Address near, Address nearby, Address q, Address packed, Address is_packed,
                    Address scratch, int64_t step, bool given, int64_t limit, int threads) {
    const Forward<T> f{{count, units, at<T>(weight), at<T>(bias_ih), at<T>(bias_hh),
                        at<T>(theta), nullptr, at<uint8_t>(kept), T(zoneout), T(0), T(width)},
                       steps, at<T>(p), p_gate, at<T>(y0), at<T>(y), at<T>(h), at<T>(tape),
                       at<uint8_t>(near), at<int64_t>(nearby), at<T>(q), at<T>(packed),
                       at<bool>(is_packed), at<void>(scratch)};
    int64_t macs = 0;
    const int64_t next = extension.functions<T>().forward(f, step, given, limit, threads, &macs);
    return std::pair(next, macs);
  });
  def("backward", [](int64_t first, int64_t count, int64_t units, Address weight, Address theta,
                     Address h0, Address kept, double zoneout, double height, double width,
                     Address tape, Address near, Address nearby, Address dy, Address dh,
                     Address ybar, Address dp, Address dq_n, Address dtheta, Address dbias_ih,
                     Address dbias_hh, int64_t step, bool given, int64_t limit, int threads) {
    const Backward<T> b{{count, units, at<T>(weight), nullptr, nullptr, at<T>(theta),
                         at<T>(h0), at<uint8_t>(kept), T(zoneout), T(height), T(width)},
                        at<T>(tape), at<uint8_t>(near), at<int64_t>(nearby), at<T>(dy),
                        at<T>(dh), at<T>(ybar), first, at<T>(dp), at<T>(dq_n), at<T>(dtheta),
                        at<T>(dbias_ih), at<T>(dbias_hh)};
    int64_t macs = 0;
    const int64_t next = extension.functions<T>().backward(b, step, given, limit, threads, &macs);
    return std::pair(next, macs);
  });
  def("product", [](Address out, bool in_panels, Address x, Address w, Address packed,
                    Address is_packed, int64_t M, int64_t K, int64_t units, int64_t limit,
                    int threads) {
    return extension.functions<T>().product(at<T>(out), in_panels, at<T>(x), at<T>(w), at<T>(packed),
                                         at<bool>(is_packed), M, K, units, limit, threads);
  });
  def("outer", [](Address out, Address x, Address dp, Address dq_n, bool recurrent,
                  Address packed, Address is_packed, int64_t M, int64_t K, int64_t units,
                  int64_t limit, int threads) {
    return extension.functions<T>().outer(at<T>(out), at<T>(x), at<T>(dp), at<T>(dq_n), recurrent,
                                       at<T>(packed), at<bool>(is_packed), M, K, units, limit,
                                       threads);
  });
  def("dots", [](Address out, Address wanted, Address d, Address w, int64_t M, int64_t K,
                 int64_t J, int threads) {
    return extension.functions<T>().dots(at<T>(out), at<uint8_t>(wanted), at<T>(d), at<T>(w), M, K,
                                      J, threads);
  });
  def("read", [](Address from, int64_t size, int64_t times) {
    return extension.functions<T>().read(at<T>(from), size, times);
  });
  def("forward_scratch", [](int64_t count, int64_t units, int threads) {
    return forward_scratch(count, units, threads, sizeof(T));
  });
}

}  // namespace

NB_MODULE(_core, m) {
  bind<float>(m, "float32");
  bind<double>(m, "float64");
  m.def("packed_size", packed_size);
  m.def("padded", padded);
  // Asks for large pages in memory that is about to be written for the first time.
  m.def("large_pages", [](Address start, int64_t bytes) {
    constexpr Address page = 1 << 21;
    const Address first = (start + page - 1) / page * page, last = (start + bytes) / page * page;
#ifdef MADV_HUGEPAGE
    if (first < last) madvise(at<void>(first), last - first, MADV_HUGEPAGE);
#endif
  });
  m.def("vector_extensions", [] {
    std::vector<std::string> names;
    for (const VectorExtension& e : vector_extensions()) names.push_back(e.name);
    return names;
  });
  m.def("use_vector_extension", [](const std::string& name) {
    for (const VectorExtension& e : vector_extensions())
      if (e.name == name) {
        extension = e;
        return;
      }
    throw std::invalid_argument("no such vector extension: " + name);
  });
}
