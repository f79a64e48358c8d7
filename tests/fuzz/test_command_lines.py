"""No value of an option ends in a traceback, or in files that nobody was told of."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import egru_hw
from boards.ecp5 import flow
from egru_cli import bench, explore, program
from egru_cli.app import SUBCOMMANDS, subcommand
from egru_hw.gateware import verilog
from experiments.results import page, runner
from golden import generation, stepping, training
from golden.model_file import save
from golden.network.network import Network
from golden.quantization.quantize import quantize
from golden.tasks import TASKS
from golden.training.outcome import calibration
from sim import virtual_board
from sim.backends import verilator
from tests.fuzz.cases import WORDS, check, folder, fuzz
from tests.helpers.toy import Toy

VALID = {
    "model": "model.safetensors", "file": "good.npy", "task": "toy", "presets": "tiny",
    "sequences": "5", "shapes": "1,2,3,4", "preset_name": "tiny", "data": "folder",
    "axes": "epochs=1", "board": "ulx3s",
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model and data, with all replaced that would take long or write elsewhere."""

    def stop(*_, **__):
        raise ValueError("everything else was done")

    def claim(*given):
        """What is common to build and tune, whose arguments differ."""
        files = next(value for value in given if isinstance(value, training.Files))
        resume, overwrite = given[3], given[-1]
        with files.claimed(resume, overwrite):
            stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "toy", Toy())
        patch.setitem(TASKS, "mnist1d", Toy())  # whose own data take seconds
        for place, name, new in (
            (training, "build", claim),
            (training, "tune", claim),
            (training, "adopt", stop),
            (verilator, "transport", stop),
            (virtual_board, "executable", stop),
            (egru_hw, "connect", stop),
            (generation, "generate", lambda *_: []),
            (verilog, "emit", lambda config: ""),
            (flow.Tools, "find", stop),
            (bench, "benchmark", lambda *_: None),
            (explore, "workers", stop),
            (stepping, "SECONDS", 0),
            (runner, "_work", lambda *_: 0),
            (page, "write", lambda *_: None),
            (program, "_loader", lambda: "true"),
            (torch, "set_num_threads", lambda *_: None),
        ):
            patch.setattr(place, name, new, raising=False)
        torch.manual_seed(0)
        network = Network(2, 4, 2)
        path = tmp_path_factory.mktemp("model") / "model.safetensors"
        save(path, network, quantize(network, calibration(Toy()).inputs), {"task": "toy"})
        np.save(path.with_name("good.npy"), np.zeros((3, 4, 2)))
        path.with_name("good.csv").write_text("1,2\n")
        yield path.parent


@st.composite
def command_line(draw, name: str) -> list[str]:
    words = [name]
    command = subcommand(name)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    for parameter in draw(st.lists(st.sampled_from(options), max_size=4)) + arguments:
        kind = parameter.type_descriptor.annotation
        known = [VALID.get(parameter.name), parameter.default, parameter.min, parameter.max]
        known += [value for value in get_args(kind) if isinstance(value, str)]
        valid = [str(value) for value in known if value is not None] or ["folder"]
        value = draw(st.one_of(st.sampled_from(valid), st.sampled_from(valid), WORDS))
        if parameter in arguments:
            words += [value] * (parameter.required or draw(st.booleans()))
        elif parameter.is_flag:
            words.append(parameter.opts[0])
        else:
            words += [parameter.opts[0], value]
    return words


@fuzz
@given(data=st.data())
@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_command_lines(name, data, files):
    words = data.draw(command_line(name))
    with folder({path.name: path.read_bytes() for path in files.iterdir()}) as work:
        (work / "folder").mkdir()
        (work / "loop").symlink_to("loop")
        (work / "dangling").symlink_to("nowhere")
        check(*words)
