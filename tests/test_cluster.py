"""Three Ray nodes, each with an object store of its own, give the bytes of one machine.

Whatever dies meanwhile: a node costs its own work, the head one line.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.corpus import book, passages
from bench.evaluate import written
from bench.stage_run import write_params

from tests.conftest import PREPARE, ROOT, digests, only_line, run_python
from tests.ray_nodes import Nodes, ray_nodes
from wenmo.config.evaluate import EvaluateParams
from wenmo.config.novel import PassageParams, PrepareParams
from wenmo.core.cluster import VARIABLE
from wenmo.core.errors import UserError
from wenmo.core.ordered_map import ordered_map
from wenmo.core.records import Row, write_json_lines
from wenmo.scoring import copying
from wenmo.scoring.evaluation import evaluate
from wenmo.tasks import novel, preparation
from wenmo.tasks.task import Document
from wenmo.text.near_duplicates import sketched

PARAMS = PrepareParams(
    **PREPARE,
    include=[],
    exclude=[],
    passages=PassageParams(minimum=200, target=600, maximum=800),
)


OTHER_RAPIDFUZZ = """
from importlib import metadata
found = metadata.version
metadata.version = lambda name: "9.9.9" if name == "rapidfuzz" else found(name)
"""
"""A module that Python imports when it starts."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with ray_nodes() as nodes:
        yield nodes


@pytest.fixture
def on_cluster(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """The nodes, on which this process's work is done."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, nodes.address)
    return nodes


def books(count: int) -> list[Document]:
    return [Document(f"书{seed}", seed, book(20_000, seed)) for seed in range(count)]


def stages_run(folder: Path, address: str) -> dict[str, str]:
    """The digests of what the data stages write."""
    # Texts that are drawn from so small a sample repeat some of its phrases.
    write_params(folder, {"merge": {"max_leakage": 1.0}})
    raw = ({"name": each.source, "text": each.text} for each in books(20))
    write_json_lines(folder / "raw/train.jsonl", raw)
    for stage, *arguments in (("prepare", "raw"), ("summarize",), ("merge",)):
        script = ROOT / f"stages/{stage}.py"
        run = run_python(script, "novel", *arguments, cwd=folder, environment={VARIABLE: address})
        assert run.returncode == 0, run.stderr
    return {path: digest for path, digest in digests(folder).items() if not path.startswith("logs")}


@pytest.mark.parametrize("address", ["address", pytest.param("client", marks=pytest.mark.full)])
def test_the_data_stages_write_the_bytes_of_one_machine(
    nodes: Nodes, address: str, tmp_path: Path
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    alone = stages_run(tmp_path / "here", "")
    assert stages_run(tmp_path / "there", getattr(nodes, address)) == alone
    assert (tmp_path / "there/logs/cluster.log").is_file()


@pytest.mark.full
def test_evaluate_gives_the_scores_of_one_machine(
    on_cluster: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "SORTED_TOGETHER", 5000)
    drawn = passages(60, 300)
    rows = [Row(str(at), f"{at % 3}", at, "", "", text) for at, text in enumerate(drawn)]
    # Some of base's texts are training texts.
    base, tuned = (written(rows[:10], drawn[at:], at) for at in (35, 20))
    params = EvaluateParams.load("evaluate", path=ROOT / "params.yaml")
    there = evaluate("novel", rows[:10], rows[30:], base, tuned, params, seed=1)
    monkeypatch.delenv(VARIABLE)
    assert evaluate("novel", rows[:10], rows[30:], base, tuned, params, seed=1) == there
    assert there.details["base"]["copied"] == 1


@pytest.mark.full
def test_five_nodes_that_die_change_nothing(
    on_cluster: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "CHARACTERS_AT_ONCE", 1)
    moments = random.Random(20261128).sample(range(1, 30), 5)
    there = []
    for number, prepared in enumerate(preparation.prepare_all(novel, books(40), PARAMS, 1)):
        if number in moments:
            on_cluster.kill_one()
        there.append(prepared)
    monkeypatch.delenv(VARIABLE)
    assert list(preparation.prepare_all(novel, books(40), PARAMS, 1)) == there


@pytest.mark.full
def test_few_texts_are_read_before_the_first_result(on_cluster: Nodes) -> None:
    read = list[str]()
    texts = (read.append(text) or [text] for text in passages(100, 50))
    next(iter(ordered_map(sketched, texts)))
    # Ray may still count the cores of nodes that have just been killed.
    assert len(read) < 25


@pytest.mark.full
def test_a_node_with_another_library_is_named(
    on_cluster: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(OTHER_RAPIDFUZZ, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT / 'src'}")
    with pytest.raises(UserError, match=r"node 127\.0\.0\.1 has rapidfuzz 3.*this machine has 9"):
        list(ordered_map(sketched, [["雪"]] * 3))


@pytest.mark.full
def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_json_lines(
        tmp_path / "raw/train.jsonl",
        [{"name": each.source, "text": each.text} for each in books(10)],
    )
    run = run_python(
        ROOT / "stages/prepare.py",
        "novel",
        "raw",
        cwd=tmp_path,
        environment={VARIABLE: "127.0.0.1:9"},
    )
    told = only_line(run)
    assert told.startswith("prepare: Ray cluster 127.0.0.1:9: Connection refused; see logs/")
    assert run.returncode == 1
    assert not (tmp_path / "data/prepared/novel").exists()


@pytest.mark.full
def test_a_head_that_dies_is_one_line_and_the_next_run_ends_with_the_same_bytes(
    nodes: Nodes, tmp_path: Path
) -> None:
    """The last test: no other finds a head after it."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    text = "\n".join(each.text for each in books(5))
    write_json_lines(
        tmp_path / "raw/train.jsonl", [{"name": f"书{at}", "text": text} for at in range(60)]
    )

    def prepare(address: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, ROOT / "stages/prepare.py", "novel", "raw"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT / "src"), VARIABLE: address},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    assert prepare("").wait() == 0
    before = digests(tmp_path / "data")
    dying = prepare(nodes.address)
    assert dying.stderr
    shown = ""
    while "| 1/60" not in shown:
        shown += dying.stderr.read(1)
    nodes.cluster.remove_node(nodes.cluster.head_node, allow_graceful=False)
    told = dying.communicate()[1].splitlines()
    assert dying.returncode == 1
    lines = [line for line in told if line.startswith("prepare: ")]
    assert lines == [
        f"prepare: Ray cluster {nodes.address}: lost; see logs/cluster.log, start the cluster and"
        f" run the same command again, or leave {VARIABLE} empty to work on this machine"
    ]
    assert "Traceback" not in "\n".join(told)
    assert digests(tmp_path / "data") == before
    assert prepare("").wait() == 0
    assert digests(tmp_path / "data") == before
