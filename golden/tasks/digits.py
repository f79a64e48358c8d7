"""Spoken digits: the Free Spoken Digit Dataset as log-mel frames, or as events."""

import io
import re
import wave
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from golden.recipe import Recipe
from golden.tasks.base import DataError, FileTask, Split
from golden.tasks.warp import warp_time

RATE = 8000  # samples per second
WINDOW, HOP = 256, 128  # samples: 32 ms, a step of 16 ms
BANDS = 32
LOWEST = 80.0  # Hz
STEPS = 48  # 0.77 s; nine in ten recordings are shorter
RANGE = 9.0  # nats: energy is clipped 39 dB below a recording's maximum
FAINTEST = 1e-9  # energy that counts as none; the last bit of a recording's samples has more
DELTA = 0.12  # change of a band that causes an event, as a share of RANGE
MOST = 3  # largest event, in DELTA: small inputs leave headroom in integer accumulators
TEST_INDICES = range(5)  # the data set's official split

NAME = re.compile(r"([0-9])_[A-Za-z]+_([0-9]+)\.wav")


@dataclass(frozen=True)
class SpokenDigits(FileTask):
    """Recordings of ten digits by six speakers; 300 of 3,000 are the official test set.

    A step is 16 ms. A frame holds the log energy of 32 mel bands, scaled so that the recording's
    maximum is 1 and 39 dB below it is 0, and clipped there. So silence, and padding after the
    recording, is 0, and a recording that is almost silent stays below 1. Files with other names
    are ignored, such as those in which macOS keeps attributes.

    Attributes:
        data: the zip file or folder of the recordings, {digit}_{speaker}_{index}.wav.
        encoding: "logmel" for these frames, "events" for their send-on-delta encoding, see
            :func:`send_on_delta`.
    """

    encoding: Literal["logmel", "events"] = "logmel"

    name = "digits"
    input_size = BANDS
    classes = 10
    recipe = Recipe(epochs=80, batch_size=50, learning_rate=4e-3, target_activity=0.085)
    source = "the Free Spoken Digit Dataset (the zip file of its repository, or its recordings)"

    def everything(self) -> Split:
        return self._encoded(_read(self.path(), self.source)[0])

    def test(self) -> Split:
        return self._encoded(_read(self.path(), self.source)[1])

    def _encoded(self, split: Split) -> Split:
        if self.encoding == "logmel":
            return split
        return Split(send_on_delta(split.inputs), split.targets)

    def augment(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shifts, stretches, changes gain and spectrum, and mutes some bands and steps."""
        frames = inputs if self.encoding == "logmel" else rebuild(inputs)
        frames = _vary(frames, rng)
        return frames if self.encoding == "logmel" else send_on_delta(frames)


def send_on_delta(frames: np.ndarray) -> np.ndarray:
    """Send-on-delta events (N, T, C) of ``frames`` (N, T, C): integers as float32, mostly 0.

    Each band has a reference level, initially 0. If its value differs from it by DELTA or more,
    the event is the difference in whole DELTA, limited to MOST, and the level moves by that.
    """
    level = np.zeros_like(frames[:, 0])
    events = np.zeros_like(frames)
    for step in range(frames.shape[1]):
        events[:, step] = np.trunc((frames[:, step] - level) / DELTA).clip(-MOST, MOST)
        level += events[:, step] * np.float32(DELTA)
    return events


def rebuild(events: np.ndarray) -> np.ndarray:
    """The frames that ``events`` encode, within DELTA if they change slowly enough for MOST."""
    return np.cumsum(events, 1) * np.float32(DELTA)


def _vary(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count, steps, bands = frames.shape
    frames = warp_time(frames, rng, shift=4.0, stretch=0.15)
    gain = rng.uniform(-0.1, 0.1, (count, 1, 1)) + rng.uniform(-0.1, 0.1, (count, 1, 1)) * (
        np.linspace(-1, 1, bands)
    )
    noise = rng.normal(0, 0.03, frames.shape)
    frames = np.where(frames > 0, frames + gain + noise, 0).clip(0, 1).astype(np.float32)
    for axis, size, widest in ((1, steps, 6), (2, bands, 5)):
        begin, width = rng.integers(0, size, (count, 1)), rng.integers(0, widest + 1, (count, 1))
        place = np.arange(size)
        muted = (place >= begin) & (place < begin + width)
        frames[np.broadcast_to(np.expand_dims(muted, 3 - axis), frames.shape)] = 0
    return frames


@cache
def _read(path: Path, source: str) -> tuple[Split, Split]:
    """Frames and digits, of the training recordings and of the test recordings."""
    parts: dict[bool, list[tuple[np.ndarray, int]]] = {False: [], True: []}
    for digit, index, sound in sorted_recordings(path):
        parts[index in TEST_INDICES].append((log_mel(sound), digit))
    if not all(parts.values()):
        raise DataError(
            f"{path} lacks recordings named {{digit}}_{{speaker}}_{{index}}.wav, with indices "
            f"below {TEST_INDICES.stop} for the test and from {TEST_INDICES.stop} for training: "
            f"fetch {source}"
        )
    train, test = (
        Split(np.stack([f for f, _ in part]), np.array([d for _, d in part]))
        for part in (parts[False], parts[True])
    )
    return train, test


def sorted_recordings(path: Path) -> Iterator[tuple[int, int, np.ndarray]]:
    """``(digit, index, samples)`` of all recordings in a folder or zip file; samples in [-1, 1)."""
    if path.is_dir():
        files = {str(file): file.read_bytes for file in path.rglob("*.wav")}
        yield from _recordings(files)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".wav")]
            yield from _recordings({n: lambda n=n: archive.read(n) for n in names})
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, RuntimeError) as error:
        # zipfile raises RuntimeError for passwords and unknown compression methods.
        raise DataError(f"{path} is not a readable zip file ({error}): fetch it again") from None


def _recordings(files: dict) -> Iterator[tuple[int, int, np.ndarray]]:
    named = [
        (match, read)
        for name, read in files.items()
        if (match := NAME.fullmatch(name.rpartition("/")[2]))
    ]
    for match, read in sorted(named, key=lambda item: item[0].group()):
        digit, index = match.groups()
        yield int(digit), int(index), _samples(match.group(), read())


def _samples(name: str, data: bytes) -> np.ndarray:
    try:
        with wave.open(io.BytesIO(data)) as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            count = file.getnframes()
            samples = file.readframes(count)
    except (wave.Error, EOFError, RuntimeError) as error:
        raise DataError(f"{name} is not a readable WAV file ({error}): fetch it again") from None
    if form != (RATE, 1, 2):
        raise DataError(
            f"{name} has {form[0]} samples per second, {form[1]} channels and {form[2]} bytes "
            f"per sample where {RATE}, 1 and 2 were expected: fetch the original recordings"
        )
    if len(samples) != 2 * count:
        raise DataError(
            f"{name} is cut short, with {len(samples)} of {2 * count} bytes: fetch it again"
        )
    return np.frombuffer(samples, "<i2").astype(np.float64) / (1 << 15)


def log_mel(sound: np.ndarray) -> np.ndarray:
    """Frames (STEPS, BANDS) float32 in [0, 1] of samples in [-1, 1); see :class:`SpokenDigits`."""
    needed = (STEPS - 1) * HOP + WINDOW
    sound = np.pad(sound[:needed], (0, max(0, needed - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(WINDOW))))
    energy = np.log(power @ _mel_filters().T + FAINTEST)
    loudest = max(energy.max(), np.log(FAINTEST) + RANGE)
    return np.maximum(0, 1 + (energy - loudest) / RANGE).astype(np.float32)


@cache
def _mel_filters() -> np.ndarray:
    """Triangular filters (BANDS, WINDOW / 2 + 1), evenly spaced on the mel scale."""

    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    def hertz(mel):
        return 700 * (10 ** (mel / 2595) - 1)

    edges = hertz(np.linspace(mel(LOWEST), mel(RATE / 2), BANDS + 2))[:, None]
    frequency = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    return np.minimum(rising, falling).clip(0)
