"""A user's own sequences as a task, without any code."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from golden.encoding import Encoder
from golden.lengths import checked, real_steps
from golden.preparation import Preparation
from golden.recipe import Recipe
from golden.scaling import Scaling
from golden.tasks.base import DataError, FileTask, Split
from golden.tasks.data_files import Sequences, read


@dataclass(frozen=True)
class OwnData(FileTask):
    """Sequences and targets from a file, see :mod:`golden.tasks.data_files`.

    Attributes:
        test_share: share of the sequences that are the test set, if the file has no split.
        last_step: read out the last step of a sequence instead of the mean of all.
        encoder: of scaled inputs that are numbers; see :class:`golden.encoding.Encoder`.
        encoder_threshold: of the encoder, in standard deviations of the features.
        scaling, scaling_of_targets: of real inputs and targets; chosen on the training sequences if
            omitted.
    """

    test_share: float = 0.2
    last_step: bool = False
    encoder: Literal["none", "send-on-delta", "threshold"] = "none"
    encoder_threshold: float = 0.0
    scaling: Scaling | None = None
    scaling_of_targets: Scaling | None = None

    name = "own-data"
    recipe = Recipe(batch_size=32, learning_rate=1e-2)  # most files are small
    source = "a .npz or .csv file with your sequences"

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise ValueError(
                f"the option test_share of {self.name} must be above 0 and below 1, "
                f"not {self.test_share}"
            )
        if (self.encoder == "none") != (self.encoder_threshold == 0) or self.encoder_threshold < 0:
            raise ValueError(
                f"the options encoder and encoder_threshold of {self.name} belong together: give "
                f"an encoder and a threshold above 0, or none of the two"
            )

    def path(self) -> Path:
        if self.data is None:
            raise DataError(
                "there is nothing to train on: name a TASK, or give your own sequences with "
                "--data FILE.npz or FILE.csv"
            )
        if not self.data.is_file():
            raise DataError(f"there is no file {self.data}: correct --data")
        return self.data

    @cached_property
    def _sequences(self) -> Sequences:
        return read(self.path())

    @property
    def readout(self) -> str:
        targets = self._sequences.targets
        if targets.ndim == (3 if targets.dtype.kind == "f" else 2):
            if self.last_step:
                raise DataError(
                    f"{self.data}: the option last_step has no effect, as each step has a target: "
                    f"leave it out"
                )
            return "steps"
        return "last" if self.last_step else "mean"

    @property
    def input_size(self) -> int:
        inputs = self._sequences.inputs
        return inputs.shape[2] if inputs.ndim == 3 else int(inputs.max()) + 1

    @property
    def classes(self) -> int | None:
        targets = self._sequences.targets
        return None if targets.dtype.kind == "f" else int(targets.max()) + 1

    @property
    def values(self) -> int | None:
        targets = self._sequences.targets
        return targets.shape[-1] if targets.dtype.kind == "f" else None

    @cached_property
    def input_scaling(self) -> Scaling | None:
        found = self._sequences
        if self.scaling is not None or found.inputs.ndim == 2:
            return self.scaling
        chosen = self._parts == "train"
        inputs = found.inputs[chosen]
        if found.lengths is not None:
            inputs = inputs[real_steps(found.lengths[chosen], inputs.shape[1])][None]
        constant = np.flatnonzero((inputs == inputs[:1, :1]).all((0, 1)))
        if len(constant):
            feature = constant[0]
            raise DataError(
                f"{self.data}: {found.features[feature]} is {inputs[0, 0, feature]} in every step "
                f"of every training sequence: leave it out"
            )
        return Scaling.of(inputs)

    @property
    def input_encoder(self) -> Encoder | None:
        if self.encoder == "none":
            return None
        if self._sequences.inputs.ndim == 2:
            raise DataError(
                f"{self.data}: the option encoder has no effect on symbols: leave it out"
            )
        return Encoder(self.encoder, self.encoder_threshold)

    @property
    def encoded_shares(self) -> tuple[float, float]:
        """Shares of input values of steps that are not zero, without the encoder and with it."""
        found = self._sequences
        scaled = Preparation(self.input_scaling)(found.inputs)
        lengths = checked(found.lengths, *scaled.shape[:2])
        steps = real_steps(lengths, scaled.shape[1])
        encoded = self.input_encoder(scaled) if self.input_encoder else scaled
        before, after = (float(np.mean(values[steps] != 0)) for values in (scaled, encoded))
        return before, after

    @cached_property
    def target_scaling(self) -> Scaling | None:
        if self.scaling_of_targets is not None or self.values is None:
            return self.scaling_of_targets
        targets = self._sequences.targets[self._parts == "train"]
        targets = targets.reshape(-1, targets.shape[-1])
        constant = np.flatnonzero(np.nanmax(targets, 0) == np.nanmin(targets, 0))
        if len(constant):
            raise DataError(
                f"{self.data}: target {constant[0]} is {np.nanmax(targets[:, constant[0]])} in all "
                f"training sequences: there is nothing to learn"
            )
        return Scaling.of(targets)

    @cached_property
    def _parts(self) -> np.ndarray:
        """What each sequence is for."""
        if self._sequences.split is not None:
            return self._sequences.split
        count = len(self._sequences.inputs)
        tests = round(self.test_share * count)
        if not 0 < tests < count:
            raise DataError(
                f"{self.data} has {count} sequences, too few for a test set of "
                f"{self.test_share:.0%}: add sequences, or change --option test_share"
            )
        parts = np.full(count, "train", "<U10")
        parts[np.random.default_rng(0).permutation(count)[:tests]] = "test"
        return parts

    def _take(self, *parts: str) -> Split:
        inputs = Preparation(self.input_scaling, self.input_encoder)(self._sequences.inputs)
        targets = self._sequences.targets
        if scaling := self.target_scaling:
            targets = scaling(targets)
        split = Split(inputs, targets, self._sequences.lengths)
        return split.take(np.isin(self._parts, parts))

    def everything(self) -> Split:
        return self._take("train", "validation")

    def train(self) -> Split:
        return self._take("train") if "validation" in self._parts else super().train()

    def validation(self) -> Split:
        return self._take("validation") if "validation" in self._parts else super().validation()

    def test(self) -> Split:
        return self._take("test")
