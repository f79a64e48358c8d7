"""Public names of a package that are imported when they are first used."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    VERSION = version("egru-hw")
except PackageNotFoundError:  # the folder is on the path without being installed
    VERSION = "0+unknown"


def exports(
    package: str, public: Sequence[str], homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of ``package``.

    Args:
        public: all public names.
        homes: the module of each imported name, as "module", or "module:name" if its name
            there differs.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, original = homes[name].partition(":")
        try:
            return getattr(import_module(module), original or name)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ImportError(
                f"{package}.{name} needs PyTorch: install the extra egru-hw[train]", name="torch"
            ) from None

    return get, lambda: list(public)
