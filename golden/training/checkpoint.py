"""Checkpoints: where they are, which run they belong to, and how they are written."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from golden import output
from golden.network.word_network import AnyNetwork
from golden.quantization.quantized_network import QuantizedNetwork
from golden.training.processes import is_first

Trainable = AnyNetwork | QuantizedNetwork
KEY = "egru_training"  # of the training's identity in Lightning's checkpoint


class CheckpointError(ValueError):
    """A checkpoint that cannot be resumed from; the message says why."""


@dataclass(frozen=True)
class Files:
    """The files of a training: the model file ``model`` and those beside it."""

    model: Path

    @property
    def checkpoint(self) -> Path:
        """The state after the last epoch, to resume from."""
        return self._beside(".checkpoint")

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch so far, with a validation set."""
        return self._beside(".best.checkpoint")

    @property
    def history(self) -> Path:
        """CSV, one line per epoch."""
        return self._beside(".csv")

    @property
    def report(self) -> Path:
        """Options, results and versions, as JSON."""
        return self._beside(".json")

    @property
    def tensorboard(self) -> Path:
        """A folder for TensorBoard."""
        return self._beside(".tensorboard")

    @property
    def lock(self) -> Path:
        """Locked while a training writes the other files."""
        return self._beside(".checkpoint.lock")

    @contextmanager
    def claimed(self, resume: bool, overwrite: bool) -> Iterator[None]:
        """Keep other trainings from these files.

        Raises:
            OutputError: another training writes them, they cannot be written, or they exist
                already, and are neither to be resumed nor overwritten.
        """
        if resume and overwrite:
            raise ValueError(
                "--resume continues a training and --overwrite replaces it: give only one of them"
            )
        results = (self.model, self.report, self.history, self.best)
        output.check(*results, self.checkpoint, self.tensorboard / "events.out.tfevents")
        busy = f"another training is writing {self.model}: wait for its end, or give another --out"
        # Of several processes, the first holds the lock, but all check for files, so that all end.
        with output.locked(self.lock, busy) if is_first() else nullcontext():
            if not resume and not overwrite:
                if self.checkpoint.exists():
                    raise output.OutputError(
                        f"{self.checkpoint} belongs to an unfinished training: continue it with "
                        f"--resume, replace it with --overwrite, or give another --out"
                    )
                if found := [path for path in results if path.exists()]:
                    raise output.OutputError(
                        f"{found[0]} exists: replace it with --overwrite, or give another --out"
                    )
            yield

    def remove_checkpoints(self) -> None:
        """Remove those of a training that has ended."""
        for path in (self.checkpoint, self.best):
            output.target(path).unlink(missing_ok=True)

    def _beside(self, suffix: str) -> Path:
        """Replaces ``.safetensors``; any other suffix is part of the name and is kept."""
        return self.model.with_name(self.model.name.removesuffix(".safetensors") + suffix)


def fingerprint(network: Trainable) -> str:
    """A digest of a network's parameters and, if it is quantised, its scales."""
    digest = hashlib.sha256()
    if isinstance(network, QuantizedNetwork):
        digest.update(repr(network.scales).encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def read(path: Path) -> dict[str, Any]:
    """A checkpoint of any training.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path} to resume from: train from scratch")
    try:
        with zipfile.ZipFile(path) as archive:
            intact = archive.testzip() is None
        checkpoint = torch.load(path, weights_only=True) if intact else None
    except Exception:  # torch raises many kinds
        checkpoint = None
    if not isinstance(checkpoint, dict) or not {KEY, "history", "state_dict"} <= checkpoint.keys():
        raise CheckpointError(
            f"{path} is damaged, or no checkpoint of egru: train from scratch with --overwrite"
        )
    return checkpoint


def read_own(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint of the training with this identity.

    Raises:
        CheckpointError: there is none, it is damaged, or it is another training's.
    """
    checkpoint = read(path)
    if checkpoint[KEY] != identity:
        raise CheckpointError(
            f"{path} was written by a training with other options, another model or another "
            f"number of processes: use the same ones, or train from scratch with --overwrite"
        )
    return checkpoint


class EveryEpoch(ModelCheckpoint):
    """Writes ``path`` after every epoch. Lightning alone would interpret braces in its name."""

    def __init__(self, path: Path, **options: Any):
        super().__init__(
            path.parent, save_on_train_epoch_end=True, enable_version_counter=False, **options
        )
        self.path = path

    def format_checkpoint_name(self, *_: Any, **__: Any) -> str:
        return str(self.path)


class AtomicIO(TorchCheckpointIO):
    """Lightning alone moves checkpoints from the system's folder for temporary files: across
    file systems that is a copy, which an interruption leaves incomplete."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        output.write(path, content.getvalue())
