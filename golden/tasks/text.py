"""Language models: predict the next character or word."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from golden.recipe import Recipe
from golden.tasks.base import DataError, FileTask, Split

FEWEST_CHARACTERS = 1000


@dataclass(frozen=True)
class TextTask(FileTask):
    """A stream of symbols; the target of each step is the next symbol.

    Each split is one sequence: inputs and targets are (1, length - 1).
    """

    readout = "steps"
    stream = True

    @property
    @abstractmethod
    def symbols(self) -> list[str]: ...

    @property
    def input_size(self) -> int:
        return len(self.symbols)

    @property
    def classes(self) -> int:
        return len(self.symbols)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")  # without a byte order mark
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} is not a text in UTF-8 ({error}): use another file") from None


def _next(symbols: np.ndarray) -> Split:
    return Split(symbols[None, :-1], symbols[None, 1:])


@dataclass(frozen=True)
class CharacterModel(TextTask):
    """The characters of a text file: 85 % for training, 5 % for validation, 10 % for the test.

    Attributes:
        data: a text file in UTF-8.
    """

    name = "charlm"
    source = "a text file in UTF-8, for example tinyshakespeare's input.txt"
    recipe = Recipe(
        hidden_size=256,
        epochs=8,
        batch_size=32,
        window=64,
        learning_rate=2e-2,
        weight_decay=0.1,
        target_activity=0.195,
        activity_price=0.5,
        surrogate_width=1.0,
        threshold_mean=0.05,
        update_bias=-1.0,
    )
    cell_recipes: ClassVar = dict.fromkeys(
        ("gru", "lstm"), replace(recipe, learning_rate=1e-2, weight_decay=1e-2)
    )

    @cached_property
    def _text(self) -> str:
        path = self.path()
        text = _read(path)
        if len(text) < FEWEST_CHARACTERS:
            raise DataError(
                f"{path} has {len(text)} characters, too few to train on: "
                f"use a text of at least {FEWEST_CHARACTERS}"
            )
        return text

    @cached_property
    def symbols(self) -> list[str]:
        return sorted(set(self._text))

    @cached_property
    def _numbers(self) -> np.ndarray:
        codes = np.frombuffer(self._text.encode("utf-32-le"), np.uint32)
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)

    def _part(self, begin: float, end: float) -> Split:
        count = len(self._numbers)
        return _next(self._numbers[int(begin * count) : int(end * count)])

    def everything(self) -> Split:
        return self._part(0.0, 0.9)

    def train(self) -> Split:
        return self._part(0.0, 0.85)

    def validation(self) -> Split:
        return self._part(0.85, 0.9)

    def test(self) -> Split:
        return self._part(0.9, 1.0)


@dataclass(frozen=True)
class WordModel(TextTask):
    """Penn Treebank, WikiText-2 and texts in their format: words separated by white space.

    Lines end at line feeds, and each adds the word "<eos>". The vocabulary is that of the
    training text; all other words become "<unk>".

    Attributes:
        data: folder of three files: ptb.train.txt, ptb.valid.txt and ptb.test.txt;
            wiki.train.tokens and so on; or train.txt, valid.txt and test.txt.
    """

    name = "wordlm"
    source = (
        "Penn Treebank (ptb.train.txt, ptb.valid.txt, ptb.test.txt) or WikiText-2 "
        "(wiki.train.tokens, wiki.valid.tokens, wiki.test.tokens) into one folder"
    )
    recipe = Recipe(
        hidden_size=1350,
        num_layers=3,
        embedding_size=750,
        epochs=200,
        patience=20,
        batch_size=64,
        window=70,
        learning_rate=1e-3,
        weight_decay=1e-5,
        clip=0.25,
        target_activity=0.2,
        surrogate_width=0.28,
        threshold_mean=0.01,
        dropout=0.4,
        word_dropout=0.1,
        drop_connect=0.5,
    )

    def check(self) -> None:
        for part in ("train", "valid", "test"):
            self._file(part)

    def _file(self, part: str) -> Path:
        folder = self.path()
        names = (f"ptb.{part}.txt", f"wiki.{part}.tokens", f"{part}.txt")
        found = [folder / name for name in names if (folder / name).exists()]
        if not found:
            raise DataError(
                f"{folder} holds no {part}.txt, ptb.{part}.txt or wiki.{part}.tokens: "
                f"fetch {self.source}"
            )
        return found[0]

    def _words(self, part: str) -> list[str]:
        path = self._file(part)
        lines = _read(path).removesuffix("\n").split("\n")
        words = [word for line in lines for word in (*line.split(), "<eos>")]
        if len(words) < 2:
            raise DataError(f"{path} is empty: fetch it again")
        return words

    @cached_property
    def symbols(self) -> list[str]:
        return sorted({*self._words("train"), "<unk>"})

    def _part(self, part: str) -> Split:
        number = {word: index for index, word in enumerate(self.symbols)}
        unknown = number["<unk>"]
        return _next(np.array([number.get(word, unknown) for word in self._words(part)]))

    def everything(self) -> Split:
        """The training text only: by the benchmark's rules, validation text is not trained on."""
        return self._part("train")

    def train(self) -> Split:
        return self._part("train")

    def validation(self) -> Split:
        return self._part("valid")

    def test(self) -> Split:
        return self._part("test")
