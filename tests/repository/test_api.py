"""The public names of every package, and the README's example of them."""

import contextlib
import importlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

API = {
    "golden": {
        "EGRU", "IntegerEGRU", "ModelFile", "Network", "Prediction", "QuantizeConfig",
        "QuantizedNetwork", "WordNetwork", "load_model", "quantize", "save_model",
    },
    "egru_hw": {
        "Accelerator", "Config", "Device", "DeviceInfo", "HardwareResult", "Image", "PRESETS",
        "StepResult", "Stream", "Transport", "TransportError", "WeightStore", "build_image",
        "connect", "preset",
    },
    "sim": {"Comparison", "Difference", "Simulation", "compare", "run"},
    "boards": {"BOARDS", "Board", "Build", "BuildError", "build", "find"},
}  # fmt: skip


@pytest.mark.parametrize("name", API)
def test_public_names_are_listed_typed_and_can_be_imported(name):
    package = importlib.import_module(name)
    assert set(package.__all__) == API[name]
    assert set(dir(package)) == API[name] | {"__version__"}
    assert all(getattr(package, public) is not None for public in dir(package))
    assert (ROOT / name / "py.typed").exists()
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_the_readmes_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(example, "README.md", "exec"), {})
    assert len(output.getvalue().split("]")[0].strip("[ ").split()) == 8, "a class per sequence"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 95
