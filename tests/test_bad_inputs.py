"""Bad input to every stage and every command: an exit code, one line that helps, no file touched.

The table CASES has for each command its cases: what is spoilt in a folder in which everything was
built, the exit code, and a pattern of the one line on stderr.
"""

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec

import pytest
import transformers  # noqa: F401  (its log keeps to the stderr that there is now)
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.account import write_limits
from tests.conftest import ROOT, TASK_STAGES, digests, git, make_row
from tests.fault_server import Faults, FaultServer
from tests.server_process import free_port
from tests.small_models import random_adapter
from wenmo.core.records import Row, read_records, write_records
from wenmo.model.provenance import write_record
from wenmo.tools import cli

Spoil = Callable[[], None]
Arguments = ParamSpec("Arguments")


def spoiling(act: Callable[Arguments, None]) -> Callable[Arguments, Spoil]:
    """What is called in the table is done later, in the folder of the case."""
    return lambda *args, **kwargs: partial(act, *args, **kwargs)


def nothing() -> None:
    """The command alone is wrong."""


@spoiling
def together(*spoils: Spoil) -> None:
    for spoil in spoils:
        spoil()


@spoiling
def write(path: str, content: str | bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content.encode() if isinstance(content, str) else content)


@spoiling
def remove(path: str) -> None:
    shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


@spoiling
def empty(path: str) -> None:
    if Path(path).is_dir():
        shutil.rmtree(path)
        Path(path).mkdir()
    else:
        Path(path).write_bytes(b"")


@spoiling
def copy(source: str, target: str) -> None:
    shutil.copytree(source, target)


@spoiling
def cut_short(path: str) -> None:
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


@spoiling
def update(path: str, **changes: Any) -> None:
    """Other values in a JSON file."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    Path(path).write_text(json.dumps(content | changes), encoding="utf-8")


@spoiling
def line(number: int, path: str, content: str | bytes | None) -> None:
    """Another line instead of this one; None: it is missing."""
    lines = Path(path).read_bytes().splitlines(keepends=True)
    new = content.encode() if isinstance(content, str) else content
    lines[number - 1 : number] = [] if new is None else [new + b"\n"]
    Path(path).write_bytes(b"".join(lines))


@spoiling
def first_line_alone(*paths: str) -> None:
    for path in paths:
        Path(path).write_bytes(Path(path).read_bytes().splitlines(keepends=True)[0])


@spoiling
def backwards(path: str) -> None:
    lines = Path(path).read_bytes().splitlines(keepends=True)
    Path(path).write_bytes(b"".join(lines[::-1]))


@spoiling
def nearly_twice(path: str) -> None:
    """Every row once more with a word added."""
    rows = read_records(Row, Path(path))
    last = rows[-1].position
    again = [
        replace(row, id=row.id[::-1], position=last + 1 + number, output=f"{row.output}又。")
        for number, row in enumerate(rows)
    ]
    write_records(Path(path), [*rows, *again])


@spoiling
def param(key: str, value: Any, path: str = "params.yaml") -> None:
    """Another value in params.yaml; `...`: no such key."""
    content = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
    *sections, last = key.split(".")
    section = content
    for each in sections:
        section = section[each]
    section[last] = value
    if value is ...:
        del section[last]
    YAML(typ="safe").dump(content, Path(path))


RAW, POEMS = "data/raw/poetry", "data/raw/poetry/poems.csv"
HEADER = "title,author,dynasty,content\n"
BOOKS = "data/raw/novel"
LONG_NAME = json.dumps({"name": "书" * 90, "text": "雪。"})
PREPARED = "data/prepared/poetry/poems.csv.jsonl"
BARE = "data/prepared/novel/书.jsonl"
NO_TEXT = '{"id": "1", "source": "书", "position": 0, "instruction": "", "input": "", "output": ""}'
OTHER_SOURCE = NO_TEXT.replace("书", "../书").replace('""}', '"雪。"}')
SUMMARIZED = "data/summarized/poetry/poems.csv.jsonl"
TRAIN, HELD_OUT = "data/merged/poetry/train.jsonl", "data/merged/poetry/eval.jsonl"
TEST = "data/test/poetry.jsonl"
BASE, ADAPTER, MERGED = "models/base", "models/adapters/poetry", "models/merged/poetry"
CONFIG, TEMPLATE = f"{BASE}/config.json", f"{BASE}/chat_template.jinja"
CURVES = "plots/train/poetry"
OF_BASE, OF_TUNED = "outputs/poetry/eval.base.jsonl", "outputs/poetry/eval.tuned.jsonl"
LOSSES = "outputs/poetry/loss.tuned.jsonl"
OF_BOTH = (OF_BASE, OF_TUNED, LOSSES, "outputs/poetry/loss.base.jsonl")
SUBMITTED = "outputs/poetry/submit.json"
SPLIT = "metrics/merge/poetry.json"
SCORES = "metrics/evaluate/poetry.json"
TABLE, LENGTHS = "metrics/prepare/poetry.csv", "plots/prepare/poetry.csv"
REJECTED = "data/rejected/poetry.jsonl"
LIMITS = "endpoints.yaml"
ANSWER = '{"choices": [{"message": {"content": "雪"}, "finish_reason": "stop"}]}'
NO_CHOICES = '{"custom_id": "1", "response": {"body": {"choices": []}}}\n'
NO_ID = f'{{"custom_id": {{}}, "response": {{"body": {ANSWER}}}}}\n'
WAY_OUT = "; `dvc repro` makes it, `dvc checkout` brings it back$"

OWN_PATH = param("base_model.source", "path")
OWN = together(OWN_PATH, param("base_model.path", "own"), copy(BASE, "own"))
PICKLED_ADAPTER = together(
    remove(f"{ADAPTER}/adapter_model.safetensors"), write(f"{ADAPTER}/adapter_model.bin", b"\x80")
)
HUB = together(
    param("base_model.source", "huggingface"),
    param("base_model.name", "owner/model"),
    param("base_model.revision", "0" * 40),
)
LEAKING = together(
    nearly_twice(SUMMARIZED),
    param("poetry.merge.group_by", "row"),
    param("merge.near_duplicate_jaccard", 1.0),
)
NO_MODELS = together(remove(ADAPTER), remove(MERGED))
CUT_MODELS = together(
    cut_short(f"{ADAPTER}/adapter_model.safetensors"), cut_short(f"{MERGED}/model.safetensors")
)
ASKED = param("summarize.provider", "closed")
BY_ADAPTER = param("generate.weights", "adapter")
BY_ENDPOINT = param("generate.engine", "openai")
POETRY_ALONE = param("tasks", ["poetry"])
TOKEN = write(".env", "HF_TOKEN=hf_writer\n")

CASES: dict[str, list[tuple[Spoil, int, str]]] = {
    # What single values may be is in test_params.py.
    "check": [
        (remove("params.yaml"), 2, "params.yaml: no such file; run in"),
        (empty("params.yaml"), 2, "params.yaml: expected sections"),
        (write("params.yaml", "train:\n\tsteps: 5\n"), 2, "params.yaml:2: found character that"),
        (write("params.yaml", "seed: 1\nseed: 2\n"), 2, "params.yaml:2: found duplicate key"),
        (write("params.yaml", b"seed: 1\n# \xff\n"), 2, "params.yaml:2: not UTF-8"),
        (write("params.yaml", "seed: 1\0\n"), 2, "params.yaml: not YAML: unacceptable character"),
        (write("params.yaml", "seed: 2026-13-45\n"), 2, "params.yaml: not YAML: month must be in"),
        (
            param("endpoints.closed.modle", "m"),
            2,
            "endpoints.closed.modle: unknown key; did you",
        ),
        (param("summarize.wording.examples", [{"txt": ""}]), 2, "examples.0.txt: unknown key"),
        (param("train.learning_rate", float("inf")), 2, "train.learning_rate: inf: .* finite"),
    ],
    "check poetry": [(nothing, 2, "error: unrecognized arguments: poetry")],
    # What single rows may be is in test_raw_texts.py.
    "prepare poetry": [(nothing, 2, "error: .* required: data$")],
    f"prepare poetri {RAW}": [(nothing, 2, r"'poetri': did you mean poetry\?$")],
    f"prepare poetry {RAW}": [
        (remove(RAW), 1, rf"{RAW}: no raw texts; expected \*\.json or .*\*\.csv"),
        (together(remove(POEMS), write(f"{POEMS}/1", "")), 1, f"{RAW}: no raw texts"),
        (write(POEMS, HEADER), 1, f"{RAW}: its files hold no text"),
        (empty(POEMS), 1, "its files hold no text"),
        (line(2, POEMS, b"\xff"), 1, "poems.csv:2: not UTF-8"),
        (line(2, POEMS, "雪,我"), 1, "poems.csv:2: expected 4 fields"),
        (write(POEMS, f"{HEADER}雪,我,今,雪落\n"), 1, "no text can be used; left out: 1 uneven; "),
        (write(f"{RAW}/test.jsonl", '{"prompt": "雪"}\n'), 1, "test.jsonl:1: instruction and"),
    ],
    f"prepare novel {BOOKS}": [
        (line(3, f"{BOOKS}/train.jsonl", '{"name"'), 1, "train.jsonl:3: not JSON"),
        (line(2, f"{BOOKS}/train.jsonl", LONG_NAME), 1, ":2: '书+' cannot name a file; change"),
        (param("novel.prepare.include", ["无此书"]), 2, f"include: no book '无此书' in {BOOKS}"),
    ],
    "base_model": [
        (together(OWN_PATH, param("base_model.path", "no")), 1, "path: no: no such folder"),
        (together(OWN_PATH, param("base_model.path", BASE)), 1, "move your model to another fold"),
        (
            together(OWN, cut_short("own/model.safetensors")),
            1,
            "own: model.safetensors: cut",
        ),
        (together(OWN, cut_short("own/config.json")), 1, "own: config.json: not JSON"),
        (remove("data/general/verse.txt"), 1, "verse.txt: no such file; the tiny base model is"),
        (write("data/general/prose.txt", b"snow\n\n\xff\n"), 1, "prose.txt:3: not UTF-8"),
        (param("base_model.tiny.block_length", 99_999), 1, "less than one block of 99999; give"),
        (param("base_model.tiny.heads", 3), 2, r"hidden_size \(16\) is no multiple of twice heads"),
        (HUB, 1, "http://127.*cannot be reached"),
    ],
    "summarize poetri": [(nothing, 2, "params.yaml: section poetri is missing")],
    "summarize poetry": [
        (remove("data/prepared/poetry"), 1, "prepared/poetry: no rows; run `dvc repro prepare@"),
        (empty(PREPARED), 1, f"{PREPARED}: no rows; run `dvc repro"),
        (line(3, PREPARED, "{"), 1, f"{PREPARED}:3: not JSON"),
        (line(2, PREPARED, '{"id": "1"}'), 1, ":2: keys are .* expected .*'id', 'source', 'pos"),
        (line(1, PREPARED, NO_TEXT.replace("0", '"0"')), 1, ":1: 'position' is '0'; expected int"),
    ],
    "summarize novel": [
        (line(2, BARE, NO_TEXT), 1, "row 2: the output is empty"),
        (line(1, BARE, OTHER_SOURCE), 1, f"{BARE}: row 1: its source is '../书', which has a file"),
        (param("summarize.provider", "openia"), 2, "'openia': .*are offline, closed, keyed, refus"),
        (together(ASKED, remove(LIMITS)), 2, f"{LIMITS}: no such file; .*brings it back$"),
        (together(ASKED, param("closed", {"x": 1}, LIMITS)), 2, f"{LIMITS}: closed.x: unknown key"),
        (param("summarize.provider", "keyed"), 1, "NO_SUCH_KEY is not set; put the key for http:"),
        (ASKED, 1, r"http://127.*: no prompt came: Connection error"),
        (param("summarize.provider", "refusing"), 1, "http://127.*: 401:"),
    ],
    "merge poetry": [
        (remove("data/summarized/poetry"), 1, "summarized/poetry: no rows; run `dvc repro summ"),
        (first_line_alone(SUMMARIZED), 1, "of 1 rows, those that differ are too few to hold tw"),
        (LEAKING, 1, r"of the held-out 13-grams stand in the training rows .* poems.csv row \d+"),
    ],
    "train poetry": [
        (remove(TRAIN), 1, f"{TRAIN}: no such file; run `dvc repro merge@poetry`"),
        (empty(HELD_OUT), 1, f"{HELD_OUT}: no rows; run"),
        (remove(BASE), 1, f"{BASE}: no such folder{WAY_OUT}"),
        (remove(f"{BASE}/tokenizer.json"), 1, f"{BASE}: no tokenizer in this folder{WAY_OUT}"),
        (cut_short(f"{BASE}/tokenizer.json"), 1, f"{BASE}: tokenizer.json: not JSON.*{WAY_OUT}"),
        (remove(TEMPLATE), 1, f"{BASE}: its tokenizer has no chat template; `dvc repro` makes it"),
        (write(TEMPLATE, "{% for"), 1, f"{BASE}: the chat template words no conversation: "),
        (update(CONFIG, model_type="qwen99"), 1, f"{BASE}: it cannot be opened: .*qwen99"),
        (update(CONFIG, intermediate_size=96), 1, f"{BASE}: the weights do not fit what its"),
        (param("train.max_length", 8), 1, r"rows \(100.0%\) are longer than train.max_length \(8"),
        (param("train.lora.target_modules", ["query"]), 1, r"has no layers \['query'\]; name oth"),
    ],
    "merge_weights poetry": [
        (remove(f"{BASE}/wenmo.json"), 1, "wenmo.json: no such file; run `dvc repro base_model`"),
        (remove(ADAPTER), 1, f"{ADAPTER}: no such folder"),
        (
            cut_short(f"{ADAPTER}/adapter_model.safetensors"),
            1,
            f"cut short, no safetensors .*{WAY_OUT}",
        ),
        (PICKLED_ADAPTER, 1, "adapter_model.bin is a pickle, which can run code"),
        (update(f"{ADAPTER}/adapter_config.json", r=7), 1, f"{ADAPTER}: the weights do not fit"),
    ],
    "baseline poetry": [
        (remove(BASE), 1, f"{BASE}: no such folder{WAY_OUT}"),
        (
            param("poetry.generate.length.min_chars", 20),
            1,
            r"max_new_tokens \(4\) holds .* set it to",
        ),
    ],
    "generate poetry": [
        (remove(TEST), 1, f"{TEST}: no such file; run `dvc repro prepare@poetry`"),
        (write(TEST, "\n{\n"), 1, f"{TEST}:2: not JSON"),
        (remove(MERGED), 1, f"{MERGED}: no such folder"),
        (cut_short(f"{MERGED}/model.safetensors"), 1, f"cut short, no safetensors .*{WAY_OUT}"),
        (together(BY_ADAPTER, remove(f"{ADAPTER}/adapter_config.json")), 1, "no adapter_config.js"),
        (param("poetry.generate.sampling.max_new_tokens", 5000), 1, "tokens and .* do not fit .*"),
        (BY_ENDPOINT, 1, "http://127.*: Connection error.*generate.openai.endpoint is closed"),
        (together(BY_ENDPOINT, param("generate.openai.endpoint", "refusing")), 1, "127.*: 401: "),
        (together(BY_ENDPOINT, param("generate.openai.endpoint", "keyed")), 1, "NO_SUCH_KEY is"),
    ],
    "evaluate poetry": [
        (remove(OF_BASE), 1, f"{OF_BASE}: no such file; run `dvc repro baseline@poetry`"),
        (empty(OF_TUNED), 1, rf"{OF_TUNED}:1: expected one of poems.csv row \d+; run"),
        (line(2, OF_TUNED, None), 1, rf"{OF_TUNED}:2: expected one of poems.csv row \d+; run"),
        (backwards(OF_TUNED), 1, rf"{OF_TUNED}:1: expected one of poems.csv row \d+; run"),
        (line(2, OF_TUNED, "{"), 1, f"{OF_TUNED}:2: not JSON"),
        (remove(LOSSES), 1, f"{LOSSES}: no such file; run `dvc repro generate@poetry`"),
        (first_line_alone(HELD_OUT, *OF_BOTH), 1, f"{HELD_OUT}: 1 row held out, .*; raise merge."),
        (param("evaluate.judge.endpoint", "nobody"), 2, "judge.endpoint: 'nobody': .*allowed are"),
        (param("evaluate.judge.endpoint", "keyed"), 1, "NO_SUCH_KEY is"),
        (param("evaluate.judge.endpoint", "closed"), 1, "http://127.*: no .*: Connection error"),
        (param("evaluate.judge.endpoint", "refusing"), 1, "127.*: 401: "),
    ],
    "report poetry": [
        (remove(SCORES), 1, f"{SCORES}: no such file; run `dvc repro evaluate@poetry`"),
        (write(SCORES, '{"base": {}}'), 1, f"{SCORES}: no scores of base and tuned; run"),
        (remove(f"{CURVES}/eval"), 1, f"{CURVES}/eval/loss.tsv: no such file{WAY_OUT}"),
        (write(f"{CURVES}/loss.tsv", "step\tloss\n1\tlow\n"), 1, "no table of step and loss"),
    ],
    "overview": [
        (nothing, 1, "metrics/evaluate/novel.json: no such file; run `dvc repro evaluate@novel`"),
        (
            together(POETRY_ALONE, write(SPLIT, "{")),
            1,
            f"{SPLIT}: not JSON; run `dvc repro merge",
        ),
    ],
    "wenmo inspekt": [(nothing, 2, "Error: No such command 'inspekt'")],
    "wenmo inspect": [(nothing, 2, "Error: Missing argument 'task'")],
    "wenmo inspect poetri": [(nothing, 2, "'poetri' is no task; did you mean")],
    "wenmo inspect poetry --html data": [(nothing, 2, "'data' is a directory")],
    "wenmo inspect poetry": [
        (remove(TABLE), 1, f"{TABLE}: no such file; run `dvc repro prepare@poetry` first"),
        (empty(TABLE), 1, f"{TABLE}: not the table that prepare wrote; run"),
        (write(LENGTHS, "characters,rows\n20,many\n"), 1, f"{LENGTHS}: not the table that prep"),
        (write(REJECTED, '{"source": "a"}\n'), 1, f"{REJECTED}:1: not what prepare left out; run"),
        (remove(REJECTED), 1, f"{REJECTED}: no such file; run `dvc repro prepare@poetry`"),
    ],
    "wenmo estimate summarize": [
        (nothing, 1, "provider is offline .* set it to one of closed"),
        (param("tasks", ...), 2, "params.yaml: tasks: None: exp"),
        (together(ASKED, remove("data/prepared/novel")), 1, "no rows; run `dvc repro prepare@"),
    ],
    "wenmo estimate train": [
        (param("train.optim", "sgd"), 2, "params.yaml: train.optim: 'sgd'"),
        (param("base_model.source", "modelscope"), 2, "needs a repository such as"),
        (
            together(param("base_model.source", "modelscope"), param("base_model.name", "a/b")),
            1,
            "models/base is not the model that params.yaml names; run `dvc repro base_model`",
        ),
    ],
    "wenmo compare nowhere": [(nothing, 1, "nowhere: unknown Git revision")],
    "wenmo compare HEAD --task drama": [(nothing, 2, "'drama' is no task; allowed")],
    "wenmo compare HEAD --html data": [(nothing, 2, "'data' is a directory")],
    "wenmo compare HEAD --task poetry": [
        (write(SCORES, '{"tuned": {"form": "good"}}'), 1, f"workspace: {SCORES}: no scores of tun"),
    ],
    "wenmo push poetry": [(nothing, 2, "Error: Missing option '--to'")],
    "wenmo push poetry --to me": [(nothing, 1, "'me' is no repository; expected")],
    "wenmo push poetry --to me/m": [
        (nothing, 1, "HF_TOKEN is not set; put a token"),
        (together(TOKEN, write("metrics/poetry.json", "{")), 1, "expected the keys base, tuned,"),
        (together(TOKEN, cut_short(f"{MERGED}/model.safetensors")), 1, "run `dvc repro merge_wei"),
        (TOKEN, 1, "http://127.*cannot be reached"),
    ],
    "make preset NAME=huge": [(nothing, 2, "'huge' is no preset; allowed are embedded$")],
    "wenmo preset mine": [
        (write("presets/mine.yaml", b"# mine\n# \xff\n"), 2, "presets/mine.yaml:2: not UTF-8"),
        (write("presets/mine.yaml", "train:\n  steps: 5\n"), 2, "mine.yaml: train.steps: unknown"),
    ],
    "wenmo prosody ...": [(nothing, 2, "there is no verse line; give a poem")],
    f"wenmo trace {SUBMITTED}:1": [
        (remove(SUBMITTED), 1, f"{SUBMITTED}: no such file; `dvc pull` or `dvc repro generate@po"),
        (line(2, TRAIN, "{"), 1, f"{TRAIN}:2: not JSON"),
        (write("dvc.lock", b"\xff"), 1, "dvc.lock: not written by DVC; run `git checkout"),
    ],
    "wenmo merge-lock dvc.lock dvc.lock no": [(nothing, 2, "'no' does not exist")],
    "wenmo merge-lock dvc.lock dvc.lock theirs": [
        (write("theirs", "stages: ["), 1, "their version was not written by DVC; take one by `git"),
    ],
    "wenmo serve --task verse": [(nothing, 2, "'verse' is no task; allowed are")],
    "wenmo serve --prot 80": [(nothing, 2, "No such option: --prot")],
    "wenmo serve --port 70000": [(nothing, 2, "Invalid value for '--port': .* 65535")],
    "wenmo serve": [
        (param("tasks", ...), 2, "params.yaml: tasks: None: exp"),
        (NO_MODELS, 1, "no model of novel, fairytale, poetry; run `dvc repro"),
    ],
    "wenmo serve --task poetry": [
        (remove(BASE), 1, f"{BASE}: no config.json; run `dvc repro base_model`"),
        (CUT_MODELS, 1, r"safetensors: cut short, .*; run `dvc repro \w+@poetry`"),
    ],
    "wenmo serve --task poetry --host 192.0.2.1": [
        (nothing, 1, "192.0.2.1:8000: .*; choose another --host or --port"),
    ],
    "wenmo web": [(param("tasks", ...), 2, "params.yaml: tasks: None: exp")],
    "wenmo write 灯塔": [(param("tasks", ...), 2, "params.yaml: tasks: None: exp")],
    "wenmo batch export novel": [(nothing, 2, "Error: Missing argument 'path'")],
    "wenmo batch export poetri b.jsonl": [(nothing, 2, "'poetri' is no task; did you mean")],
    "wenmo batch export novel b.jsonl": [(nothing, 1, "summarize.provider is offline")],
    "wenmo batch export novel data": [(ASKED, 2, "file 'data' is a directory")],
    "wenmo batch export novel params.yaml/b.jsonl": [
        (ASKED, 1, "params.yaml/b.jsonl: .*; name another file"),
    ],
    "wenmo batch import b.jsonl": [
        (nothing, 1, "b.jsonl: no such file"),
        (write("b.jsonl", NO_CHOICES), 1, "b.jsonl:1: response.body is no chat completion"),
        (write("b.jsonl", NO_ID), 1, "b.jsonl:1: expected custom_id and response, as in a batch's"),
    ],
}


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """An endpoint that refuses every key, and one where nobody listens."""
    with FaultServer(faults=Faults(status=401)) as server:
        yield {"refusing": server.url, "closed": f"http://127.0.0.1:{free_port()}/v1"}


@pytest.fixture(scope="module")
def built(tiny_model: Path, urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which the stages have built poetry out of ten poems, training aside."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [])
        lay_out(tiny_model, urls)
        for name in TASK_STAGES:
            raw = [RAW] if name == "prepare" else []
            assert name == "train" or stage(name, "poetry", *raw) == 0
        # By this file make knows that everything is installed.
        write(".venv/.installed", "")()
    git(folder, "init", "--quiet")
    git(folder, "add", "params.yaml", "dvc.yaml")
    git(folder, "commit", "--quiet", "--message", "as it is")
    return folder


def lay_out(tiny_model: Path, urls: dict[str, str]) -> None:
    """What the stages read, but for what they write."""
    for name in ("dvc.yaml", "dvc.lock", "Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, name)
    for folder, names in {
        "presets": ["embedded.yaml"],
        ".dvc": ["config", ".gitignore"],
        "data/raw/novel": ["train.jsonl", "test.jsonl"],
    }.items():
        Path(folder).mkdir(parents=True)
        for name in names:
            shutil.copy2(ROOT / folder.replace("raw", "sample") / name, Path(folder, name))
    poems = (ROOT / "data/sample/poetry/poems.csv").read_text(encoding="utf-8").splitlines(True)
    write(POEMS, "".join(poems[:21]))()
    write("data/general/prose.txt", "雪落了。\n\n风来了。\n")()
    write("data/general/verse.txt", "雪落千山静，风来一叶轻。\n")()
    write_params(urls)
    rows = [make_row(n, f"雪落了{n}夜，门外没有人。") for n in range(3)]
    write_records(Path(BARE), [replace(row, source="书", input="") for row in rows])
    shutil.copytree(tiny_model, BASE)
    write_record(Path(BASE), "tiny")
    random_adapter(Path(BASE), Path(ADAPTER))
    for name in ("loss", "eval/loss"):
        write(f"plots/train/poetry/{name}.tsv", "step\tloss\n1\t6.5\n2\t6.1\n")()


def write_params(urls: dict[str, str]) -> None:
    """The repository's, with endpoints on loopback, and small where work is done."""
    content = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["endpoints"] = {
        "closed": {"base_url": urls["closed"], "model": "m"},
        "keyed": {"base_url": urls["closed"], "model": "m"},
        "refusing": {"base_url": urls["refusing"], "model": "m"},
    }
    write_limits(timeout_seconds=5.0, max_retries=0, api_key_env="")
    param("keyed", {"api_key_env": "NO_SUCH_KEY"}, LIMITS)()
    content["merge"]["eval_fraction"] = 0.4
    content["base_model"] |= {"source": "tiny", "path": "data/general"}
    content["base_model"]["tiny"] |= {"hidden_size": 16, "heads": 1, "verse_poems": 9, "steps": 1}
    content["train"]["max_steps"] = 1
    content["generate"]["openai"]["endpoint"] = "closed"
    # A model that has learnt nothing may end at once, more than once.
    content["generate"]["max_attempts"] = 50
    content["poetry"]["generate"]["sampling"]["max_new_tokens"] = 4
    content["poetry"]["generate"]["length"]["min_chars"] = 1
    content["evaluate"]["resamples"] = 10
    YAML(typ="safe").dump(content, Path("params.yaml"))


@pytest.fixture
def workplace(
    built: Path, urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of it, from where no hub is to be reached and no server started."""
    monkeypatch.chdir(shutil.copytree(built, tmp_path / "repository"))
    monkeypatch.setenv("WENMO_STORE", str(tmp_path / "answers.sqlite"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", urls["closed"].removesuffix("/v1"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(sys, "argv", [])
    # It would end the tests.
    monkeypatch.delattr(os, "execvpe")
    return tmp_path / "repository"


@pytest.mark.parametrize(
    ("command", "spoil", "exit_code", "says"),
    [(command, *case) for command, cases in CASES.items() for case in cases],
    ids=[f"{command}: {says}" for command, cases in CASES.items() for *_, says in cases],
)
def test_bad_input_is_one_line_and_changes_nothing(
    command: str,
    spoil: Spoil,
    exit_code: int,
    says: str,
    workplace: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    spoil()
    before = files()
    code, errors = run(command.split(), capfd)
    [message] = told(errors)
    assert re.search(says, message), message
    assert code == exit_code
    assert files() == before


def run(words: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and stderr of a command; in this process, so that torch is imported only once."""
    if words[0] == "make":
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        return done.returncode, done.stderr
    if words[0] == "wenmo":
        result = CliRunner().invoke(cli.app, words[1:], catch_exceptions=False)
        return result.exit_code, result.stderr
    capfd.readouterr()
    return stage(*words), capfd.readouterr().err


def stage(name: str, *arguments: str) -> int:
    """Run a stage's script as DVC does. Returns its exit code."""
    sys.argv[:] = [f"stages/{name}.py", *arguments]
    handler = signal.getsignal(signal.SIGTERM)
    try:
        runpy.run_path(str(ROOT / f"stages/{name}.py"), run_name="__main__")
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code
    finally:
        signal.signal(signal.SIGTERM, handler)
    return 0


def told(errors: str) -> list[str]:
    """The lines of stderr, but for what others say there.

    They are progress bars, which go back to the start of their line, how argparse and click tell a
    command's use, and make's words of its own. The log of transformers is not among them:
    it goes where stderr was when that was imported.
    """
    besides = re.compile(r".*\r|usage: |Usage: |Try '.* --help' for help\.$|make(\[\d+\])?: |$")
    return [line for line in errors.split("\n") if not besides.match(line)]


def files() -> dict[str, str]:
    """Digests of the repository's files, less logs and what git and DVC keep for themselves."""
    left_out = ("logs/", ".git/", ".dvc/tmp/")
    return {name: each for name, each in digests(Path()).items() if not name.startswith(left_out)}
