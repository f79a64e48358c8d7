"""The training loop: the task's loss plus a penalty on activity above a target.

Training is deterministic and can be resumed. Lightning's Trainer runs the loop, in one process or
in several under ``torchrun``.
"""

import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from golden.cells import find_cell
from golden.cells.event_gru import EGRU
from golden.evaluation import first, fold, score_network
from golden.network.network import Network, detach
from golden.network.word_network import AnyNetwork, WordNetwork
from golden.recipe import Recipe
from golden.tasks import Split, Task
from golden.tasks.options import options
from golden.training.batches import Batch, Batches
from golden.training.checkpoint import (
    KEY,
    AtomicIO,
    EveryEpoch,
    Files,
    Trainable,
    fingerprint,
    read_own,
)
from golden.training.errors import diverged
from golden.training.history import Epoch, has_stopped, write_history
from golden.training.processes import is_first, processes
from golden.training.signals import stop_after_epoch

logger = logging.getLogger(__name__)


def make_network(task: Task, recipe: Recipe) -> AnyNetwork:
    """The untrained network of a recipe, initialised from torch's global generator."""
    options: dict[str, Any] = {"cell": recipe.cell, "num_layers": recipe.num_layers}
    options |= {name: getattr(recipe, name) for name in find_cell(recipe.cell).options}
    regular = ("embedding_size", "dropout", "word_dropout")
    recipe.check_effect([name for name in regular if getattr(recipe, name)], task)
    if recipe.embedding_size is None:
        if recipe.num_layers > 1:
            options["dropout"] = recipe.dropout
        sizes = (task.input_size, recipe.hidden_size, task.outputs)
        return Network(*sizes, readout=task.readout, **options)
    if task.values is not None:
        raise ValueError(f"--embedding-size needs a language model: {task.name} predicts values")
    options |= {"dropout": recipe.dropout, "word_dropout": recipe.word_dropout}
    return WordNetwork(task.outputs, recipe.embedding_size, recipe.hidden_size, **options)


def train(
    task: Task,
    recipe: Recipe,
    files: Files,
    resume: bool = False,
    progress_bar: bool = False,
    network: Trainable | None = None,
) -> tuple[Trainable, list[Epoch]]:
    """Train a network on ``task``; the same arguments give the same network.

    A checkpoint is written after every epoch. Ctrl-C stops after the current epoch, SIGTERM or
    a second Ctrl-C at once.

    Args:
        files: the history, checkpoints and TensorBoard logs are written, and replace those of an
            earlier training; the model is not written.
        resume: continue from the checkpoint, to the same result as without an interruption.
        progress_bar: show one on the terminal, instead of logging each epoch.
        network: what to train instead of the recipe's network.

    Raises:
        KeyboardInterrupt: by Ctrl-C or SIGTERM, with a checkpoint of the epochs so far.
        CheckpointError: there is no checkpoint, it is damaged, or it is another training's.
        DataError: the task's data are missing.
        ValueError: the recipe does not fit the task, or the loss is no longer finite.
    """
    torch.manual_seed(recipe.seed)
    run = _Run(task, recipe, files, network)
    if resume:
        checkpoint = read_own(files.checkpoint, run.identity)
        run.history = [Epoch(**epoch) for epoch in checkpoint["history"]]
        if recipe.patience and run.history:
            read_own(files.best, run.identity)  # so that damage shows now, not at the end
    elif is_first():  # files of an earlier training
        files.remove_checkpoints()
        for log in files.tensorboard.glob("events.out.tfevents.*"):
            log.unlink()
    files.model.parent.mkdir(parents=True, exist_ok=True)
    if not has_stopped(run.history, recipe.patience):
        _fit(run, resume, progress_bar)
    if recipe.patience:
        run.load_state_dict(read_own(files.best, run.identity)["state_dict"])
    return run.network.eval(), run.history


def _fit(run: "_Run", resume: bool, progress_bar: bool) -> None:
    """Lightning's part of :func:`train`."""
    files, recipe = run.files, run.recipe
    callbacks: list[Callback] = []
    if recipe.patience:
        callbacks += [
            EarlyStopping(
                "validation_loss", patience=recipe.patience, check_on_train_epoch_end=True
            ),
            EveryEpoch(files.best, monitor="validation_loss", save_weights_only=True),
        ]
    callbacks.append(EveryEpoch(files.checkpoint))
    if progress_bar:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    else:
        run.log_epoch = logger.info
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
            plugins=[AtomicIO()],
            enable_progress_bar=progress_bar,
            enable_model_summary=False,
            enable_checkpointing=True,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            deterministic=True,
        )
        with stop_after_epoch(run.interrupt):
            try:
                trainer.fit(run, ckpt_path=files.checkpoint if resume else None, weights_only=True)
            except SystemExit as stop:  # Lightning exits on SIGTERM and on the second Ctrl-C
                interrupted = isinstance(stop.__context__, KeyboardInterrupt)
                if not interrupted and not isinstance(stop, SIGTERMException):
                    raise
                run.interrupted = True
    if processes() > 1:  # otherwise its threads may outlive the first process to end, and abort it
        torch.distributed.destroy_process_group()
    if run.interrupted:
        raise KeyboardInterrupt


class _Run(lightning.LightningModule):
    """One training, as Lightning expects it."""

    def __init__(self, task: Task, recipe: Recipe, files: Files, network: Trainable | None):
        super().__init__()
        self.task, self.recipe, self.files = task, recipe, files
        self.origin = None if network is None else fingerprint(network)
        self.network = make_network(task, recipe) if network is None else network
        for module in self.network.modules():
            if isinstance(module, EGRU):
                module.store_transposed()
        self.history: list[Epoch] = []
        self.interrupted = False
        self.log_epoch: Callable[..., None] = lambda *_: None
        self.validation: Split | None = None
        if recipe.patience:
            self.validation = task.validation()
            if task.stream:
                self.validation = fold(first(self.validation, recipe.limit), recipe.batch_size)

    def interrupt(self) -> None:
        """Stop after the current epoch."""
        self.interrupted = True

    @property
    def identity(self) -> dict[str, Any]:
        """What two trainings must have in common for one to resume from the other's checkpoint."""
        return {
            "task": {"name": self.task.name, "options": options(self.task)},
            "sizes": [self.task.input_size, self.task.outputs],
            "targets": self.task.objective.name,
            "vocabulary": self.task.vocabulary,
            "recipe": asdict(self.recipe),
            "origin": self.origin,
            "processes": processes(),  # sums over their parts of a batch round differently
        }

    def train_dataloader(self) -> Batches:
        batches = Batches(
            self.task, self.recipe, lambda: self.current_epoch, self.global_rank, self._processes
        )
        self.objective = batches.objective
        return batches

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
            lr=recipe.learning_rate,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            recipe.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_train_epoch_start(self) -> None:
        self.start, self.state = time.monotonic(), None
        self.totals: Tensor | float = 0.0
        recipe = self.recipe
        # Units of other cells are active in every step; no penalty can change that.
        self.price = recipe.activity_price if find_cell(recipe.cell).emits_events else 0.0
        self.target_activity = target_activity(recipe, self.current_epoch)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        inputs, targets, lengths, steps, share, steps_share = batch
        outputs, events, state = self.network.run(inputs, self.state, lengths)
        if self.task.stream:
            self.state = detach(state)
        objective = self.objective
        # Without a scored target there is no mean, but the other processes wait for a gradient.
        loss = objective.loss(outputs, targets) if share else 0.0 * outputs.sum()
        total = loss * share
        if self.price:
            activity = _activity(events, steps)
            # The penalty is on the activity of the whole batch, not on this process's share.
            whole = activity.detach()
            if self._processes > 1:
                whole = self.trainer.strategy.reduce(whole * steps_share, reduce_op="mean")
            if whole > self.target_activity:
                total = total + self.price * (activity - self.target_activity) * steps_share
        with torch.no_grad():
            scored = objective.scored(targets).sum()
            fired = torch.stack([y.count_nonzero() / y.shape[2] for y in events]).mean()
            played = torch.tensor(steps)
            sums = objective.sums(outputs, targets)
            totals = torch.stack([loss * scored, scored, fired, played, *sums])
            self.totals = self.totals + totals.double() * (steps_share > 0)
        return total

    def on_train_epoch_end(self) -> None:
        totals = self.trainer.strategy.reduce(self.totals, reduce_op="sum")
        loss, activity = (totals[[0, 2]] / totals[[1, 3]]).tolist()
        objective = self.task.objective
        metric = objective.measure(totals[4:].cpu().numpy())
        self._check("its loss", loss)
        for name, parameter in self.network.named_parameters():
            self._check(name, parameter.detach().abs().max().item())
        values = {"loss": loss, objective.metric: metric, "activity": activity}
        score = None
        if self.validation:  # computed by every process, so that all stop at the same epoch
            score = score_network(self.network, self.validation, self.task.stream, objective)
            self._check("its validation loss", score.loss)
            values["validation_loss"] = score.loss
            values[f"validation_{objective.metric}"] = score.metric
        self.log_dict(values, prog_bar=True)
        epoch = Epoch(
            self.current_epoch + 1,
            loss,
            metric,
            activity,
            score.loss if score else None,
            score.metric if score else None,
            time.monotonic() - self.start,
        )
        self.history.append(epoch)
        if self.trainer.is_global_zero:
            write_history(self.files.history, self.history, objective)
            text = epoch.in_words(objective)
            self.log_epoch("epoch %d/%d  %s", epoch.epoch, self.recipe.epochs, text)
        if self.trainer.strategy.reduce_boolean_decision(self.interrupted, all=False):
            self.interrupted = True
            self.trainer.should_stop = True

    def _check(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            when = f"in epoch {self.current_epoch + 1}"
            raise diverged(self.recipe.learning_rate, when, what, value)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = self.identity
        checkpoint["history"] = [asdict(epoch) for epoch in self.history]


def target_activity(recipe: Recipe, epoch: int) -> float:
    """The activity above which epoch ``epoch``, counted from 0, is penalised."""
    length = max(recipe.target_until - recipe.target_from, 1e-9)
    part = min(max((epoch / recipe.epochs - recipe.target_from) / length, 0.0), 1.0)
    return recipe.start_activity ** (1 - part) * recipe.target_activity**part


def _activity(events: tuple[Tensor, ...], steps: int) -> Tensor:
    """The share of units that emit an event in ``steps`` steps, as a differentiable function of the
    events.

    Each event y contributes y / y = 1, whose gradient is 1 / y. Units without an event have no
    gradient: their surrogate derivatives would count as well, and 1 / y would outweigh all else.
    """
    return torch.stack(
        [
            torch.where(y > 0, y / y.detach().clamp_min(1e-3), 0).sum() / (steps * y.shape[2])
            for y in events
        ]
    ).mean()


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses Lightning's advice on hardware, loggers and data loaders."""
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
