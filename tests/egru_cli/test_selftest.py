"""``egru selftest``: a device compared with the integer model on random models."""

import re

from tests.helpers.command import invoke

SUMMARY = re.compile(r"([\d,]+) values compared; --seed (\d+) goes on from here\n")


def selftest(*words) -> tuple[int, int, int, str]:
    """Status, values compared, seed to go on with, and messages."""
    result = invoke("selftest", "--port", "P", *words)
    assert result.exit_code in (0, 1), result.stderr
    values, seed = SUMMARY.fullmatch(result.stdout).groups()
    return result.exit_code, int(values.replace(",", "")), int(seed), result.stderr


def test_it_compares_as_many_values_as_asked_for(device):
    status, compared, seed, messages = selftest("--values", 5000, "--seed", 10)
    assert status == 0
    assert compared >= 5000
    assert re.findall(r"--seed (\d+), ", messages) == [str(number) for number in range(10, seed)]


def test_it_ends_after_a_time(device):
    status, compared, *_ = selftest("--minutes", 0.01)
    assert status == 0
    assert compared > 0


def test_a_seed_goes_on_where_another_run_ended(device):
    """Two runs compare what one run compares."""
    _, first, seed, _ = selftest("--values", 3000)
    _, second, end, _ = selftest("--values", 3000, "--seed", seed)
    _, both, *_ = selftest("--values", first + second)
    assert (both, end > seed > 0) == (first + second, True)


def test_a_difference_is_named_with_the_seed_that_repeats_it(faulty_device):
    status, _compared, seed, errors = selftest("--values", 10**6)
    assert status == 1
    assert f"mismatch with --seed {seed}: first event at sequence " in errors
    assert f"--seed {seed}: first event" in selftest("--values", 1, "--seed", seed)[3]
