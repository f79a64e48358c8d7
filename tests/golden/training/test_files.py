"""The files of a training: what is kept, replaced, refused and resumed from."""

import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from golden import load_model
from golden.tasks import TASKS
from golden.training import CheckpointError, Files, train
from tests.helpers.toy import RECIPE, Toy, at_batch, names, toy_run

pytestmark = pytest.mark.usefixtures("toy")


def stop() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_unfinished_training_is_replaced_only_on_request(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "toy", at_batch(3, stop))
    assert toy_run(tmp_path / "a")[0] == 130
    before = (tmp_path / "a.checkpoint").read_bytes()
    monkeypatch.setitem(TASKS, "toy", Toy())
    code, output = toy_run(tmp_path / "a")
    assert code == 2
    assert output == (
        f"error: {tmp_path}/a.checkpoint belongs to an unfinished training: continue it with "
        f"--resume, replace it with --overwrite, or give another --out "
    )
    assert (tmp_path / "a.checkpoint").read_bytes() == before
    code, output = toy_run(tmp_path / "a", "--resume", "--overwrite")
    assert (code, "give only one of them" in output) == (2, True)
    assert toy_run(tmp_path / "a", "--overwrite")[0] == 0
    assert names(tmp_path) == {"a", "a.csv", "a.json", "a.tensorboard"}


@pytest.mark.parametrize("name", ["a.safetensors", "a.json", "a.csv", "a.best.checkpoint"])
def test_a_finished_training_and_files_of_its_names_are_replaced_only_on_request(tmp_path, name):
    (tmp_path / name).write_text("mine")
    code, output = toy_run(tmp_path / "a.safetensors")
    assert code == 2
    assert f"{tmp_path / name} exists: replace it with --overwrite, or give another" in output
    assert names(tmp_path) == {name}
    assert (tmp_path / name).read_text() == "mine"
    assert toy_run(tmp_path / "a.safetensors", "--overwrite", "--epochs", 1)[0] == 0
    load_model(tmp_path / "a.safetensors")


def test_a_training_that_starts_over_and_stops_in_its_first_epoch_leaves_nothing_to_resume(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(TASKS, "toy", at_batch(3, stop))
    assert toy_run(tmp_path / "a")[0] == 130

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setitem(TASKS, "toy", at_batch(0, interrupt))
    code, output = toy_run(tmp_path / "a", "--overwrite")
    assert (code, "nothing to resume" in output) == (130, True)


def test_only_logs_are_removed_from_the_folder_for_tensorboard(tmp_path):
    folder = tmp_path / "a.tensorboard"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "events.out.tfevents.1.old.1.0").write_text("of an earlier training")
    assert toy_run(tmp_path / "a", "--epochs", 1)[0] == 0
    assert (folder / "notes.txt").read_text() == "mine"
    (log,) = folder.glob("events.*")
    assert "old" not in log.name


@pytest.mark.parametrize("suffix", ["", ".csv", ".json", ".checkpoint", ".tensorboard"])
def test_what_is_no_regular_file_is_neither_replaced_nor_written(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    os.mkfifo(path)
    for words in ((), ("--overwrite",)):
        code, output = toy_run(tmp_path / "a", *words)
        assert code == 2
        assert str(path) in output
        assert path.is_fifo()
        assert names(tmp_path) == {path.name}


def test_files_are_written_where_symbolic_links_lead(tmp_path):
    links, there = tmp_path / "links", tmp_path / "there"
    for folder in (links, there):
        folder.mkdir()
    for suffix in ("", ".csv", ".json", ".checkpoint", ".tensorboard"):
        (links / f"a{suffix}").symlink_to(there / f"b{suffix}")
    (there / "b.tensorboard").mkdir()
    assert toy_run(links / "a", "--epochs", 1)[0] == 0
    load_model(there / "b")
    assert names(there) == {"b", "b.csv", "b.json", "b.tensorboard"}
    assert all(path.is_symlink() for path in links.iterdir())


def test_every_process_refuses_files_that_exist_at_once(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("mine")
    monkeypatch.setenv("RANK", "1")
    code, output = toy_run(tmp_path / "a")
    assert code == 2
    assert f"{tmp_path / 'a'} exists: replace it with --overwrite" in output


def test_two_trainings_cannot_write_the_same_files(tmp_path, monkeypatch):
    answers = []

    def train_too():
        answers.append(toy_run(tmp_path / "a", "--overwrite"))

    monkeypatch.setitem(TASKS, "toy", at_batch(3, train_too))
    assert toy_run(tmp_path / "a")[0] == 0
    ((code, output),) = answers
    assert code == 2
    assert f"another training is writing {tmp_path}/a: wait for its end, or give another" in output
    assert names(tmp_path) == {"a", "a.csv", "a.json", "a.tensorboard"}


def test_the_end_of_a_process_frees_its_files(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from golden.training import Files\n"
        "with Files(Path(sys.argv[1])).claimed(False, False): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "a"], check=False)
    assert names(tmp_path) == {"a.checkpoint.lock"}
    assert toy_run(tmp_path / "a", "--epochs", 1)[0] == 0
    assert names(tmp_path) == {"a", "a.csv", "a.json", "a.tensorboard"}


@pytest.mark.parametrize("name", ["m.safetensors", "m", "m-0.5", "m.json", "m.csv", "m.checkpoint"])
def test_the_files_of_a_training_have_different_names(name):
    def all_of(files):
        return {files.model, files.checkpoint, files.best, files.history, files.report,
                files.tensorboard}  # fmt: skip

    files = all_of(Files(Path(name)))
    assert len(files) == 6
    if name == "m-0.5":
        assert not files & all_of(Files(Path("m-0.7")))
    if name == "m.safetensors":
        assert Path("m.json") in files


def test_a_checkpoint_is_replaced_as_a_whole_whatever_its_name(tmp_path, monkeypatch):
    out = tmp_path / "a {x} [b].safetensors"
    monkeypatch.setitem(TASKS, "toy", at_batch(3, stop))
    code, output = toy_run(out)
    assert code == 130
    assert "continue with --resume, from" in output
    assert str(out.name).removesuffix(".safetensors") in output
    before = out.with_suffix(".checkpoint").read_bytes()

    def fail(source, target):  # like a full disk
        raise OSError("no space left")

    monkeypatch.setitem(TASKS, "toy", Toy())
    with monkeypatch.context() as patched:
        patched.setattr("golden.output.os.replace", fail)
        code, output = toy_run(out, "--resume")
    assert (code, "no space left" in output) == (2, True)
    assert out.with_suffix(".checkpoint").read_bytes() == before
    assert toy_run(out, "--resume")[0] == 0
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [
        ".csv", ".json", ".safetensors", ".tensorboard"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"PK")]
)
def test_a_damaged_best_epoch_is_noticed_before_training_resumes(tmp_path, damage):
    def crash():
        raise RuntimeError("crash")

    def fail():
        raise AssertionError("a batch was drawn")

    recipe, files = replace(RECIPE, patience=5), Files(tmp_path / "a")
    with pytest.raises(RuntimeError, match="crash"):
        train(at_batch(5, crash), recipe, files)
    damage(files.best)
    with pytest.raises(CheckpointError, match=r"a\.best\.checkpoint"):
        train(at_batch(0, fail), recipe, files, resume=True)


def test_resuming_from_nothing_rejected(tmp_path):
    code, output = toy_run(tmp_path / "a", "--resume")
    assert code == 2
    assert output.startswith("error: there is no checkpoint")


def test_resuming_with_other_options_rejected(tmp_path, monkeypatch):
    acting = at_batch(1, lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setitem(TASKS, "toy", acting)
    assert toy_run(tmp_path / "a")[0] == 130
    code, output = toy_run(tmp_path / "a", "--resume", "--seed", 4)
    assert code == 2
    assert "was written by a training with other options" in output


@pytest.mark.parametrize("content", [b"", b"no checkpoint", [1], {}, {"state_dict": {}}])
def test_damaged_checkpoints_rejected(tmp_path, content):
    path = tmp_path / "a.checkpoint"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    code, output = toy_run(tmp_path / "a", "--resume")
    assert code == 2
    assert output == (
        f"error: {path} is damaged, or no checkpoint of egru: train from scratch with --overwrite "
    )


def test_a_checkpoint_with_a_single_wrong_byte_rejected(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "toy", at_batch(1, stop))
    assert toy_run(tmp_path / "a")[0] == 130
    path = tmp_path / "a.checkpoint"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        content[content.index(archive.read(largest))] ^= 1
    path.write_bytes(content)
    code, output = toy_run(tmp_path / "a", "--resume")
    assert code == 2
    assert "is damaged, or no checkpoint of egru" in output


def test_places_that_cannot_be_written_rejected(tmp_path):
    (tmp_path / "file").write_text("")
    code, output = toy_run(tmp_path / "file" / "a")
    assert code == 2
    assert output == (
        f"error: {tmp_path}/file/a cannot be written ({tmp_path}/file: Not a directory): name "
        f"another place "
    )
