"""A dataset of the Hugging Face hub as raw texts: the rows of its files, at one commit."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, only_line, run_python
from tests.hub_server import HubServer, Repository

NAME = "me/tales"
TALES = [
    tale | {"input": tale["input"] or None}
    for tale in json.loads((ROOT / "data/sample/fairytale/tales.json").read_text("utf-8"))
    if not tale["input"]
][:4]
CARD = """---
configs:
- config_name: default
  data_files: [{split: train, path: tales.jsonl}, {split: held, path: held.jsonl}]
- config_name: chats
  data_files: chats.jsonl
---
"""
BOOK = json.loads((ROOT / "data/sample/novel/train.jsonl").read_text("utf-8").splitlines()[0])


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    content: bytes = pd.DataFrame(rows).to_parquet()
    return content


def chat(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "conversations": [
            {"from": "human", "value": row["instruction"]},
            {"from": "gpt", "value": row["output"]},
        ],
        "score": 0.5,
    }


FILES = {
    "README.md": CARD.encode(),
    "tales.jsonl": lines(TALES),
    "held.jsonl": lines(TALES[:1]),
    "chats.jsonl": lines([chat(row) for row in TALES]),
}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    repositories = {
        NAME: Repository(FILES),
        "me/books": Repository({"books.parquet": parquet([BOOK])}),
        "me/chats": Repository({"chats.parquet": parquet([chat(row) for row in TALES])}),
        "me/empty": Repository({"README.md": b"nothing"}),
        "me/scores": Repository({"scores.csv": b"a,b\n1,2\n"}),
        "me/broken": Repository({"a.parquet": b"PAR1 and no more"}),
    }
    with HubServer(repositories) as server:
        yield server


@dataclass
class Workplace:
    """A folder in which stage prepare runs, with a cache of its own."""

    folder: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)

    def prepare(self, task: str = "fairytale", **dataset: str) -> subprocess.CompletedProcess[str]:
        content = YAML(typ="safe").load(ROOT / "params.yaml")
        content[task]["prepare"]["dataset"] |= dataset
        YAML().dump(content, self.folder / "params.yaml")
        (self.folder / "raw").mkdir(exist_ok=True)
        # A folder of the dataset's name must not be taken for it.
        (self.folder / "me/tales").mkdir(parents=True, exist_ok=True)
        environment = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(self.folder / "cache"),
            "HF_HUB_DISABLE_XET": "1",
            **self.environment,
        }
        script = ROOT / "stages/prepare.py"
        return run_python(script, task, "raw", cwd=self.folder, environment=environment)

    def rows(self, source: str, task: str = "fairytale") -> list[dict[str, Any]]:
        path = self.folder / f"data/prepared/{task}/{source}.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def workplace(tmp_path: Path, hub: HubServer) -> Workplace:
    return Workplace(tmp_path, hub.url)


def test_a_dataset_gives_the_rows_of_its_files_at_one_commit_and_again_without_a_network(
    workplace: Workplace, hub: HubServer
) -> None:
    commit = hub.repositories[NAME].commit
    run = workplace.prepare(name=NAME, revision=commit)
    assert run.returncode == 0, run.stderr
    rows = workplace.rows("me--tales")
    assert [row["instruction"] for row in rows] == [tale["instruction"] for tale in TALES]
    assert [row["position"] for row in rows] == [0, 1, 2, 3]
    assert workplace.prepare(name=NAME, revision=commit, subset="chats").returncode == 0
    assert workplace.rows("me--tales") == rows
    assert workplace.prepare(name=NAME, revision=commit, split="held").returncode == 0
    assert workplace.rows("me--tales") == rows[:1]
    assert workplace.prepare(name=NAME, revision=commit, split="train[1:3]").returncode == 0
    assert [row["output"] for row in workplace.rows("me--tales")] == [
        row["output"] for row in rows[1:3]
    ]
    workplace.environment["HF_HUB_OFFLINE"] = "1"
    run = workplace.prepare(name=NAME, revision=commit, subset="default", split="train")
    assert run.returncode == 0, run.stderr
    assert workplace.rows("me--tales") == rows
    other = only_line(workplace.prepare(name=NAME, revision="0" * 40, subset="chats"))
    assert other == f"prepare: dataset {NAME}: the hub cannot be reached; run again later"
    assert workplace.rows("me--tales") == rows


def test_a_dataset_in_parquet_gives_the_same_texts(workplace: Workplace, hub: HubServer) -> None:
    run = workplace.prepare(name="me/chats", revision=hub.repositories["me/chats"].commit)
    assert run.returncode == 0, run.stderr
    rows = workplace.rows("me--chats")
    assert [row["instruction"] for row in rows] == [tale["instruction"] for tale in TALES]


def test_books_come_from_a_dataset_too(workplace: Workplace, hub: HubServer) -> None:
    commit = hub.repositories["me/books"].commit
    run = workplace.prepare("novel", name="me/books", revision=commit)
    assert run.returncode == 0, run.stderr
    assert {row["source"] for row in workplace.rows(BOOK["name"], "novel")} == {BOOK["name"]}


@pytest.mark.parametrize("revision", ["", "main"])
def test_a_moving_revision_is_refused_with_the_commit_to_enter(
    workplace: Workplace, hub: HubServer, revision: str
) -> None:
    run = workplace.prepare(name=NAME, revision=revision)
    key = "fairytale.prepare.dataset.revision"
    assert run.returncode == 2
    assert only_line(run).startswith(
        f"prepare: params.yaml: {key}: {revision!r}: expected a commit"
    )
    assert f"-S {key}={hub.repositories[NAME].commit}" in only_line(run)


@pytest.mark.parametrize(
    ("dataset", "complaint"),
    [
        ({"name": "me/none"}, "doesn't exist on the Hub or cannot be accessed"),
        ({"name": NAME, "revision": "0" * 40}, "0000' doesn't exist for dataset"),
        ({"name": NAME, "subset": "other"}, "BuilderConfig 'other' not found"),
        ({"name": NAME, "split": "other"}, 'Unknown split "other"'),
        ({"name": "me/empty"}, "EmptyDatasetError: The directory"),
        ({"name": "me/scores"}, "dataset me/scores: no column of instruction"),
        ({"name": "me/broken"}, "ArrowInvalid: "),
        ({"name": "no repository"}, "HFValidationError"),
    ],
)
def test_what_a_hub_does_not_give_is_told_in_one_line(
    workplace: Workplace, hub: HubServer, dataset: dict[str, str], complaint: str
) -> None:
    repository = hub.repositories.get(dataset["name"])
    commit = {"revision": repository.commit if repository else "1" * 40}
    assert complaint in only_line(workplace.prepare(**commit | dataset))


def test_a_token_is_sent_and_never_shown(workplace: Workplace, hub: HubServer) -> None:
    workplace.environment["HF_TOKEN"] = "hf_secret"
    run = workplace.prepare(name=NAME, revision=hub.repositories[NAME].commit)
    assert run.returncode == 0, run.stderr
    assert "hf_secret" in hub.tokens_seen
    assert "hf_secret" not in run.stdout + run.stderr
