"""The tasks: how they read a user's files, and what they refuse."""

import gzip
import random
import re
import struct
import subprocess
import sys
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from golden.tasks import TASKS, DataError, configure
from golden.tasks.digits import BANDS, DELTA, HOP, STEPS, log_mel, rebuild, send_on_delta
from golden.tasks.warp import warp_images


def rng():
    return np.random.default_rng(0)


def disjoint(*splits) -> bool:
    rows = [{x.tobytes() for x in split.inputs} for split in splits]
    return sum(map(len, rows)) == len(set().union(*rows))


def test_mnist1d_is_the_standard_split_and_leaves_global_generators_alone():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    task = TASKS["mnist1d"]
    task.__dict__.pop("_data", None)  # the cached data
    x, labels = task.everything()
    x_test, labels_test = task.test()
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002
    assert (x.shape, x_test.shape) == ((4000, 40, 1), (1000, 40, 1))
    assert (x.dtype, labels.dtype) == (np.float32, np.int64)
    assert set(labels) == set(labels_test) == set(range(10))
    everything = np.concatenate([x, x_test])
    assert abs(everything.mean()) < 1e-5
    assert abs(everything.std() - 1) < 1e-5
    assert disjoint(task.train(), task.validation(), task.test())
    assert (len(task.train().targets), len(task.validation().targets)) == (3600, 400)


def test_mnist1d_augmentation_is_seeded_and_mild():
    task = TASKS["mnist1d"]
    x, _ = task.train()
    before = x.copy()
    first, second = (task.augment(x, rng()) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(x, before)
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    correlations = [np.corrcoef(a[:, 0], b[:, 0])[0, 1] for a, b in zip(x, first, strict=True)]
    assert 0.6 < np.mean(correlations) < 0.99


def test_delay_copy_scores_at_the_end_what_was_shown_at_the_start():
    task = configure("delay-copy", bits=5, delay=3)
    split = task.test()
    assert split.inputs.shape == (8, 13, 3)
    assert np.array_equal(split.inputs[:, :5, 1], split.targets[:, 8:])
    assert np.array_equal(split.inputs[:, :5, 0], 1 - split.targets[:, 8:])
    assert not split.inputs[:, 5:8].any()
    assert np.array_equal(split.inputs[:, :, 2], split.targets >= 0)
    assert disjoint(task.train(), task.validation(), task.test())


def write_wav(samples: np.ndarray, path: Path, rate: int = 8000, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def tone(hertz: float, seconds: float = 0.4) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(8000 * seconds)) / 8000)


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for digit in range(2):
        for index in (0, 4, 5, 17):
            write_wav(tone(300 * (digit + 1)), folder / f"{digit}_ann_{index}.wav")
    (folder / "notes.txt").write_text("no recording")
    return folder


def test_digits_are_the_same_from_a_folder_and_a_zip_file(recordings, tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for file in sorted(recordings.iterdir()):
            archive.write(file, f"free-spoken-digits/recordings/{file.name}")
    for data in (recordings, tmp_path / "data.zip"):
        task = configure("digits", data=data)
        test, everything = task.test(), task.everything()
        assert test.inputs.shape == everything.inputs.shape == (4, STEPS, BANDS)
        assert list(test.targets) == [0, 0, 1, 1]  # indices 0 ... 4
        assert np.array_equal(test.inputs, everything.inputs)
    assert test.inputs.dtype == np.float32


def test_files_of_other_names_are_no_recordings(recordings, tmp_path):
    sound = (recordings / "0_ann_0.wav").read_bytes()
    for name in ("10_ann_0.wav", "0_ann_0.wav.wav", "x0_ann_0.wav", "\u0663_ann_0.wav"):
        (recordings / name).write_bytes(sound)
    (recordings / "._0_ann_0.wav").write_bytes(b"macOS keeps the attributes of a file here")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for file in recordings.iterdir():
            folder = "__MACOSX/recordings" if file.name.startswith(".") else "recordings"
            archive.write(file, f"{folder}/{file.name}")
    for data in (recordings, tmp_path / "data.zip"):
        assert list(configure("digits", data=data).test().targets) == [0, 0, 1, 1]


def test_log_mel_frames_show_when_and_how_high_a_tone_is():
    loudest = []
    for hertz in (200, 800, 3000):
        frames = log_mel(np.concatenate([np.zeros(10 * HOP), tone(hertz)]))
        assert frames.max() == 1
        assert frames.min() == 0
        assert not frames[:8].any()
        assert not frames[36:].any()
        assert frames[11:33].max(1).min() > 0.95
        loudest.append(frames[20].argmax())
    assert loudest == sorted(set(loudest))


@pytest.mark.parametrize("samples", [0, 100, 4000])
def test_digital_silence_is_zero_and_sends_nothing(samples):
    frames = log_mel(np.zeros(samples))
    assert not frames.any()
    assert not send_on_delta(frames[None]).any()


def test_the_least_significant_bits_of_a_recording_are_not_loud():
    noise = rng().integers(-1, 2, 4000) / (1 << 15)
    assert 0 < log_mel(noise).max() < 0.9
    assert log_mel(10 * noise).max() == 1


def test_send_on_delta_keeps_within_delta_of_the_frames_and_is_silent_without_change():
    frames = np.cumsum(rng().normal(0, 0.05, (3, 40, 5)), 1).astype(np.float32)
    frames[:, 20:30] = frames[:, 20:21]
    events = send_on_delta(frames)
    assert np.array_equal(events, np.round(events))
    assert set(np.sign(events).flat) == {-1, 0, 1}
    assert not events[:, 21:30].any()
    assert np.abs(rebuild(events) - frames).max() < DELTA + 1e-5
    jump = np.repeat([[0.0], [1.0]], [1, 5], axis=0)[None].astype(np.float32)
    assert send_on_delta(jump).ravel().tolist() == [0, 3, 3, 2, 0, 0]  # the rest comes later


@pytest.mark.parametrize("encoding", ["logmel", "events"])
def test_digits_augmentation_is_seeded_and_stays_in_the_encoding(recordings, encoding):
    task = configure("digits", data=recordings, encoding=encoding)
    x = task.everything().inputs
    first, second = (task.augment(x, rng()) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, x)
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    if encoding == "events":
        assert np.array_equal(first, np.round(first))
    else:
        assert first.min() >= 0
        assert first.max() <= 1


def compressed(data: bytes) -> bytes:
    """Without the time, which would differ between the processes that collect these tests."""
    return gzip.compress(data, mtime=0)


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part, count in (("train", 30), ("t10k", 20)):
        pixels = rng().integers(0, 256, (count, 6, 5))
        pixels[:, [0, 1, -2, -1]] = pixels[:, :, [0, 1, -2, -1]] = 0
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(pixels))
        labels = compressed(idx(np.arange(count) % 10))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(labels)
    return folder


def test_images_are_read_by_rows_and_by_pixels(images):
    rows, pixels = (configure("smnist", data=images, scan=s) for s in ("rows", "pixels"))
    assert rows.test().inputs.shape == (20, 6, 5)
    assert pixels.test().inputs.shape == (20, 30, 1)
    assert (rows.input_size, pixels.input_size) == (5, 1)
    assert np.array_equal(rows.test().inputs.ravel(), pixels.test().inputs.ravel())
    raw = np.frombuffer((images / "t10k-images-idx3-ubyte").read_bytes()[16:], np.uint8)
    assert np.array_equal(np.round(255 * rows.test().inputs.ravel()), raw)
    assert list(rows.test().targets) == [*range(10), *range(10)]
    assert len(rows.everything().targets) == 30


def test_images_of_other_names_and_dots_are_found(images):
    for old, new in (("train-", "train10k-"), ("s-idx", "s.idx")):
        for file in images.iterdir():
            file.rename(images / file.name.replace(old, new))
    assert len(configure("smnist", data=images).everything().targets) == 30


def test_image_augmentation_is_seeded_and_the_same_for_rows_and_pixels(images):
    task = configure("smnist", data=images)
    x = task.everything().inputs
    varied = task.augment(x, rng())
    assert np.array_equal(varied, task.augment(x, rng()))
    assert (varied.shape, varied.dtype) == (x.shape, x.dtype)
    assert (varied != x).any((1, 2)).all()
    pixels = configure("smnist", data=images, scan="pixels")
    flat = pixels.augment(pixels.everything().inputs, rng())
    assert np.array_equal(flat.reshape(varied.shape), varied)


def bar_moments(shift=0.0, turn=0.0, scale=0.0, shear=0.0) -> dict[str, np.ndarray]:
    """Of 200 variations of an upright bar in a black image of 29 × 25: area as a share of the
    bar's, middle (rows down and columns right of the image's), slope of its axis."""
    bar = np.zeros((200, 29, 25), np.float32)
    bar[:, 6:23, 11:14] = 1
    x = warp_images(bar, rng(), shift, turn, scale, shear)
    assert 0 <= x.min() < x.max() <= 1
    down, right = np.arange(29)[:, None] - 14, np.arange(25) - 12
    area = x.sum((1, 2))
    middle = [(x * axis).sum((1, 2)) / area for axis in (down, right)]
    row, column = (axis - m[:, None, None] for axis, m in zip((down, right), middle, strict=True))
    slope = (x * row * column).sum((1, 2)) / (x * row**2).sum((1, 2))
    return {"area": area / bar[0].sum(), "down": middle[0], "right": middle[1], "slope": slope}


@pytest.mark.parametrize(
    ("variation", "moves"),
    [
        ({}, {}),
        ({"shift": 2.0}, {"down": (-2, 2), "right": (-2, 2)}),
        ({"turn": 0.2}, {"slope": (-0.2, 0.2)}),
        ({"shear": 0.1}, {"slope": (-0.1, 0.1)}),
        ({"scale": 0.1}, {"area": (1 / 1.1**2, 1 / 0.9**2)}),
    ],
)
def test_each_variation_of_images_has_its_effect_within_its_limits(variation, moves):
    rest = {"area": (1, 1), "down": (0, 0), "right": (0, 0), "slope": (0, 0)}
    for name, found in bar_moments(**variation).items():
        low, high = (rest | moves)[name]
        assert found.min() == pytest.approx(low, abs=0.04), name
        assert found.max() == pytest.approx(high, abs=0.04), name


def test_images_without_variation_stay_and_black_comes_in_from_all_sides():
    x = rng().random((5, 6, 7), np.float32)
    assert np.array_equal(warp_images(x, rng(), 0, 0, 0, 0), x)
    moved = warp_images(np.ones((200, 6, 7), np.float32), rng(), 1, 0, 0, 0)
    for edge in (moved[:, 0, 3], moved[:, -1, 3], moved[:, 3, 0], moved[:, 3, -1]):
        assert 0 <= edge.min() < 0.1
        assert edge.max() == 1
    assert (moved[:, 1:-1, 1:-1] == 1).all()


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("Ödipus, the cat, sat on the mat.\n" * 100, "utf-8")
    return path


def test_the_target_of_each_character_is_the_next_one(text):
    task = configure("charlm", data=text)
    content = text.read_text("utf-8")
    assert "".join(task.symbols) == "".join(sorted(set(content)))
    parts = [task.train(), task.validation(), task.test()]
    shown = []
    for inputs, targets in parts:
        assert inputs.shape == targets.shape == (1, inputs.size)
        assert np.array_equal(inputs[0, 1:], targets[0, :-1])
        numbers = [*inputs[0], targets[0, -1]]
        shown.append("".join(task.symbols[n] for n in numbers))
    assert "".join(shown) == content
    assert [len(s) for s in shown] == [2805, 165, 330]
    assert task.everything().inputs.size == 2969


def test_a_byte_order_mark_is_no_symbol(text, tmp_path):
    plain = configure("charlm", data=text)
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbf" + text.read_bytes())
    assert configure("charlm", data=tmp_path / "marked.txt").symbols == plain.symbols
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text("\ufeffa b\n", "utf-8")
    task = configure("wordlm", data=tmp_path)
    assert task.symbols == ["<eos>", "<unk>", "a", "b"]
    assert task.test().inputs.tolist() == [[2, 3]]


@pytest.mark.parametrize("content", ["a\nb", "a\nb\n", "a\r\nb\r\n", "a\n\u2028b\x85\v\f\x1c\n"])
def test_only_line_feeds_end_a_line(tmp_path, content):
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_bytes(content.encode())
    task = configure("wordlm", data=tmp_path)
    inputs, targets = task.train()
    shown = [task.symbols[n] for n in (*inputs[0], targets[0, -1])]
    assert shown == ["a", "<eos>", "b", "<eos>"]


@pytest.mark.parametrize("form", ["ptb.{}.txt", "wiki.{}.tokens", "{}.txt"])
def test_the_vocabulary_is_that_of_the_training_text(tmp_path, form):
    texts = {"train": " a b \n c a \n", "valid": "b zebra\n", "test": "c\n\nc"}
    for part, content in texts.items():
        (tmp_path / form.format(part)).write_text(content)
        (tmp_path / f"ptb.char.{part}.txt").write_text("z z z")  # comes with Penn Treebank
    task = configure("wordlm", data=tmp_path)
    assert task.symbols == ["<eos>", "<unk>", "a", "b", "c"]

    def words(split):
        return [task.symbols[n] for n in [*split.inputs[0], split.targets[0, -1]]]

    assert words(task.train()) == ["a", "b", "<eos>", "c", "a", "<eos>"]
    assert words(task.everything()) == words(task.train())
    assert words(task.validation()) == ["b", "<unk>", "<eos>"]
    assert words(task.test()) == ["c", "<eos>", "<eos>", "c", "<eos>"]


def test_dvs_gestures_are_counted_in_windows_and_pooled_pixels(tmp_path):
    pytest.importorskip("tonic")
    for part, user in (("Train", "user01_led"), ("Test", "user24_lab")):
        folder = tmp_path / "DVSGesture" / f"ibmGesture{part}" / user
        folder.mkdir(parents=True)
        # x, y, polarity and milliseconds, as tonic's files are
        events = np.array([[0, 0, 0, 7], [3, 3, 0, 8], [4, 127, 1, 31], [0, 0, 0, 1507.0]])
        np.save(folder / "9.npy", events)
    task = configure("dvsgesture", data=tmp_path)
    inputs, targets = task.test()
    assert (inputs.shape, inputs.dtype, list(targets)) == ((1, 60, 2048), np.float32, [9])
    assert task.input_size == 2048
    frames = inputs.reshape(60, 2, 32, 32)
    assert frames[0, 0, 0, 0] == 2 / 8
    assert frames[0, 1, 31, 1] == 1 / 8  # 24 ms after the first
    assert frames.sum() == 3 / 8  # the last event is after the last step
    assert task.everything().inputs.shape == inputs.shape


def write_spikes(path, labels):
    """A file of the Heidelberg data sets, with the same four spikes in each recording."""
    h5py = pytest.importorskip("h5py")
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        ragged = {"times": h5py.vlen_dtype(np.float16), "units": h5py.vlen_dtype(np.uint16)}
        values = {"times": [0.0, 0.002, 0.015, 0.995], "units": [0, 4, 5, 699]}
        for name, dtype in ragged.items():
            data = file.create_dataset(f"spikes/{name}", len(labels), dtype)
            for row in range(len(labels)):
                data[row] = values[name]
        file["labels"] = labels
        file["extra/keys"] = [b"null"]
        file["extra/speaker"] = [0] * len(labels)


def test_spiking_digits_are_counted_in_windows_and_pooled_channels(tmp_path):
    pytest.importorskip("tonic")
    for part, labels in (("train", [4, 3]), ("test", [19])):
        write_spikes(tmp_path / "SHD" / f"shd_{part}.h5", labels)
    task = configure("shd", data=tmp_path)
    inputs, targets = task.everything()
    assert (inputs.shape, list(targets)) == ((2, 100, 140), [4, 3])
    assert inputs[0, 0, 0] == 2 / 8
    assert inputs[0, 1, 1] == inputs[0, 99, 139] == 1 / 8
    assert list(task.test().targets) == [19]


def test_spiking_commands_have_a_validation_set_of_their_own(tmp_path):
    pytest.importorskip("tonic")
    for part, labels in (("train", [4, 34, 2]), ("valid", [7]), ("test", [19, 1])):
        write_spikes(tmp_path / "SSC" / f"ssc_{part}.h5", labels)
    task = configure("ssc", data=tmp_path)
    found = {part: list(getattr(task, part)().targets)
             for part in ("train", "validation", "everything", "test")}  # fmt: skip
    assert found == {
        "train": [4, 34, 2],
        "validation": [7],
        "everything": [4, 34, 2, 7],
        "test": [19, 1],
    }
    inputs = task.everything().inputs
    assert inputs.shape == (4, 100, 70)
    assert inputs[3, 0, 0] == 2 / 8


def test_saccade_digits_are_counted_in_windows_and_pooled_pixels(tmp_path):
    pytest.importorskip("tonic")
    for part, digit in (("Train", 7), ("Test", 3)):
        folder = tmp_path / "NMNIST" / part / str(digit)
        folder.mkdir(parents=True)
        # Five bytes an event: x, y, then the polarity and 23 bits of microseconds.
        events = [(0, 0, 0, 5), (1, 1, 0, 14_000), (33, 32, 1, 15_005), (0, 0, 0, 300_005)]
        content = b"".join(
            bytes([x, y]) + (polarity << 23 | time).to_bytes(3, "big")
            for x, y, polarity, time in events
        )
        (folder / "00001.bin").write_bytes(content)
    task = configure("nmnist", data=tmp_path)
    inputs, targets = task.test()
    assert (inputs.shape, list(targets)) == ((1, 20, 578), [3])
    frames = inputs.reshape(20, 2, 17, 17)
    assert frames[0, 0, 0, 0] == 2 / 8
    assert frames[1, 1, 16, 16] == 1 / 8
    assert frames.sum() == 3 / 8  # the last event is after the last step
    assert list(task.everything().targets) == [7]


@pytest.mark.parametrize(
    "name", [n for n, t in TASKS.items() if hasattr(t, "data") and n != "own-data"]
)
def test_missing_data_get_a_sentence_that_names_what_to_fetch(name, tmp_path):
    for data, where in ((None, "--data PATH"), (tmp_path / "none", str(tmp_path / "none"))):
        with pytest.raises(DataError) as caught:
            configure(name, data=data).test()
        assert where in str(caught.value)
        assert "fetch " in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("digits", "lacks recordings named {digit}_{speaker}_{index}.wav"),
        ("smnist", "holds no t10k-images-idx*-ubyte file"),
        ("charlm", "is not a text in UTF-8"),
        ("wordlm", "holds no test.txt, ptb.test.txt or wiki.test.tokens"),
        ("dvsgesture", "holds no ibmGestureTest/*/*.npy"),
        ("shd", "holds no shd_test.h5"),
        ("ssc", "holds no ssc_test.h5"),
        ("nmnist", "holds no Test/*/*.bin"),
    ],
)
def test_folders_without_the_data_rejected(name, sentence, tmp_path):
    task = configure(name, data=tmp_path)
    if name == "wordlm":
        (tmp_path / "train.txt").write_text("a")
    with pytest.raises(DataError, match=re.escape(sentence)):
        task.test()


def test_all_files_are_looked_for_before_training(tmp_path):
    for part in ("train", "valid"):
        (tmp_path / f"{part}.txt").write_text("a b c")
    with pytest.raises(DataError, match=r"holds no test\.txt"):
        configure("wordlm", data=tmp_path).check()
    (tmp_path / "SHD").mkdir()
    (tmp_path / "SHD" / "shd_train.h5").touch()
    with pytest.raises(DataError, match=r"holds no shd_test\.h5"):
        configure("shd", data=tmp_path).check()
    (tmp_path / "test.txt").write_text("a b c")
    configure("wordlm", data=tmp_path).check()


def test_recordings_of_another_format_rejected(recordings):
    for damage, sentence in (
        (lambda path: write_wav(tone(300), path, rate=16000), "0_ann_0.wav has 16000 samples"),
        (lambda path: write_wav(tone(300), path, channels=2), "2 channels"),
        (lambda path: path.write_bytes(b"no sound"), "0_ann_0.wav is not a readable WAV"),
        (
            lambda path: path.write_bytes(b"RIFF\x10\0\0\0WAVEjunk\x40\0\0\0" + bytes(99)),
            "0_ann_0.wav is not a readable WAV",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "0_ann_0.wav is cut short"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2]), "0_ann_0.wav is cut short"),
    ):
        damage(recordings / "0_ann_0.wav")
        copy = recordings.rename(recordings.with_name(f"{recordings.name}x"))  # read once a path
        with pytest.raises(DataError, match=sentence):
            configure("digits", data=copy).test()
        recordings = copy
        write_wav(tone(300), recordings / "0_ann_0.wav")


def test_a_damaged_zip_file_rejected(recordings, tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(recordings.glob("*.wav")):
            archive.write(file, file.name)
        begin = archive.infolist()[0].header_offset + 60
    content = bytearray(path.read_bytes())
    content[begin : begin + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a readable zip file"):
        configure("digits", data=path).test()


def test_a_file_that_is_no_zip_file_rejected(text):
    with pytest.raises(DataError, match="is not a readable zip file"):
        configure("digits", data=text).test()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not an idx file of 1 dimensions"),
        (idx(np.arange(20)), "is not an idx file"),  # not compressed, and cut off below
        (compressed(idx(np.arange(20)))[:-9], "cannot be read"),
        (compressed(b"")[:10] + b"\xff" * 20, "cannot be read"),
        (compressed(idx(np.arange(20))[:-1]), "is not an idx file"),
        (compressed(idx(np.arange(20).reshape(2, 10))), "is not an idx file"),
        (compressed(idx(np.arange(19) % 10)), "20 images and 19 labels"),
        (compressed(idx(np.arange(20))), "labels must be 0 ... 9, not 19"),
    ],
)
def test_damaged_image_files_rejected(images, content, sentence):
    path = images / "t10k-labels-idx1-ubyte.gz"
    if not content.startswith(b"\x1f"):
        path.unlink()
        path, content = path.with_suffix(""), content[:-1]
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        configure("smnist", data=images).test()


@pytest.mark.parametrize("scan", ["rows", "pixels"])
@pytest.mark.parametrize("shape", [(5, 5), (6, 4)])
def test_images_of_two_sizes_rejected(images, scan, shape):
    path = images / "train-images-idx3-ubyte"
    path.write_bytes(idx(np.zeros((30, *shape))))
    found = f"{shape[0]} × {shape[1]} in {path}, 6 × 5 in {images / 't10k-images-idx3-ubyte'}"
    with pytest.raises(DataError, match=re.escape(f"must be of one size, but are {found}")):
        configure("smnist", data=images, scan=scan).everything()


def test_image_files_without_images_rejected(images):
    (images / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((0, 6, 5))))
    (images / "t10k-labels-idx1-ubyte.gz").write_bytes(compressed(idx(np.zeros(0))))
    with pytest.raises(DataError, match="the t10k files hold no images"):
        configure("smnist", data=images).test()


def test_texts_too_short_or_of_bytes_rejected(text):
    text.write_text("abc")
    with pytest.raises(DataError, match="has 3 characters, too few"):
        configure("charlm", data=text).test()
    text.write_bytes(b"\xff" * 2000)
    with pytest.raises(DataError, match="is not a text in UTF-8"):
        configure("charlm", data=text).test()


def test_unknown_tasks_and_options_rejected():
    with pytest.raises(ValueError, match="there is no task 'mnist': use one of mnist1d, "):
        configure("mnist")
    with pytest.raises(ValueError, match="mnist1d has no option 'scan': it has no options"):
        configure("mnist1d", scan="rows")
    with pytest.raises(ValueError, match="option bits of delay-copy must be a whole number, not"):
        configure("delay-copy", bits=3.5)


def test_tasks_need_no_torch():
    code = (
        "import sys; from golden.tasks import TASKS; TASKS['delay-copy'].test(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
