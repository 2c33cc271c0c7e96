"""The embedded base, and the pipeline that grew it, on a slice of the repository's own texts."""

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, dvc, git
from wenmo.config.base_model import BaseModelParams
from wenmo.config.params_file import read
from wenmo.model.base import provide

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "layers": 2,
    "heads": 1,
    "block_length": 32,
    "batch_size": 2,
    "tokens": 32 * 2 * 6,
    "eval_every": 32 * 2 * 2,
    "poems": 1,
}
NO_SERVER = "http://127.0.0.1:9"
STOPS_AFTER_A_CHECKPOINT = """
import pretrain
save = pretrain._save
def save_and_stop(*state):
    save(*state)
    raise SystemExit(1)
pretrain._save = save_and_stop
pretrain.main(pretrain.PretrainParams.load("pretrain"))
"""


def repository(folder: Path, files: dict[str, str]) -> str:
    """A git repository with these files; its commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "texts")
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder pretraining/ in a repository of its own, with clones of two small sources."""
    for name in ("src", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    folder = tmp_path / "pretraining"
    which = ("-z", "--cached", "--others", "--exclude-standard", "pretraining")
    tracked = git(ROOT, "ls-files", *which)
    for name in filter(None, tracked.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    git(tmp_path, "init", "--quiet")
    with (ROOT / "data/sample/poetry/poems.csv").open(encoding="utf-8", newline="") as file:
        poems = [{"paragraphs": row["content"].split("\n")} for row in csv.DictReader(file)]
    poems += [{"paragraphs": []}, {"paragraphs": ["床前□月光，", "疑是地上霜。"]}, poems[0]]
    prose = (ROOT / "data/sample/general/prose.txt").read_text(encoding="utf-8").split("\n\n")
    chapter = "<br><br>".join(f"&nbsp;&nbsp;{piece}" for piece in prose[:20])
    commits = {
        "poems": repository(
            folder / "downloads/poems",
            {
                "全唐诗/poet.tang.0.json": json.dumps(poems[:250], ensure_ascii=False),
                "全唐诗/poet.tang.1000.json": json.dumps(poems[250:], ensure_ascii=False),
                "全唐诗/authors.tang.json": "[]",
            },
        ),
        "novels": repository(folder / "downloads/novels", {"书/0.html": chapter}),
    }
    with changed(folder) as params:
        params["pretrain"] |= SMALL
        params["card"]["poems"] = 1
        params["clean"]["held_out"] = 5
        for name, commit in commits.items():
            params["sources"][name] |= {"commit": commit, "url": NO_SERVER}
        params["sources"]["novels"]["paths"] = ["书"]
    return folder


class changed:  # noqa: N801  (reads like a function)
    """The parameters of a project, written back at the end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "params.yaml"

    def __enter__(self) -> dict[str, Any]:
        self.content: dict[str, Any] = YAML(typ="safe").load(self.path)
        return self.content

    def __exit__(self, *_: object) -> None:
        YAML(typ="safe").dump(self.content, self.path)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={"PYTHONPATH": "../src", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


@pytest.mark.full
def test_a_slice_of_texts_grows_into_a_base_that_the_pipeline_takes(project: Path) -> None:
    done = dvc(project, "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    corpus = json.loads((project / "corpus.json").read_bytes())
    assert set(corpus["documents"]) == {*corpus["collection"], "小说", "故事"} - {
        "another form, gaps, or a repetition"
    }
    assert corpus["collection"]["another form, gaps, or a repetition"]["poems"] == 3
    card = (project / "grown/README.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((project / "grown/model.safetensors").read_bytes()).hexdigest()
    assert digest in card and "{{" not in card
    params = BaseModelParams.load("base_model", path=ROOT / "params.yaml")
    grown = params.model_copy(update={"path": str(project / "grown")})
    assert provide(project / "base", grown, seed=1)["parameters"] > 0
    assert dvc(project, "repro").stdout.count("Running stage") == 0


def test_what_is_held_out_is_not_learnt(project: Path) -> None:
    for source in ("poems", "novels"):
        assert run(project, "fetch.py", source).returncode == 0
    assert run(project, "clean.py").returncode == 0
    learnt, held_out = (
        (project / f"corpus/{name}.jsonl").read_text(encoding="utf-8").splitlines()
        for name in ("train", "heldout")
    )
    texts = {json.loads(line)["text"] for line in held_out}
    assert len(texts) > 10
    assert not any(json.loads(line)["text"] in texts for line in learnt)


PRINTS_WEIGHTS = """
from documents import Document
from pretrain import character_weights
for document, text in (
    (Document("五言绝句", "", copied="床前光"), "五言绝句：床前光\\n床前光，上霜。"),
    (Document("小说", "", copied="下雨。"), "问抄写：下雨。答下雨。"),
):
    print(*(f"{weight:.0f}" for weight in character_weights(document, text, 5.0, 3.0)), sep="")
"""


def test_what_is_copied_and_what_rhymes_weigh_more(project: Path) -> None:
    assert run(project, "-c", PRINTS_WEIGHTS).stdout.split() == ["1111111113331151", "11111111333"]


PRINTS_REPETITION_LOSS = """
import math, torch
from pretrain import repetition_loss
# The first row has a poem of the rhyme words 5, 6, 5 and the beginning of one with 5; the second
# the end of that one with 7.
ids = torch.tensor([[1, 5, 6, 5, 5], [1, 7, 1, 1, 1]])
rhymes = torch.tensor([[-1, 0, 0, 0, 1], [-1, 1, -1, -1, -1]])
torch.manual_seed(1)
logits = torch.randn(2, 4, 9)
chance = logits.softmax(-1)
# At 6 the word 5 would repeat; at the second 5, which the poet repeats, the word 6 would.
by_hand = -math.log(1 - chance[0, 1, 5]) - math.log(1 - chance[0, 2, 6])
print(abs(repetition_loss(logits, ids, rhymes).item() - by_hand) < 1e-5)
"""


def test_earlier_rhyme_words_of_the_same_poem_cost(project: Path) -> None:
    assert run(project, "-c", PRINTS_REPETITION_LOSS).stdout.split() == ["True"]


@pytest.mark.full
def test_an_interrupted_growth_ends_in_the_same_model(project: Path) -> None:
    for command in (["fetch.py", "poems"], ["fetch.py", "novels"], ["clean.py"]):
        assert run(project, *command).returncode == 0
    assert run(project, "pretrain.py").returncode == 0
    whole = (project / "model/model.safetensors").read_bytes()
    curve = (project / "curve.csv").read_bytes()
    assert run(project, "-c", STOPS_AFTER_A_CHECKPOINT).returncode == 1
    resumed = run(project, "pretrain.py")
    assert resumed.returncode == 0 and "going on from step 2" in resumed.stderr
    assert (project / "model/model.safetensors").read_bytes() == whole
    assert (project / "curve.csv").read_bytes() == curve
    assert not list((project / "checkpoints").iterdir())


def no_clone(project: Path) -> None:
    shutil.rmtree(project / "downloads/poems")


def another_commit(project: Path) -> None:
    with changed(project) as params:
        params["sources"]["poems"]["commit"] = "0" * 40


def another_folder(project: Path) -> None:
    with changed(project) as params:
        params["sources"]["poems"]["paths"] = ["宋词"]


def no_commit(project: Path) -> None:
    with changed(project) as params:
        params["sources"]["poems"]["commit"] = "master"


def damaged(project: Path) -> None:
    for path in (project / "downloads/poems/.git/objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            no_clone,
            rf"{NO_SERVER}: git could not clone it \(.+\); put a clone at pretraining/do",
        ),
        (
            another_commit,
            r"downloads/poems: it has no commit 0{40} \(.+\); `git -C downloads/poems f",
        ),
        (
            another_folder,
            r"downloads/poems: git could not check out .*宋词.*; remove the folder, or",
        ),
        (no_commit, r"params\.yaml: sources\.poems\.commit: 'master': "),
        (damaged, r"downloads/poems: .* \(.+\); .*remove the folder"),
    ],
)
def test_a_source_that_is_not_to_be_had_is_told_in_one_line(
    project: Path, fault: Callable[[Path], None], told: str
) -> None:
    fault(project)
    failed = run(project, "fetch.py", "poems")
    assert failed.returncode in (1, 2)
    assert re.match(f"fetch: {told}", failed.stderr), failed.stderr
    assert failed.stderr.count("\n") == 1


def test_a_size_that_cannot_be_is_told_in_one_line(project: Path) -> None:
    with changed(project) as params:
        params["pretrain"]["heads"] = 3
    failed = run(project, "pretrain.py")
    assert failed.returncode == 2
    assert "hidden_size (16) is no multiple of twice heads (3)" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_a_file_that_holds_no_poems_is_named(project: Path) -> None:
    assert run(project, "fetch.py", "poems").returncode == 0
    (project / "texts/poems/全唐诗/poet.tang.1000.json").write_text("[{}]", encoding="utf-8")
    failed = run(project, "clean.py")
    assert failed.returncode == 1
    assert "poet.tang.1000.json: no list of poems with paragraphs" in failed.stderr


def test_the_card_of_the_embedded_base_is_of_this_model() -> None:
    folder = ROOT / read(ROOT / "params.yaml")["base_model"]["path"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() in card
    assert sum(path.stat().st_size for path in folder.iterdir()) < 12e6
