"""Damaged files end in a sentence: none in a traceback, and none is taken for another."""

import gzip
import io
import json
import math
import signal
import struct
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given
from hypothesis import strategies as st

from golden import model_file
from golden.tasks import TASKS
from golden.training import building
from tests.fuzz.cases import WORDS, check, damaged, folder, fuzz
from tests.helpers.toy import Toy, at_batch, toy_run

INPUTS = np.random.default_rng(0).normal(size=(2, 6, 2)).astype(np.float32)


def saved(save, *arrays, **named) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def stop(*_):
    raise ValueError("trained")


@pytest.fixture(scope="module", autouse=True)
def toy():
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "toy", Toy())
        yield patch


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    """A model with, beside it, the checkpoint of a training that was resumed to it."""
    out = tmp_path_factory.mktemp("toy") / "a.safetensors"
    toy.setitem(TASKS, "toy", at_batch(1, lambda: signal.raise_signal(signal.SIGINT)))
    assert toy_run(out, "--epochs", 2)[0] == 130
    toy.setitem(TASKS, "toy", Toy())
    checkpoint = out.with_suffix(".checkpoint").read_bytes()
    assert toy_run(out, "--epochs", 2, "--resume")[0] == 0
    out.with_suffix(".checkpoint").write_bytes(checkpoint)
    return out


# Model files


def content(data: bytes) -> tuple[dict, bytes]:
    """All that a model file says: its JSON, and the bytes of its tensors."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    return header | json.loads(header.pop("__metadata__")["egru_model"]), data[8 + size :]


@fuzz
@given(data=st.data())
@pytest.mark.parametrize("name", ["toy", *model_file.shipped()])
def test_model_files(name, data, trained):
    whole = (model_file.shipped() | {"toy": trained})[name].read_bytes()
    changed = data.draw(damaged(whole))
    features = content(whole)[0]["network"]["input_size"]
    with folder({"a.safetensors": changed, "x.npy": saved(np.save, np.zeros((4, features)))}):
        if check("predict", "a.safetensors", "x.npy").exit_code == 0:
            assert content(changed) == content(whole)


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers() | FLOATS | WORDS
VALUES = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(WORDS, LEAVES, max_size=3)


@fuzz
@given(st.data(), st.booleans())
def test_headers_of_model_files(trained, data, signed):
    """One value of the JSON is another; with ``signed``, on purpose, under a fresh checksum."""
    whole = trained.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    model = json.loads(json.loads(whole[8 : 8 + size])["__metadata__"][model_file.KEY])
    inside, key = model, data.draw(st.sampled_from(sorted(model)))
    while isinstance(inside[key], dict) and inside[key] and data.draw(st.booleans()):
        inside = inside[key]
        key = data.draw(st.sampled_from(sorted(inside)))
    inside[key] = data.draw(VALUES)
    tensors = safetensors.numpy.load(whole)
    if signed:
        model.pop("checksum")
        model["checksum"] = model_file._checksum(model, tensors)
    changed = safetensors.numpy.save(tensors, {model_file.KEY: json.dumps(model)})
    with folder({"a.safetensors": changed, "x.npy": saved(np.save, INPUTS)}):
        command = data.draw(st.sampled_from(["predict a.safetensors x.npy", "eval a.safetensors"]))
        if check(*command.split()).exit_code == 0 and not signed:
            assert content(changed) == content(whole)


# Checkpoints


@fuzz
@given(st.data())
def test_checkpoints(trained, data):
    whole = trained.with_suffix(".checkpoint").read_bytes()
    changed = data.draw(damaged(whole))
    with folder({"a.checkpoint": changed}) as work:
        words = ("toy", "--hidden-size", 4, "--epochs", 2, "--out", "a.safetensors", "--resume")
        if check("train", *words, made="a.").exit_code == 0:
            assert (work / "a.safetensors").read_bytes() == trained.read_bytes()


# Data


NUMPY = {
    "x.npy": saved(np.save, INPUTS),
    "y.npy": saved(np.save, INPUTS[0].T),
    "x.npz": saved(np.savez, INPUTS),
    "y.npz": saved(np.savez_compressed, inputs=INPUTS, more=INPUTS),
    "x.csv": b"first,second\n" + b"0.5,-1e3\n" * 9,
}


@fuzz
@given(st.data(), st.sampled_from(sorted(NUMPY)))
def test_sequences(trained, data, name):
    changed = data.draw(damaged(NUMPY[name]) | st.binary())
    with folder({"a.safetensors": trained.read_bytes(), name: changed}):
        check("predict", "a.safetensors", name)


def recording(count: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(range(200)) * count)
    return file.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in files.items():
            archive.writestr(name, part)
    return file.getvalue()


def idx(*sizes: int) -> bytes:
    values = bytes(i % 10 for i in range(math.prod(sizes)))
    return bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + values


SOUNDS = {f"{i % 2}_a_{i}.wav": recording(i + 1) for i in range(12)}
IMAGES = {
    f"{part}-{what}-ubyte": idx(20, *sizes)
    for part in ("train", "t10k")
    for what, sizes in (("images-idx3", (5, 4)), ("labels-idx1", ()))
}
TEXT = "".join(f"line {i}: ±\n" for i in range(200)).encode()
WORDS_FILES = {f"{part}.txt": b"one two three\n" * 50 for part in ("train", "valid", "test")}
DATA = {  # of each task: the whole files, and how they are damaged
    "digits": SOUNDS,
    "digits, zip": {"all.zip": zipped(SOUNDS)},
    "smnist": IMAGES,
    "smnist, gz": {f"{name}.gz": gzip.compress(part) for name, part in IMAGES.items()},
    "charlm": {"text": TEXT},
    "wordlm": WORDS_FILES,
}


@fuzz
@given(st.data(), st.sampled_from(sorted(DATA)))
def test_data_of_tasks(data, kind):
    files = dict(DATA[kind])
    name = data.draw(st.sampled_from(sorted(files)))
    files[name] = data.draw(damaged(files[name]) | st.binary())
    with folder(files), pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "train", stop)
        place = name if kind in ("digits, zip", "charlm") else "."
        check("train", kind.partition(",")[0], "--data", Path(place).absolute())
