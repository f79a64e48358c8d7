"""The C++ core: an EGRU layer whose cost is proportional to the number of events.

It skips exactly the zeros. Where there are so few that a dense product is faster, it uses
``torch.mm``, with the same results up to the rounding of sums. docs/performance.md has the rules,
the cost model and measurements.

Importing this package raises ImportError if the compiled module is missing.
"""

from golden.core import policy
from golden.core.counting import count_macs
from golden.core.kernels import kernels_for, use_vector_extension, vector_extensions
from golden.core.operators import is_transformed, layer

__all__ = [
    "count_macs",
    "is_transformed",
    "kernels_for",
    "layer",
    "policy",
    "use_vector_extension",
    "vector_extensions",
]
