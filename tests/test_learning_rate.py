"""The learning rate: `auto` is what the base needs, and a rate that ruins a base is refused."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.conftest import ROOT, run_python
from wenmo.config import all_sections, params_file
from wenmo.config.params_file import TASKS
from wenmo.config.train import TrainParams
from wenmo.core.errors import ParamsError

PARAMS = params_file.read(ROOT / "params.yaml")
EMBEDDED_RATE = PARAMS["base_model"]["tuning_learning_rate"]
OTHERS = ("huggingface", "modelscope", "path")
RATES = st.floats(1e-6, 1.0) | st.integers(1, 9)


def content(source: str, rate: Any, **train: Any) -> dict[str, Any]:
    """params.yaml with another base and learning rate."""
    base_model = {"source": source, "name": "wen/small", "revision": "0" * 40}
    update = {"base_model": base_model, "train": {"learning_rate": rate} | train}
    return params_file.deep_merge(PARAMS, update)


def rate(content: dict[str, Any], task: str) -> float:
    return params_file.section(TrainParams, content, "train", task).learning_rate


def test_the_committed_rate_is_what_the_base_needs() -> None:
    assert PARAMS["train"]["learning_rate"] == "auto"
    assert not any("learning_rate" in PARAMS[task]["train"] for task in TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_auto_is_the_embedded_bases_own_rate_and_else_the_usual_one(task: str) -> None:
    assert rate(content("embedded", "auto"), task) == EMBEDDED_RATE
    assert {rate(content(source, "auto"), task) for source in OTHERS} == {2e-4}


@given(steps=st.integers(1, 10**6))
def test_auto_falls_by_the_square_root_of_many_steps(steps: int) -> None:
    auto = rate(content("embedded", "auto", max_steps=steps), "poetry")
    expected = EMBEDDED_RATE * min(1, (100 / steps) ** 0.5)
    assert auto == pytest.approx(expected, rel=0.05)


@given(own=st.floats(1e-6, 1e-2), steps=st.sampled_from((-1, 1, 100)))
def test_within_few_steps_auto_is_exactly_what_the_base_says(own: float, steps: int) -> None:
    given = content("embedded", "auto", max_steps=steps)
    given["base_model"]["tuning_learning_rate"] = own
    assert rate(given, "poetry") == own


def test_auto_is_the_same_for_epochs_and_other_bases() -> None:
    assert rate(content("embedded", "auto", max_steps=-1), "poetry") == EMBEDDED_RATE
    assert rate(content("path", "auto", max_steps=10_000), "poetry") == 2e-4


@given(wanted=RATES, source=st.sampled_from(("embedded", *OTHERS)), task=st.sampled_from(TASKS))
def test_a_rate_that_is_set_is_used_or_refused_and_never_changed(
    wanted: float, source: str, task: str
) -> None:
    within = source == "embedded" or wanted <= 1e-3
    if within:
        assert rate(content(source, wanted), task) == wanted
        return
    with pytest.raises(ParamsError) as caught:
        all_sections.check(content(source, wanted))
    said = str(caught.value)
    assert said.startswith(f"params.yaml: train.learning_rate: {wanted}: ")
    assert "\n" not in said and "max_learning_rate" in said
    assert rate(content(source, wanted, max_learning_rate=wanted), task) == wanted


@given(wanted=RATES, most=RATES)
def test_whatever_is_the_most_no_greater_rate_passes(wanted: float, most: float) -> None:
    assume(wanted > most)
    with pytest.raises(ParamsError, match="above max_learning_rate"):
        all_sections.check(content("path", wanted, max_learning_rate=most))


def test_a_task_of_its_own_rate_is_named() -> None:
    own = params_file.deep_merge(
        content("path", "auto"), {"poetry": {"train": {"learning_rate": 6e-3}}}
    )
    with pytest.raises(ParamsError, match=r"params\.yaml: poetry\.train\.learning_rate: 0\.006: "):
        all_sections.check(own)


@pytest.mark.parametrize("wrong", ["atuo", "1e-4", True, 0, -1e-4, float("nan"), None])
def test_neither_a_number_nor_auto_is_refused(wrong: Any) -> None:
    with pytest.raises(ParamsError, match=r"train\.learning_rate: .*") as caught:
        all_sections.check(content("embedded", wrong))
    assert "\n" not in str(caught.value)


def test_the_first_stage_refuses_it_and_exits_with_2(tmp_path: Path) -> None:
    YAML().dump(content("path", 4e-3), tmp_path / "params.yaml")
    run = run_python(ROOT / "stages/check.py", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.startswith("check: params.yaml: train.learning_rate: 0.004: ")
    assert run.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
