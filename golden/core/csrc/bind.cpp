// The core as a Python module; golden/core/_core.pyi declares its interface. Arrays are passed as
// addresses (0: none). Python has checked their types, shapes and layouts.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <type_traits>

#include "extension.hpp"

namespace nb = nanobind;
using Address = uintptr_t;

namespace {

using namespace egru;

template <class T> T* at(Address address) { return reinterpret_cast<T*>(address); }

// A field's type in Python.
template <class V>
using Seen = std::conditional_t<std::is_pointer_v<V>, Address,
                                std::conditional_t<std::is_floating_point_v<V>, double, V>>;

template <class S, class V> struct Field {
  const char* name;
  V S::*member;
};
#define FIELD(name) Field{#name, &S::name}

// A struct that is constructed from all these fields, by keyword.
template <class S, class... Owners, class... V>
nb::class_<S> bind_struct(nb::handle scope, const char* name, Field<Owners, V>... field) {
  const auto make = [=](S* self, Seen<V>... value) {
    new (self) S{};
    ((self->*field.member = (V)value), ...);
  };
  return nb::class_<S>(scope, name).def("__init__", make, nb::kw_only(), nb::arg(field.name)...);
}

template <class T> void bind(nb::module_& m, const char* name) {
  using K = Functions<T>;
  nb::class_<K> kernels(m, name);
  {
    using S = Forward<T>;
    bind_struct<S>(kernels, "Forward", FIELD(count), FIELD(units), FIELD(weight), FIELD(theta),
                   FIELD(kept), FIELD(zoneout), FIELD(width), FIELD(bias_ih), FIELD(bias_hh),
                   FIELD(y0), FIELD(y), FIELD(h), FIELD(tape), FIELD(near), FIELD(nearby),
                   FIELD(q), FIELD(packed), FIELD(scratch), FIELD(p))
        .def_rw("first", &S::first)
        .def_rw("end", &S::end)
        .def_rw("p_gate", &S::p_gate);
  }
  {
    using S = Backward<T>;
    bind_struct<S>(kernels, "Backward", FIELD(count), FIELD(units), FIELD(weight), FIELD(theta),
                   FIELD(kept), FIELD(zoneout), FIELD(width), FIELD(height), FIELD(h0),
                   FIELD(tape), FIELD(near), FIELD(nearby), FIELD(dy), FIELD(dh), FIELD(ybar),
                   FIELD(dp), FIELD(dq_n), FIELD(dtheta), FIELD(dbias_ih), FIELD(dbias_hh))
        .def_rw("first", &S::first);
  }
  {
    using S = Product<T>;
    bind_struct<S>(kernels, "Product", FIELD(inputs), FIELD(units), FIELD(x), FIELD(w),
                   FIELD(out), FIELD(packed))
        .def_ro("is_packed", &S::is_packed);
  }
  {
    using S = Outer<T>;
    bind_struct<S>(kernels, "Outer", FIELD(rows), FIELD(units), FIELD(dp), FIELD(dq_n),
                   FIELD(packed));
  }
  const auto def = [&](const char* name, auto function, auto... names) {
    kernels.def(name, function, nb::arg(names)..., nb::call_guard<nb::gil_scoped_release>());
  };
  def("forward", [](const K& k, Forward<T>& f, int64_t step, bool given, int64_t limit,
                    int threads) {
    const Progress to = k.forward(f, step, given, limit, threads);
    return std::pair(to.next, to.macs);
  }, "layer", "step", "given", "limit", "threads");
  def("backward", [](const K& k, const Backward<T>& b, int64_t step, bool given, int64_t limit,
                     int threads) {
    const Progress to = k.backward(b, step, given, limit, threads);
    return std::pair(to.next, to.macs);
  }, "layer", "step", "given", "limit", "threads");
  def("product", [](const K& k, Product<T>& p, int64_t first, int64_t rows, bool in_panels,
                    int64_t limit, int threads) {
    return k.product(p, first, rows, in_panels, limit, threads);
  }, "product", "first", "rows", "in_panels", "limit", "threads");
  def("outer", [](const K& k, Outer<T>& o, Address out, Address x, int64_t inputs, bool recurrent,
                  int64_t limit, int threads) {
    return k.outer(o, at<T>(out), at<T>(x), inputs, recurrent, limit, threads);
  }, "outer", "out", "x", "inputs", "recurrent", "limit", "threads");
  def("dots", [](const K& k, Address out, Address wanted, Address d, Address w, int64_t rows,
                 int64_t inputs, int64_t columns, int threads) {
    return k.dots(at<T>(out), at<uint8_t>(wanted), at<T>(d), at<T>(w), rows, inputs, columns,
                  threads);
  }, "out", "wanted", "d", "w", "rows", "inputs", "columns", "threads");
  def("read", [](const K& k, Address from, int64_t size, int64_t times) {
    return k.read(at<T>(from), size, times);
  }, "start", "size", "times");
}

}  // namespace

NB_MODULE(_core, m) {
  nb::set_leak_warnings(false);  // PyTorch keeps its operators, and so this module, until exit.
  bind<float>(m, "KernelsFloat32");
  bind<double>(m, "KernelsFloat64");
  nb::class_<VectorExtension>(m, "VectorExtension")
      .def_ro("name", &VectorExtension::name)
      .def_ro("float32", &VectorExtension::float32)
      .def_ro("float64", &VectorExtension::float64);
  m.def("vector_extensions", vector_extensions);
  m.def("forward_scratch", forward_scratch);
  m.def("packed_size", packed_size);
  m.def("padded", padded);
  // Requests large pages for memory that has not been written yet.
  m.def("large_pages", [](Address start, int64_t bytes) {
    constexpr Address page = 1 << 21;
    const Address first = (start + page - 1) / page * page, last = (start + bytes) / page * page;
#ifdef MADV_HUGEPAGE
    if (first < last) madvise(at<void>(first), last - first, MADV_HUGEPAGE);
#endif
  });
}
