"""Images read as sequences: MNIST and data sets in its format, such as Fashion-MNIST."""

import gzip
import math
import zlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from golden.recipe import Recipe
from golden.tasks.base import DataError, FileTask, Split
from golden.tasks.warp import warp_images

# Limits of augmentation: shift in pixels, rotation in radians, change of scale, shear.
SHIFT, TURN, SCALE, SHEAR = 2.0, 0.2, 0.1, 0.1

RECIPES = {
    "rows": Recipe(
        epochs=60,
        learning_rate=1e-2,
        target_activity=0.14,
        activity_price=1.0,
        surrogate_width=1.0,
        threshold_mean=0.05,
        update_bias=-1.0,
    ),
    # One hour of epochs on one core, and a memory long enough for 784 steps.
    "pixels": Recipe(
        epochs=30,
        learning_rate=7e-3,
        target_activity=0.14,
        activity_price=1.0,
        surrogate_width=0.3,
        threshold_mean=0.01,
        update_bias=4.0,
    ),
}


@dataclass(frozen=True)
class SequentialMnist(FileTask):
    """Greyscale images of ten classes, read from idx files; values in [0, 1].

    Attributes:
        data: folder of the four files, plain or compressed (.gz).
        scan: "rows" for one row of pixels per step, "pixels" for one pixel per step.
    """

    scan: Literal["rows", "pixels"] = "rows"

    name = "smnist"
    classes = 10
    source = (
        "the four idx files of MNIST or Fashion-MNIST (train-images-idx3-ubyte.gz, "
        "train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz) "
        "into one folder"
    )

    @property
    def recipe(self) -> Recipe:
        return RECIPES[self.scan]

    @property
    def cell_recipes(self) -> dict[str, Recipe]:
        if self.scan == "rows":
            other = replace(self.recipe, learning_rate=6e-3)
        else:
            other = replace(self.recipe, learning_rate=2e-3, forget_bias=3.0)
        return {"gru": other, "lstm": other}

    @property
    def input_size(self) -> int:
        return self.test().inputs.shape[2]

    def everything(self) -> Split:
        folder, source = self.path(), self.source
        sizes = {
            _find(folder, part, "images", source): _read_part(folder, part, source)[0].shape[1:]
            for part in ("train", "t10k")
        }
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{size[0]} × {size[1]} in {file}" for file, size in sizes.items())
            raise DataError(f"images must be of one size, but are {found}: fetch {source}")
        return self._sequences("train")

    def test(self) -> Split:
        return self._sequences("t10k")

    def _sequences(self, part: str) -> Split:
        images, labels = _read_part(self.path(), part, self.source)
        count, height, width = images.shape
        shape = (height, width) if self.scan == "rows" else (height * width, 1)
        return Split(images.reshape(count, *shape), labels)

    def augment(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Random small affine transformations (see :func:`warp_images`)."""
        _, height, width = _read_part(self.path(), "train", self.source)[0].shape
        images = inputs.reshape(-1, height, width)
        return warp_images(images, rng, SHIFT, TURN, SCALE, SHEAR).reshape(inputs.shape)


@cache
def _read_part(folder: Path, part: str, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, height, width) float32 and labels (N,) of one part, "train" or "t10k"."""
    images = _read_idx(_find(folder, part, "images", source), dimensions=3)
    labels = _read_idx(_find(folder, part, "labels", source), dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder}: the {part} files have {len(images)} images and {len(labels)} labels, "
            f"which should be equal: fetch {source}"
        )
    if not images.size:
        raise DataError(f"{folder}: the {part} files hold no images: fetch {source}")
    if labels.max() > 9:
        raise DataError(f"{folder}: labels must be 0 ... 9, not {labels.max()}: fetch {source}")
    return images.astype(np.float32) / 255, labels.astype(np.int64)


def _find(folder: Path, part: str, what: str, source: str) -> Path:
    # Some copies name a part "train10k", or have a dot instead of the dash before "idx".
    found = sorted(folder.glob(f"{part}*-{what}?idx?-ubyte*"))
    if not found:
        raise DataError(f"{folder} holds no {part}-{what}-idx*-ubyte file: fetch {source}")
    return found[0]


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The unsigned bytes of an idx file: a magic number, the sizes, the values."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): fetch it again") from None
    start = 4 + 4 * dimensions
    shape = tuple(np.frombuffer(data[4:start], ">u4", count=len(data[4:start]) // 4).tolist())
    expected = bytes([0, 0, 8, dimensions])
    if data[:4] != expected or len(data) != start + math.prod(shape):
        raise DataError(
            f"{path} is not an idx file of {dimensions} dimensions of bytes, or is truncated: "
            f"fetch it again"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
