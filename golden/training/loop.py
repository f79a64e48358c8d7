"""Training: cross-entropy plus a price on activity above a target, resumable and deterministic.

Lightning's Trainer runs the loop, for one process or for several under ``torchrun``.
"""

import csv
import hashlib
import io
import logging
import math
import os
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from rich.console import Console
from torch import Tensor
from torch.nn import functional as F

from golden.evaluation import fold, score_network
from golden.model_file import write_atomically
from golden.network.network import Network, detach
from golden.network.word_network import AnyNetwork, WordNetwork
from golden.quantization.quantized_network import QuantizedNetwork
from golden.tasks import Split, Task
from golden.training.batches import Batch, Batches
from golden.training.recipes import Recipe

Trainable = AnyNetwork | QuantizedNetwork
KEY = "egru_training"  # of what this module adds to Lightning's checkpoint


@dataclass(frozen=True)
class Epoch:
    """Means over one epoch's training batches; ``activity`` is the share of units with an
    event. The loss and accuracy on the validation set are None without one."""

    epoch: int
    loss: float
    accuracy: float
    activity: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float

    def __str__(self) -> str:
        text = f"loss {self.loss:.4f}  accuracy {self.accuracy:.2%}  activity {self.activity:.2%}"
        if self.validation_loss is not None:
            text += f"  validation {self.validation_loss:.4f}, {self.validation_accuracy:.2%}"
        return f"{text}  {self.seconds:.1f} s"


class CheckpointError(ValueError):
    """A checkpoint that cannot be continued; the message says why."""


@dataclass(frozen=True)
class Files:
    """What a training writes, beside the model file ``model``."""

    model: Path

    @property
    def checkpoint(self) -> Path:
        """Where to go on from, after every epoch."""
        return self._beside(".checkpoint")

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch so far, with a validation set."""
        return self._beside(".best.checkpoint")

    @property
    def history(self) -> Path:
        """A line of CSV for every epoch."""
        return self._beside(".csv")

    @property
    def report(self) -> Path:
        """Options, results and versions, as JSON."""
        return self._beside(".json")

    @property
    def tensorboard(self) -> Path:
        """A folder for TensorBoard."""
        return self._beside(".tensorboard")

    def _beside(self, suffix: str) -> Path:
        """In the place of a model file's own suffix; behind any other, which is of its name."""
        return self.model.with_name(self.model.name.removesuffix(".safetensors") + suffix)


def make_network(task: Task, recipe: Recipe) -> AnyNetwork:
    """The untrained network of a recipe; draws from torch's generator."""
    options: dict[str, Any] = {"cell": recipe.model, "num_layers": recipe.layers}
    if recipe.model == "egru":
        options |= {
            "surrogate_height": recipe.surrogate_height,
            "surrogate_width": recipe.surrogate_width,
            "threshold_mean": recipe.threshold_mean,
            "update_bias": recipe.update_bias,
            "drop_connect": recipe.drop_connect,
        }
    elif recipe.model == "lstm":
        options["forget_bias"] = recipe.forget_bias
    if recipe.embedding is None:
        if recipe.layers > 1:
            options["dropout"] = recipe.dropout
        elif recipe.dropout:
            raise ValueError("--dropout is of events between layers: it needs --layers 2 or more")
        sizes = (task.input_size, recipe.hidden, task.classes)
        return Network(*sizes, readout=task.readout, **options)
    if not task.stream:
        raise ValueError(f"--embedding is for language models, and {task.name} is none")
    options |= {"dropout": recipe.dropout, "word_dropout": recipe.word_dropout}
    return WordNetwork(task.classes, recipe.embedding, recipe.hidden, **options)


def processes() -> int:
    """How many share a training, under ``torchrun``."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first() -> bool:
    """Whether this is the only process of a training, or the first of several."""
    return int(os.environ.get("RANK", 0)) == 0


def train(
    task: Task,
    recipe: Recipe,
    files: Files,
    resume: bool = False,
    console: Console | None = None,
    network: Trainable | None = None,
) -> tuple[Trainable, list[Epoch]]:
    """Train ``network``, or the recipe's, on ``task``; the same arguments give the same network.

    A checkpoint is written after every epoch; with ``resume`` training goes on from there and
    ends as if it had never stopped. Ctrl-C stops after the epoch, a second one at once.

    Raises:
        KeyboardInterrupt: Ctrl-C, with a checkpoint of the epochs so far.
        CheckpointError: there is no checkpoint, or it is another training's, or damaged.
        DataError: the task's data are missing.
    """
    torch.manual_seed(recipe.seed)
    run = _Run(task, recipe, files, network)
    if resume:
        checkpoint = check(files.checkpoint, run.identity)
        run.history = [Epoch(**epoch) for epoch in checkpoint["history"]]
        if recipe.patience and run.history:
            _read(files.best)  # now and not when all is trained
    elif is_first():
        shutil.rmtree(files.tensorboard, ignore_errors=True)  # of an earlier training
    files.model.parent.mkdir(parents=True, exist_ok=True)
    if not has_stopped(run.history, recipe.patience):
        _fit(run, resume, console)
    if recipe.patience:
        run.load_state_dict(_read(files.best)["state_dict"])
    return run.network.eval(), run.history


def _fit(run: "_Run", resume: bool, console: Console | None) -> None:
    """Lightning's part of :func:`train`."""
    files, recipe = run.files, run.recipe
    callbacks: list[Callback] = []
    if recipe.patience:
        callbacks += [
            EarlyStopping(
                "validation_loss", patience=recipe.patience, check_on_train_epoch_end=True
            ),
            _Checkpoint(files.best, monitor="validation_loss", save_weights_only=True),
        ]
    callbacks.append(_Checkpoint(files.checkpoint))
    bar = console is not None and console.is_terminal
    if bar:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    elif console:
        run.say = console.print
    with _quiet():
        trainer = lightning.Trainer(
            accelerator="cpu",
            strategy="ddp" if processes() > 1 else "auto",
            devices=int(os.environ.get("LOCAL_WORLD_SIZE", 1)),
            num_nodes=processes() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)),
            max_epochs=recipe.epochs,
            gradient_clip_val=recipe.clip,
            logger=TensorBoardLogger(files.tensorboard.parent, files.tensorboard.name, ""),
            callbacks=callbacks,
            plugins=[_AtomicIO()],
            enable_progress_bar=bar,
            enable_model_summary=False,
            enable_checkpointing=True,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            deterministic=True,
        )
        with _interruptible(run, console):
            try:
                trainer.fit(run, ckpt_path=files.checkpoint if resume else None, weights_only=True)
            except SystemExit:  # how Lightning reacts to the second Ctrl-C
                if not run.interrupted:
                    raise
    if processes() > 1:  # or its threads may outlive the process that leaves first, and abort it
        torch.distributed.destroy_process_group()
    if run.interrupted:
        raise KeyboardInterrupt


class _Run(lightning.LightningModule):
    """The moving parts of one training."""

    def __init__(self, task: Task, recipe: Recipe, files: Files, network: Trainable | None):
        super().__init__()
        self.task, self.recipe, self.files = task, recipe, files
        self.origin = None if network is None else fingerprint(network)
        self.network = make_network(task, recipe) if network is None else network
        self.history: list[Epoch] = []
        self.interrupted = False
        self.say: Callable[[str], None] = lambda text: None
        self.validation: Split | None = None
        if recipe.patience:
            self.validation = task.validation()
            if task.stream:
                self.validation = fold(self.validation, recipe.batch)

    @property
    def identity(self) -> dict[str, Any]:
        """What another training must have in common to go on from a checkpoint of this one."""
        return {
            "task": describe(self.task),
            "sizes": [self.task.input_size, self.task.classes],
            "vocabulary": self.task.vocabulary,
            "recipe": asdict(self.recipe),
            "origin": self.origin,
            "processes": processes(),  # which share batches, and so round sums differently
        }

    def train_dataloader(self) -> Batches:
        return Batches(
            self.task, self.recipe, lambda: self.current_epoch, self.global_rank, self._processes
        )

    @property
    def _processes(self) -> int:
        return self.trainer.world_size

    def configure_optimizers(self):
        named = list(self.network.named_parameters())
        recipe = self.recipe
        optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for name, p in named if "threshold" not in name],
                    "weight_decay": recipe.weight_decay,
                },
                {
                    "params": [p for name, p in named if "threshold" in name],
                    "weight_decay": 0.0,
                },
            ],
            lr=recipe.rate,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.rate, total_steps=int(self.trainer.estimated_stepping_batches)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_train_epoch_start(self) -> None:
        self.start, self.state = time.monotonic(), None
        self.totals = torch.zeros(4, dtype=torch.float64)
        recipe = self.recipe
        # Units of other cells always speak and cannot be made to speak less.
        self.price = recipe.activity_price if recipe.model == "egru" else 0.0
        self.target_activity = target_activity(recipe, self.current_epoch)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        inputs, targets, share = batch
        logits, events, state = self.network.run(inputs, self.state)
        if self.task.stream:
            self.state = detach(state)
        logits, targets = logits.flatten(0, -2), targets.flatten()
        loss = F.cross_entropy(logits, targets, ignore_index=-1)
        total = loss
        if self.price:
            activity = _activity(events)
            # The price is on the activity of the whole batch, which the processes share.
            whole = activity.detach()
            if self._processes > 1:
                whole = self.trainer.strategy.reduce(whole * share, reduce_op="mean")
            if whole > self.target_activity:
                total = total + self.price * (activity - self.target_activity)
        with torch.no_grad():
            scored = (targets >= 0).sum()
            right = (logits.argmax(1) == targets).sum()
            fired = torch.stack([(y != 0).float().mean() for y in events]).mean()
            if share > 0:
                self.totals += torch.stack([loss * scored, right, fired * scored, scored])
        return total * share

    def on_train_epoch_end(self) -> None:
        totals = self.trainer.strategy.reduce(self.totals, reduce_op="sum")
        loss, accuracy, activity = (totals[:3] / totals[3]).tolist()
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss of epoch {self.current_epoch + 1} is no longer a number: "
                f"train with a lower --rate than {self.recipe.rate}"
            )
        values = {"loss": loss, "accuracy": accuracy, "activity": activity}
        score = None
        if self.validation:  # by every process on its own, so that all decide alike
            score = score_network(self.network, self.validation, self.task.stream)
            values |= {"validation_loss": score.loss, "validation_accuracy": score.accuracy}
        self.log_dict(values, prog_bar=True)
        self.history.append(
            Epoch(
                self.current_epoch + 1,
                loss,
                accuracy,
                activity,
                score.loss if score else None,
                score.accuracy if score else None,
                time.monotonic() - self.start,
            )
        )
        if self.trainer.is_global_zero:
            write_history(self.files.history, self.history)
            self.say(f"epoch {self.current_epoch + 1}/{self.recipe.epochs}  {self.history[-1]}")
        if self.trainer.strategy.reduce_boolean_decision(self.interrupted, all=False):
            self.interrupted = True
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = self.identity
        checkpoint["history"] = [asdict(epoch) for epoch in self.history]


def has_stopped(history: list[Epoch], patience: int | None) -> bool:
    """Whether a training stopped early: that many epochs have not bettered the best one."""
    losses = [epoch.validation_loss for epoch in history]
    if not patience or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience  # type: ignore[type-var]


def describe(task: Task) -> dict[str, Any]:
    """A task's name and options, without the place of its data."""
    options = {f.name: getattr(task, f.name) for f in fields(task) if f.name != "data"}
    return {"name": task.name, "options": options}


def fingerprint(network: Trainable) -> str:
    """Tells networks apart: by their parameters, and a quantised one's scales."""
    digest = hashlib.sha256()
    if isinstance(network, QuantizedNetwork):
        digest.update(repr(network.scales).encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint, if it is one of the training ``identity``.

    Raises:
        CheckpointError: with one sentence.
    """
    checkpoint = _read(path)
    if checkpoint[KEY] != identity:
        raise CheckpointError(
            f"{path} was written by a training with other options or of another model, or by "
            f"another number of processes: repeat those, or train without resuming"
        )
    return checkpoint


def _read(path: Path) -> dict[str, Any]:
    """A checkpoint of any training of this module's.

    Raises:
        CheckpointError: with one sentence.
    """
    if not path.is_file():
        raise CheckpointError(
            f"there is no checkpoint at {path} to resume from: train without resuming"
        )
    try:
        checkpoint = torch.load(path, weights_only=True)
        if missing := {KEY, "history", "state_dict"} - checkpoint.keys():
            raise KeyError(missing)
    except Exception as error:
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({type(error).__name__}): "
            f"delete it and train from the start"
        ) from None
    return checkpoint


def write_history(path: Path, history: list[Epoch]) -> None:
    """Lightning's own CSV logger forgets, on resuming, what it wrote before."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in history)
    write_atomically(path, text.getvalue().encode())


def target_activity(recipe: Recipe, epoch: int) -> float:
    """The activity above which there is a price in an epoch, counted from 0."""
    length = max(recipe.target_until - recipe.target_from, 1e-9)
    part = min(max((epoch / recipe.epochs - recipe.target_from) / length, 0.0), 1.0)
    return recipe.start_activity ** (1 - part) * recipe.target_activity**part


def _activity(events: tuple[Tensor, ...]) -> Tensor:
    """Share of units firing, with a gradient: each event counts as 1, and c / c carries dy.

    Silent units are not priced: their surrogate derivative would count too, and 1 / c outweigh
    everything else.
    """
    return torch.stack(
        [torch.where(y > 0, y / y.detach().clamp_min(1e-3), 0).mean() for y in events]
    ).mean()


class _Checkpoint(ModelCheckpoint):
    """Writes ``path`` after every epoch; Lightning would take braces in its name for a form."""

    def __init__(self, path: Path, **options: Any):
        super().__init__(
            path.parent, save_on_train_epoch_end=True, enable_version_counter=False, **options
        )
        self.path = path

    def format_checkpoint_name(self, *_: Any, **__: Any) -> str:
        return str(self.path)


class _AtomicIO(TorchCheckpointIO):
    """Lightning's own replaces a file by one in the system's folder for temporary files: across
    file systems that is a copy, which an interruption leaves half done."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(path, content.getvalue())


@contextmanager
def _interruptible(run: _Run, console: Console | None) -> Iterator[None]:
    """Ctrl-C makes ``run`` stop after the epoch."""

    def interrupt(*_) -> None:
        run.interrupted = True
        signal.signal(signal.SIGINT, previous)
        if console:
            console.print("stopping after this epoch; once more to stop at once")

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice on hardware, loggers and loaders."""
    names = ("lightning", "lightning.pytorch", "lightning.fabric")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
