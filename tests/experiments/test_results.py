"""docs/results.md, its records, and the runs that leave them."""

import json
import re
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import pytest

from experiments.results import page, runner
from experiments.results.catalogue import EXPERIMENTS, Experiment, Run
from experiments.results.costs import Costs
from experiments.results.record import FOLDER, Record, RecordError, Rtl, load, load_all
from experiments.results.run import Refused, RunError, Workplace
from golden import load_model, save_model
from golden.evaluation import Score
from tests.helpers.command import invoke

SHIPPED = Path(__file__).parents[2] / "golden" / "models" / "mnist1d.safetensors"

TOY = Experiment(
    name="toy",
    title="Toy",
    task="mnist1d",
    seeds={"egru": 1, "gru": 1},
    cheap=True,
    options={"epochs": 1, "hidden_size": 4, "limit": 50},
    published="nothing",
)
COSTS = Costs(
    parameters=1000,
    footprint=4000,
    activity=(0.125,),
    activation_sparsity=0.875,
    backward_sparsity=(0.5,),
    dense=2000.0,
    macs=250.0,
    acs=50.0,
)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to work in, where Toy is the only experiment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "EXPERIMENTS", (TOY,))
    monkeypatch.setattr(page, "EXPERIMENTS", (TOY,))
    return tmp_path


def results(*words) -> tuple[int, str]:
    """Exit code and output of the command."""
    result = invoke("results", *words)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.exit_code, re.sub(r"\s+", " ", result.output)


def make(run: Run, accuracy: float = 0.9, **changes) -> Record:
    scores = {"float": Score(0.3, accuracy, (0.125,), 1000)}
    if run.model == "egru":
        scores |= {kind: replace(scores["float"]) for kind in ("INT8", "INT4", "INT4 trained")}
    record = Record(
        name=run.name,
        model=run.model,
        seed=run.seed,
        command="egru train toy",
        commit="0123456789",
        date="2026-01-02",
        hours=1.5,
        versions={"torch": "2"},
        recipe=asdict(run.recipe),
        scores=scores,
        failures={},
        footprints={"8": 1100, "4": 600} if run.model == "egru" else {},
        costs=COSTS,
        rtl=None,
    )
    return replace(record, **changes)


def make_all(experiment: Experiment) -> dict[str, Record]:
    return {run.name: make(run) for run in experiment.runs()}


def line(text: str, beginning: str) -> str:
    (found,) = [row for row in text.splitlines() if row.startswith(beginning)]
    return found


# ---- the page ---------------------------------------------------------------------------------


def test_the_page_is_what_the_records_in_the_repository_make():
    assert page.PAGE.read_text() == page.text(load_all(FOLDER)), (
        "write it with: egru results --train none"
    )


def test_the_page_has_means_and_ranges(monkeypatch):
    three = replace(TOY, seeds={"egru": 3, "gru": 1})
    monkeypatch.setattr(page, "EXPERIMENTS", (three,))
    records = make_all(three)
    for seed, accuracy in enumerate((0.91, 0.92, 0.96)):
        run = Run(three, "egru", seed)
        records[run.name] = make(run, accuracy)
    text = page.text(records)
    row = line(text, "| Toy |")
    assert "| 93.0 % (91.0 … 96.0) | 90.0 % | – | 15.0 % |" in row
    assert row.endswith("| not run | nothing |")
    assert line(text, "| activation sparsity") == "| activation sparsity | 87.5 % | 87.5 % |"
    assert line(text, "| INT8 |").endswith("| 0.300 | 12.5 % | 1,100 | 3 |")
    assert "4 runs, 6.0 hours" in text


def test_other_targets_of_activity_have_a_table_and_do_not_count_as_seeds(monkeypatch):
    toy = replace(TOY, seeds={"egru": 1}, targets=(0.05, 0.3), rtl=True)
    monkeypatch.setattr(page, "EXPERIMENTS", (toy,))
    usual, *others = toy.runs()
    assert [run.name for run in others] == ["toy-egru-0-at-0.05", "toy-egru-0-at-0.3"]
    assert [run.recipe.target_activity for run in others] == [0.05, 0.3]
    assert ("--target-activity", "0.05") in pairwise(others[0].options())
    assert [run.rtl for run in (usual, *others)] == [True, False, False]
    records = make_all(toy) | {run.name: make(run, 0.7) for run in others}
    text = page.text(records)
    assert "| 90.0 % | – | – | 15.0 % |" in line(text, "| Toy |")
    rows = text.split("| activity target |")[1].splitlines()[2:5]
    assert [row.split(" | ")[0] for row in rows] == ["| 5.0 %", "| 10.8 %", "| 30.0 %"]
    assert [row.split(" | ")[2] for row in rows] == ["70.0 %", "90.0 %", "70.0 %"]
    assert "3 runs, 4.5 hours" in text  # all trainings are listed


def test_int8_is_the_mean_of_all_seeds_and_int4_that_of_the_fine_tuned_ones(monkeypatch):
    toy = replace(TOY, seeds={"egru": 2})
    monkeypatch.setattr(page, "EXPERIMENTS", (toy,))
    first, second = toy.runs()

    def scores(**accuracy: float) -> dict[str, Score]:
        return {kind.replace("_", " "): Score(0.3, value, (0.1,), 1000)
                for kind, value in accuracy.items()}  # fmt: skip

    records = {
        first.name: make(first, scores=scores(float=0.95, INT8=0.9, INT8_trained=0.94, INT4=0.5,
                                              INT4_trained=0.949)),
        second.name: make(second, scores=scores(float=0.9, INT8=0.9, INT4=0.5)),
    }  # fmt: skip
    text = page.text(records)
    assert "| 92.0 % (90.0 … 94.0) | 94.9 % |" in line(text, "| Toy |")
    assert "* Toy: INT8 loses 0.50 points." in text  # of 1.0 and 0.0
    assert "INT4 loses" not in text
    del records[first.name].scores["INT4 trained"]
    assert "* Toy: INT4 loses 42.50 points." in page.text(records)


def test_the_page_lists_what_falls_short(monkeypatch):
    monkeypatch.setattr(page, "EXPERIMENTS", (TOY,))
    egru, gru = TOY.runs()
    assert "* Toy: nothing is recorded." in page.text({})
    records = make_all(TOY)
    assert "* Toy: not recorded: toy-gru-0." in page.text({egru.name: records[egru.name]})
    assert "| not run |" in line(page.text(records), "| Toy |")
    monkeypatch.setattr(page, "EXPERIMENTS", (replace(TOY, why_no_rtl="fits no preset"),))
    assert "| fits no preset |" in line(page.text(records), "| Toy |")
    monkeypatch.setattr(page, "EXPERIMENTS", (TOY,))
    shown = page.text(records).split("## What falls short")[1].split("## Toy")[0]
    assert shown.split() == []

    worse = make(egru).scores | {kind: Score(0.3, 0.85, (0.1,), 1000) for kind in ("INT8", "INT4")}
    rtl = Rtl(100, {"RTL": 0.5}, 5000, 3, 110.0, 300.0)
    failures = {"INT8 trained": "error: too large"}
    records[egru.name] = make(egru, scores=worse, rtl=rtl, failures=failures)
    records[gru.name] = make(gru, 0.925, recipe=make(gru).recipe | {"epochs": 7})
    text = page.text(records)
    assert "* Toy: trained by an earlier recipe: toy-gru-0." in text
    assert "* Toy: EGRU is 2.50 points behind GRU." in text
    assert "* Toy: toy-egru-0: no INT8 trained: error: too large." in text
    assert "* Toy: INT8 loses 5.00 points." in text
    assert "INT4 loses" not in text  # the fine-tuned model does not
    assert "* Toy: 3 values of the RTL differ." in text
    assert "| 3 of 5,000 |" in line(text, "| Toy |")


def test_losses_are_better_when_they_are_smaller(monkeypatch):
    monkeypatch.setattr(page, "EXPERIMENTS", (replace(TOY, score="loss"),))
    gru = TOY.runs()[1]
    records = make_all(TOY)
    records[gru.name] = make(gru, scores={"float": Score(0.4, 0.99, (1.0,), 1000)})
    assert "behind" not in page.text(records)
    records[gru.name] = make(gru, scores={"float": Score(0.25, 0.1, (1.0,), 1000)})
    assert "* Toy: EGRU is 0.0500 nats behind GRU." in page.text(records)


def test_the_same_records_give_the_same_files(elsewhere):
    files = []
    for _ in range(2):
        page.write(make_all(TOY))
        files.append((page.PAGE.read_bytes(), page.FIGURE.read_bytes()))
    assert files[0] == files[1]


# ---- records ----------------------------------------------------------------------------------


def test_records_are_read_as_they_were_written(tmp_path):
    for run in TOY.runs():
        record = make(run, rtl=Rtl(100, {"RTL": 0.5}, 5000, 0, 110.0, 300.0))
        record.save(tmp_path / "toy.json")
        assert load(tmp_path / "toy.json")[run.name] == record
    assert len(load(tmp_path / "toy.json")) == len(TOY.runs())


def test_records_that_are_saved_at_the_same_time_are_all_kept(tmp_path):
    """Threads and processes; every save reads the file, adds a record, and replaces the file."""
    toy, path = replace(TOY, seeds={"gru": 40}), tmp_path / "toy.json"
    threads, processes = toy.runs()[:20], toy.runs()[20:]
    with (
        ThreadPoolExecutor(8) as pool,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as others,
    ):
        saved = [pool.submit(make(run).save, path) for run in threads]
        saved += [others.submit(make(run).save, path) for run in processes]
        for future in saved:
            future.result()
    assert load(path).keys() == {run.name for run in toy.runs()}
    assert [file.name for file in tmp_path.iterdir()] == ["toy.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: "[]",
        lambda text: "[" * 100_000 + "]" * 100_000,
        lambda text: text.replace('"costs"', '"coasts"'),
        lambda text: text.replace('"dense": 2000.0', '"dense": "many"'),
        lambda text: text.replace('"float": {', '"double": {'),
        lambda text: text.replace('"name": "toy-egru-0"', '"name": "toy-egru-1"'),
        lambda text: text.replace('"recipe": {', '"recipe": null, "was": {'),
    ],
)
def test_damaged_records_rejected(damage, elsewhere):
    run = TOY.runs()[0]
    path = FOLDER / "toy.json"
    make(run).save(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(RecordError, match="is not readable"):
        load(path)
    code, output = results("--train", "none")
    assert code == 2
    assert output.startswith(f"error: {path}: record ")
    assert not page.PAGE.exists()


# ---- runs -------------------------------------------------------------------------------------


def test_every_run_has_a_unique_name_and_every_experiment_a_task():
    names = [run.name for experiment in EXPERIMENTS for run in experiment.runs()]
    assert len(set(names)) == len(names)
    for experiment in EXPERIMENTS:
        task = experiment.runs()[0].task(Path("data"))
        assert (experiment.data is None) == (getattr(task, "data", None) is None)


def test_a_run_trains_by_the_recipe_of_the_configured_task():
    (pixels,) = [e for e in EXPERIMENTS if e.name == "smnist-pixels"]
    recipes = {run.model: run.recipe for run in pixels.runs()}
    assert {model: recipe.learning_rate for model, recipe in recipes.items()} == {
        "egru": 7e-3, "gru": 2e-3, "lstm": 2e-3
    }  # fmt: skip
    assert recipes["egru"].epochs == 30


def test_a_recorded_recipe_may_differ_in_what_its_cell_does_not_use():
    egru, gru = TOY.runs()
    other = {"update_bias": 1.5, "activity_price": 2.0, "forget_bias": 1.0}
    assert gru.is_of(asdict(gru.recipe) | other)
    assert not egru.is_of(asdict(egru.recipe) | {"update_bias": 1.5})
    for run in (egru, gru):
        assert not run.is_of(asdict(run.recipe) | {"learning_rate": 0.5})
        assert not run.is_of(asdict(run.recipe) | {"unknown": 1})


def test_a_run_leaves_a_record_and_is_not_repeated_until_its_recipe_changes(elsewhere, monkeypatch):
    egru_only = replace(TOY, seeds={"egru": 1})
    monkeypatch.setattr(runner, "EXPERIMENTS", (egru_only,))
    code, output = results()
    assert code == 0, output
    assert "toy-egru-0: done:" in output
    records = load_all(FOLDER)
    (record,) = records.values()
    assert record.command == "egru train mnist1d --hidden-size 4 --epochs 1 --limit 50"
    assert {"float", "INT8", "INT4", "INT4 trained"} <= record.scores.keys()
    assert record.costs.activity == pytest.approx(record.scores["float"].activity)
    assert record.hours > 0
    assert "| Toy |" in page.PAGE.read_text()

    calls = []
    monkeypatch.setattr(Workplace, "_call", lambda self, what, words: calls.append(words))
    assert results()[0] == 0
    assert not calls
    assert load_all(FOLDER) == records

    other = replace(egru_only, options=TOY.options | {"epochs": 2})
    monkeypatch.setattr(runner, "EXPERIMENTS", (other,))
    code, output = results()
    assert "toy-egru-0: its recipe has changed: starting again" in output
    assert ("--epochs", "2") in pairwise(calls[0])


def test_fine_tuning_takes_the_epochs_of_the_experiment_and_none_for_0(tmp_path, monkeypatch):
    calls = []

    def train(self, what, words):
        calls.append(words)
        out = Path(words[words.index("--out") + 1])
        score = {"loss": [0.1] * 2, "accuracy": [0.9] * 2, "activity": [[0.1, 0.1]],
                 "test_targets": 1}  # fmt: skip
        out.with_suffix(".json").write_text(json.dumps({"results": score}))

    monkeypatch.setattr(Workplace, "_call", train)
    loses_nothing = {kind: Score(0.3, 0.9, (0.1,), 1000) for kind in ("float", "INT8")}
    for epochs in (7, 0):
        run = replace(TOY.runs()[0], experiment=replace(TOY, tuned=epochs))
        work = Workplace(run, None, print, tmp_path)
        work.folder.mkdir(exist_ok=True)
        for bits in work._widths_to_train(loses_nothing):
            work._fine_tune(bits)
    (call,) = calls
    assert ("--epochs", "7") in pairwise(call)
    assert ("--weight-bits", "4") in pairwise(call)


def test_an_interrupted_training_is_resumed(elsewhere, monkeypatch):
    work = Workplace(TOY.runs()[0], None, print)
    work.folder.mkdir(parents=True)
    work.model.checkpoint.touch()
    calls = []
    monkeypatch.setattr(Workplace, "_call", lambda self, what, words: calls.append(words))
    with pytest.raises(ValueError, match="there is no model file"):
        work.make()
    assert calls[0][-1] == "--resume"


def test_only_a_sentence_counts_as_a_refusal(elsewhere):
    work = Workplace(TOY.runs()[0], None, print)
    work.folder.mkdir(parents=True)
    with pytest.raises(Refused, match="--embedding-size has no effect") as caught:
        work._call("training", ["train", "mnist1d", "--embedding-size", "4"])
    assert caught.value.reason.startswith("error: ")
    with pytest.raises(RunError) as caught:  # exits with the same status, but with usage
        work._call("training", ["no-such-command"])
    assert not isinstance(caught.value, Refused)


def test_a_network_without_an_integer_model_is_reported_in_every_run(elsewhere):
    work = Workplace(TOY.runs()[0], None, print)
    work.folder.mkdir(parents=True)
    file = load_model(SHIPPED)
    save_model(work.model.model, file.network(), None, file.config)
    with pytest.raises(RunError, match=r"has no integer model, and .*log has the reason"):
        work.make()


def test_a_failure_is_reported_and_the_other_runs_continue(elsewhere, monkeypatch):
    broken = replace(TOY, name="broken", options={"embedding_size": 4}, seeds={"egru": 1})
    monkeypatch.setattr(runner, "EXPERIMENTS", (broken, TOY))
    monkeypatch.setattr(Workplace, "done", lambda self: self.run.experiment is TOY)
    for run in TOY.runs():
        make(run).save(Workplace(run, None, print).record)
    code, output = results()
    assert code == 1
    assert "broken-egru-0: error: training failed (" in output
    assert f"see {Path('build/results/broken-egru-0/log')}; 2 to go" in output
    assert "toy-gru-0: done: 90.00%; 0 to go" in output
    assert page.PAGE.exists()


def test_a_fine_tuning_that_fails_is_recorded_and_the_rest_stays(elsewhere, monkeypatch):
    work = Workplace(TOY.runs()[0], None, print)
    work.folder.mkdir(parents=True)
    shutil.copy(SHIPPED, work.model.model)
    facts = load_model(SHIPPED).config
    work.model.report.write_text(json.dumps(facts | {"versions": facts["provenance"]["versions"]}))

    def stop(kind):
        def call(self, what, words):
            raise kind("training with 4 bits failed (error: too large)", *reason[kind])

        monkeypatch.setattr(Workplace, "_call", call)

    reason = {Refused: ["error: too large"], RunError: []}
    stop(RunError)  # as by Ctrl-C
    with pytest.raises(RunError):
        work.make()
    assert not work.done()
    stop(Refused)
    record = work.make()
    assert work.done()
    assert record.failures == {"INT4 trained": "error: too large"}
    assert record.scores.keys() == {"float", "INT8", "INT4"}
    assert record.scores["float"].metric == 0.981
    assert record.costs.activity == pytest.approx(record.scores["float"].activity, abs=1e-4)


def test_the_record_holds_the_report_of_the_rtl_with_its_mismatches(elsewhere, monkeypatch):
    work = Workplace(replace(TOY.runs()[0], experiment=replace(TOY, rtl=True)), None, print)
    report = asdict(Rtl(100, {"RTL": 0.5}, 5000, 3, 110.0, 300.0))

    def simulate(self, what, words, fine):
        assert words[:2] == ["sim", str(work.model.model)]
        assert fine == (0, 1)
        (work.folder / "sim").mkdir(parents=True)
        (work.folder / "sim" / "report.json").write_text(json.dumps(report | {"more": 1}))

    monkeypatch.setattr(Workplace, "_call", simulate)
    assert work.run.rtl
    assert work._simulate() == Rtl(**report)
    monkeypatch.setattr(Workplace, "_call", lambda self, what, words, fine: None)
    with pytest.raises(RunError, match="the simulation wrote no report"):
        work._simulate()


# ---- the command ------------------------------------------------------------------------------


def test_missing_data_are_named_and_records_read_instead(elsewhere, monkeypatch):
    with_data = replace(TOY, data="digits.zip")
    for module in (runner, page):
        monkeypatch.setattr(module, "EXPERIMENTS", (with_data,))
    for record in make_all(TOY).values():
        record.save(FOLDER / "toy.json")
    code, output = results("--data", "nowhere")
    assert code == 0
    assert output.count("toy: not trained: there is no digits.zip in nowhere") == 1
    assert "90.0 %" in page.PAGE.read_text()


def test_expensive_experiments_are_trained_only_on_request(elsewhere, monkeypatch):
    monkeypatch.setattr(runner, "EXPERIMENTS", (replace(TOY, cheap=False),))
    make(TOY.runs()[0]).save(FOLDER / "toy.json")
    asked = []
    monkeypatch.setattr(runner, "_work", lambda works, jobs: asked.append(len(works)) or 0)
    for words in ([], ["--train", "all"], ["--train", "none"], ["--only", "toy"]):
        assert results(*words)[0] == 0
    assert asked == [0, 2, 0, 2]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--train", "none", "--only", "toy"), "--train has no effect with --only: leave one of"),
        (("--train", "none", "--jobs", 2), "--jobs has no effect, as nothing to be trained uses"),
        (("--train", "none", "--data", "."), "--data has no effect, as nothing to be trained uses"),
        (("--only", "toy", "--data", "."), "--data has no effect, as nothing to be trained uses"),
    ],
)
def test_options_without_effect_rejected(elsewhere, words, sentence):
    make(TOY.runs()[0]).save(FOLDER / "toy.json")
    code, output = results(*words)
    assert code == 2
    assert output.startswith(f"error: {sentence}")


def test_nothing_is_written_outside_the_repository(elsewhere):
    code, output = results("--train", "none")
    assert code == 2
    assert (
        "there are no records in experiments/records: run in the root of the repository" in output
    )
    assert not page.PAGE.exists()


@pytest.mark.parametrize("content", ["{}", "[]", '{"recipe', "[" * 100_000 + "]" * 100_000])
def test_a_run_with_a_damaged_start_is_refused(elsewhere, content):
    work = Workplace(TOY.runs()[0], None, print)
    work.folder.mkdir(parents=True)
    (work.folder / "start.json").write_text(content)
    with pytest.raises(RunError, match=r"start.json is damaged: delete"):
        work.make()


def test_unknown_experiments_rejected(elsewhere):
    code, output = results("--only", "toys")
    assert code == 2
    assert output == "error: --only toys: there is no such experiment; there are: toy "
