"""Bad input to every stage and every command: an exit code, one line that helps, no file touched.

One table. Each case spoils something in a folder in which everything was built, runs one command
there, and says how that has to end. Parameters and raw texts have longer tables of their own, in
test_params.py and test_raw_texts.py.
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
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec

import pytest
import transformers  # noqa: F401  (its log keeps to the stderr that there is now)
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.account import write_limits
from tests.conftest import ROOT, digests, git, make_row
from tests.fault_server import Faults, FaultServer
from tests.server_process import free_port
from tests.small_models import random_adapter
from wenmo.core.records import Row, read_records, write_records
from wenmo.model.provenance import write_record
from wenmo.tools import cli

Spoil = Callable[[], None]
Arguments = ParamSpec("Arguments")


@dataclass(frozen=True)
class Case:
    """What is spoilt, the command that is run then, its exit code and a pattern of its one line."""

    name: str
    spoil: Spoil
    command: str
    code: int
    says: str

    @property
    def id(self) -> str:
        words = self.command.split()
        return f"{' '.join(words[: 1 + (words[0] in ('wenmo', 'make'))])}: {self.name}"


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
    again = [replace(row, id=row.id[::-1], output=f"{row.output}又。") for row in rows]
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
BOOKS = "data/raw/novel/train.jsonl"
PREPARED = "data/prepared/poetry/poems.csv.jsonl"
BARE = "data/prepared/novel/书.jsonl"
SUMMARIZED = "data/summarized/poetry/poems.csv.jsonl"
TRAIN, HELD_OUT = "data/merged/poetry/train.jsonl", "data/merged/poetry/eval.jsonl"
TEST = "data/test/poetry.jsonl"
BASE, ADAPTER, MERGED = "models/base", "models/adapters/poetry", "models/merged/poetry"
OF_BASE, OF_TUNED = "outputs/poetry/eval.base.jsonl", "outputs/poetry/eval.tuned.jsonl"
SUBMITTED = "outputs/poetry/submit.json"

NO_TEXT = '{"id": "1", "source": "书", "position": 0, "instruction": "", "input": "", "output": ""}'
KEYS = "keys are .* expected .*'id', 'source', 'position', 'instruction', 'input', 'output'"
WAY_OUT = "; `dvc repro` makes it, `dvc checkout` brings it back$"
OWN = together(
    param("base_model.source", "path"), param("base_model.path", "own"), copy(BASE, "own")
)
HUB = together(
    param("base_model.source", "huggingface"),
    param("base_model.name", "owner/model"),
    param("base_model.revision", "0" * 40),
)
LIMITS = "endpoints.yaml"
ASKED = param("summarize.provider", "closed")
BY_ADAPTER = param("generate.weights", "adapter")
BY_ENDPOINT = param("generate.engine", "openai")
TOKEN = write(".env", "HF_TOKEN=hf_writer\n")
ANSWER = '{"choices": [{"message": {"content": "雪"}, "finish_reason": "stop"}]}'

CASES = [
    # --- check_params: what is wrong with the file, and with a few of its values.
    Case("no file", remove("params.yaml"), "check_params", 2, r"params.yaml: no such file; run in"),
    Case("empty", empty("params.yaml"), "check_params", 2, r"params.yaml: expected sections"),
    Case(
        "a folder",
        together(remove("params.yaml"), write("params.yaml/mine", "")),
        "check_params",
        2,
        r"params.yaml: Is a directory$",
    ),
    Case(
        "a tab",
        write("params.yaml", "train:\n\tmax_steps: 5\n"),
        "check_params",
        2,
        r"params.yaml:2: found character that cannot start any token",
    ),
    Case(
        "a key twice",
        write("params.yaml", "seed: 1\nseed: 2\n"),
        "check_params",
        2,
        r'params.yaml:2: found duplicate key "seed"',
    ),
    Case(
        "not UTF-8",
        write("params.yaml", b"tasks: []\nseed: 1 # \xff\n"),
        "check_params",
        2,
        r"params.yaml:2: not UTF-8",
    ),
    Case(
        "a control character",
        write("params.yaml", "seed: 1\0\n"),
        "check_params",
        2,
        r"params.yaml: not YAML: unacceptable character",
    ),
    Case(
        "a date that there is not",
        write("params.yaml", "seed: 2026-13-45\n"),
        "check_params",
        2,
        r"params.yaml: not YAML: month must be in 1..12",
    ),
    Case(
        "an unknown key of an endpoint",
        param("endpoints.closed.modle", "m"),
        "check_params",
        2,
        r"params.yaml: endpoints.closed.modle: unknown key; known are base_url, model$",
    ),
    Case(
        "an unknown key in a list",
        param("summarize.wording.examples", [{"text": "雪", "promt": "写雪"}]),
        "check_params",
        2,
        r"summarize.wording.examples.0.promt: unknown key; known are text, prompt$",
    ),
    Case(
        "a word for a list",
        param("train.lora.target_modules", "q_proj"),
        "check_params",
        2,
        r"train.lora.target_modules: 'q_proj': .*'all-linear', or .* valid list$",
    ),
    Case(
        "infinity",
        param("train.learning_rate", float("inf")),
        "check_params",
        2,
        r"train.learning_rate: inf: .* finite number",
    ),
    Case(
        "one argument too many",
        nothing,
        "check_params poetry",
        2,
        r"error: unrecognized arguments: poetry",
    ),
    # --- check_raw
    Case("no folder named", nothing, "check_raw poetry", 2, r"error: .* required: data$"),
    Case(
        "an unknown task",
        nothing,
        f"check_raw poetri {RAW}",
        2,
        r"'poetri': allowed are novel, fairytale, poetry$",
    ),
    Case(
        "no such folder",
        nothing,
        "check_raw poetry data/raw/poems",
        1,
        r"data/raw/poems: no raw texts; expected \*\.csv or \*\.json$",
    ),
    Case(
        "folders alone",
        together(remove(POEMS), write(f"{POEMS}/1", "")),
        f"check_raw poetry {RAW}",
        1,
        rf"{RAW}: no raw texts",
    ),
    Case(
        "a header alone",
        write(POEMS, "title,author,dynasty,content\n"),
        f"check_raw poetry {RAW}",
        1,
        rf"{RAW}: its files hold no text",
    ),
    Case("an empty file", empty(POEMS), f"check_raw poetry {RAW}", 1, r"poems.csv:1: no column"),
    Case("not UTF-8", line(2, POEMS, b"\xff"), f"check_raw poetry {RAW}", 1, r"csv:2: not UTF-8"),
    Case(
        "a row cut short",
        line(3, BOOKS, '{"name"'),
        "check_raw novel data/raw/novel",
        1,
        r":3: not JSON",
    ),
    Case(
        "a name that no file can have",
        line(2, BOOKS, json.dumps({"name": "书" * 90, "text": "雪。"})),
        "check_raw novel data/raw/novel",
        1,
        r"train.jsonl:2: '书+' cannot name a file; change the book's name$",
    ),
    Case(
        "a test prompt without a key",
        write(f"{RAW}/test.jsonl", '{"instruction": "", "input": "雪"}\n'),
        f"check_raw poetry {RAW}",
        1,
        r"test.jsonl:1: key 'output' is missing; expected instruction, input, output$",
    ),
    # --- prepare: the same, where check_raw was not run before.
    Case("no arguments", nothing, "prepare", 2, r"error: .* required: task, data$"),
    Case(
        "a row cut short",
        line(2, POEMS, "雪,我"),
        f"prepare poetry {RAW}",
        1,
        r":2: expected 4 fields",
    ),
    Case(
        "an unknown book",
        param("novel.prepare.include", ["无此书"]),
        "prepare novel data/raw/novel",
        2,
        r"params.yaml: novel.prepare.include: no book '无此书' in data/raw/novel",
    ),
    Case(
        "no poem that will do",
        write(POEMS, "title,author,dynasty,content\n雪,我,今,雪落\n"),
        f"prepare poetry {RAW}",
        1,
        rf"{RAW}: no text can be used; dropped \{{'uneven': 1\}}",
    ),
    Case(
        "a test prompt without words",
        write(f"{RAW}/test.jsonl", '{"instruction": "", "input": "", "output": ""}\n'),
        f"prepare poetry {RAW}",
        1,
        r"test.jsonl:1: instruction and input are both empty",
    ),
    # --- base_model: a folder of one's own, the tiny model's texts, a hub.
    Case(
        "no such folder",
        together(param("base_model.source", "path"), param("base_model.path", "nowhere")),
        "base_model",
        1,
        r"base_model.path: nowhere: no such folder",
    ),
    Case(
        "its own output",
        together(param("base_model.source", "path"), param("base_model.path", BASE)),
        "base_model",
        1,
        rf"base_model.path: {BASE}: .* move your model to another folder",
    ),
    Case(
        "pickled weights",
        together(OWN, remove("own/model.safetensors"), write("own/pytorch_model.bin", b"\x80")),
        "base_model",
        1,
        r"own: no weights as safetensors; pytorch_model.bin is a pickle",
    ),
    Case(
        "weights cut short",
        together(OWN, cut_short("own/model.safetensors")),
        "base_model",
        1,
        r"own: model.safetensors is cut short",
    ),
    Case(
        "a configuration cut short",
        together(OWN, cut_short("own/config.json")),
        "base_model",
        1,
        r"own: config.json is not JSON",
    ),
    Case(
        "an index of weights cut short",
        together(
            OWN,
            write("own/model-1.safetensors", b""),
            remove("own/model.safetensors"),
            write("own/model.safetensors.index.json", "{"),
        ),
        "base_model",
        1,
        r"own: the weights' index is not JSON",
    ),
    Case(
        "no tokenizer",
        together(OWN, remove("own/tokenizer.json")),
        "base_model",
        1,
        r"own: no tokenizer \(tokenizer.json",
    ),
    Case(
        "no text for the tiny model",
        remove("data/general/verse.txt"),
        "base_model",
        1,
        r"data/general/verse.txt: no such file; the tiny base model is trained on it",
    ),
    Case(
        "a text that is not UTF-8",
        write("data/general/prose.txt", b"snow\n\n\xff\n"),
        "base_model",
        1,
        r"data/general/prose.txt:3: not UTF-8",
    ),
    Case(
        "too little text",
        param("base_model.tiny.block_length", 99_999),
        "base_model",
        1,
        r"less than one block of 99999; give base_model.path more text or lower base_model.tiny",
    ),
    Case(
        "heads that do not fit",
        param("base_model.tiny.heads", 3),
        "base_model",
        2,
        r"base_model.tiny: hidden_size \(16\) is no multiple of twice heads \(3\)",
    ),
    Case("a hub that is not there", HUB, "base_model", 1, r"http://127.*cannot be reached"),
    # --- summarize: rows, then endpoints.
    Case(
        "an unknown task", nothing, "summarize poetri", 2, r"params.yaml: section poetri is missing"
    ),
    Case(
        "no folder of rows",
        remove("data/prepared/poetry"),
        "summarize poetry",
        1,
        r"data/prepared/poetry: no rows; run `dvc repro prepare@poetry`",
    ),
    Case("no row", empty(PREPARED), "summarize poetry", 1, rf"{PREPARED}: no rows; run `dvc repro"),
    Case("broken JSON", line(3, PREPARED, "{"), "summarize poetry", 1, rf"{PREPARED}:3: not JSON"),
    Case("other keys", line(2, PREPARED, '{"id": "1"}'), "summarize poetry", 1, f":2: {KEYS}"),
    Case("not UTF-8", line(2, PREPARED, b"\xff"), "summarize poetry", 1, rf"{PREPARED}:2: not UTF"),
    Case(
        "another type",
        line(1, PREPARED, NO_TEXT.replace("0", '"0"')),
        "summarize poetry",
        1,
        rf"{PREPARED}:1: 'position' is '0'; expected int",
    ),
    Case("a row without a text", line(2, BARE, NO_TEXT), "summarize novel", 1, "row 2: the output"),
    Case(
        "a row of another source",
        line(1, BARE, NO_TEXT.replace("书", "../书").replace('""}', '"雪。"}')),
        "summarize novel",
        1,
        rf"{BARE}: row 1: its source is '../书', which has a file of its own",
    ),
    Case(
        "an unknown provider",
        param("summarize.provider", "openia"),
        "summarize novel",
        2,
        r"params.yaml: summarize.provider: 'openia': .*are offline, closed, keyed, refusing$",
    ),
    Case(
        "no endpoints.yaml",
        together(ASKED, remove(LIMITS)),
        "summarize novel",
        2,
        r"endpoints.yaml: no such file; .*`git checkout endpoints.yaml` brings it back$",
    ),
    Case(
        "an unknown key in endpoints.yaml",
        together(ASKED, param("closed", {"max_retires": 1}, LIMITS)),
        "summarize novel",
        2,
        r"endpoints.yaml: closed.max_retires: unknown key; known are api_key_env, ",
    ),
    Case(
        "a wrong limit",
        together(ASKED, param("closed", {"concurrency": 0}, LIMITS)),
        "summarize novel",
        2,
        r"endpoints.yaml: closed.concurrency: 0: Input should be greater than 0$",
    ),
    Case(
        "no key",
        param("summarize.provider", "keyed"),
        "summarize novel",
        1,
        r"NO_SUCH_KEY is not set; put the key for http://127.* there or in .env$",
    ),
    Case(
        "nobody listens",
        ASKED,
        "summarize novel",
        1,
        r"http://127.*: no row got an answer: Connection error.* \(summarize.provider is closed\)",
    ),
    Case(
        "401", param("summarize.provider", "refusing"), "summarize novel", 1, r"http://127.*: 401:"
    ),
    # --- merge
    Case(
        "no folder of rows",
        remove("data/summarized/poetry"),
        "merge poetry",
        1,
        r"data/summarized/poetry: no rows; run `dvc repro summarize@poetry`",
    ),
    Case("broken JSON", line(1, SUMMARIZED, "{"), "merge poetry", 1, rf"{SUMMARIZED}:1: not JSON"),
    Case(
        "one row",
        first_line_alone(SUMMARIZED),
        "merge poetry",
        1,
        r"none of 1 groups is (learnt from|held out); change merge.eval_fraction",
    ),
    Case(
        "a word for a number",
        param("merge.eval_fraction", "half"),
        "merge poetry",
        2,
        r"params.yaml: merge.eval_fraction: 'half': .* valid number",
    ),
    Case(
        "held-out rows among those learnt from",
        together(
            nearly_twice(SUMMARIZED),
            param("poetry.merge.group_by", "row"),
            param("merge.near_duplicate_jaccard", 1.0),
        ),
        "merge poetry",
        1,
        r"poetry: .*% of the held-out 13-grams stand in the training rows .* poems.csv row \d+",
    ),
    # --- train
    Case("an unknown task", nothing, "train poetri", 2, r"params.yaml: section poetri is missing"),
    Case(
        "no rows file", remove(TRAIN), "train poetry", 1, rf"{TRAIN}: no such file; run `dvc repro"
    ),
    Case("no row", empty(TRAIN), "train poetry", 1, rf"{TRAIN}: no rows; run `dvc repro merge@poe"),
    Case("no held-out row", empty(HELD_OUT), "train poetry", 1, rf"{HELD_OUT}: no rows; run"),
    Case("broken JSON", line(2, HELD_OUT, "["), "train poetry", 1, rf"{HELD_OUT}:2: not JSON"),
    Case("no base", remove(BASE), "train poetry", 1, rf"{BASE}: no such folder{WAY_OUT}"),
    Case(
        "no tokenizer",
        remove(f"{BASE}/tokenizer.json"),
        "train poetry",
        1,
        rf"{BASE}: no tokenizer in this folder{WAY_OUT}",
    ),
    Case(
        "a tokenizer cut short",
        cut_short(f"{BASE}/tokenizer.json"),
        "train poetry",
        1,
        rf"{BASE}: tokenizer.json is not JSON{WAY_OUT}",
    ),
    Case(
        "no chat template",
        remove(f"{BASE}/chat_template.jinja"),
        "train poetry",
        1,
        rf"{BASE}: no chat template; set base_model to a chat or instruct model",
    ),
    Case(
        "a broken chat template",
        write(f"{BASE}/chat_template.jinja", "{% for"),
        "train poetry",
        1,
        rf"{BASE}: the chat template words no conversation: ",
    ),
    Case(
        "an unknown architecture",
        update(f"{BASE}/config.json", model_type="qwen99"),
        "train poetry",
        1,
        rf"{BASE}: it cannot be opened: .*qwen99.*{WAY_OUT}",
    ),
    Case(
        "weights of another size",
        update(f"{BASE}/config.json", intermediate_size=96),
        "train poetry",
        1,
        rf"{BASE}: the weights do not fit what its configuration says{WAY_OUT}",
    ),
    Case(
        "rows that are too long",
        param("train.max_length", 8),
        "train poetry",
        1,
        r"rows \(100.0%\) are longer than train.max_length \(8 tokens\).* would do",
    ),
    Case(
        "unknown layers",
        param("train.lora.target_modules", ["query"]),
        "train poetry",
        1,
        rf"train.lora.target_modules: {BASE} has no layers \['query'\]; name others",
    ),
    # --- merge_weights
    Case(
        "no held-out rows",
        remove(HELD_OUT),
        "merge_weights poetry",
        1,
        rf"{HELD_OUT}: no such file; run `dvc repro merge@poetry`",
    ),
    Case(
        "no training rows", remove(TRAIN), "merge_weights poetry", 1, rf"{TRAIN}: no such file; run"
    ),
    Case(
        "no record of the base",
        remove(f"{BASE}/wenmo.json"),
        "merge_weights poetry",
        1,
        rf"{BASE}/wenmo.json: no such file; run `dvc repro base_model`",
    ),
    Case("no adapter", remove(ADAPTER), "merge_weights poetry", 1, rf"{ADAPTER}: no such folder"),
    Case(
        "an adapter cut short",
        cut_short(f"{ADAPTER}/adapter_model.safetensors"),
        "merge_weights poetry",
        1,
        rf"{ADAPTER}: adapter_model.safetensors is cut short or no safetensors file{WAY_OUT}",
    ),
    Case(
        "a pickled adapter",
        together(
            remove(f"{ADAPTER}/adapter_model.safetensors"),
            write(f"{ADAPTER}/adapter_model.bin", b"\x80"),
        ),
        "merge_weights poetry",
        1,
        rf"{ADAPTER}: no weights .*; adapter_model.bin is a pickle, which can run code",
    ),
    Case(
        "an adapter of another rank",
        update(f"{ADAPTER}/adapter_config.json", r=7),
        "merge_weights poetry",
        1,
        rf"{ADAPTER}: the weights do not fit what its configuration says{WAY_OUT}",
    ),
    Case(
        "a size without a unit",
        param("merge_weights.max_shard_size", "2 gigs"),
        "merge_weights poetry",
        2,
        r"params.yaml: merge_weights.max_shard_size: '2 gigs': ",
    ),
    # --- generate: models are looked at before the first text is written.
    Case("no rows", empty(HELD_OUT), "generate poetry", 1, rf"{HELD_OUT}: no rows; run `dvc repro"),
    Case("no test prompts", remove(TEST), "generate poetry", 1, rf"{TEST}: no such file; run `dvc"),
    Case("broken JSON", write(TEST, "\n{\n"), "generate poetry", 1, rf"{TEST}:2: not JSON"),
    Case("no merged model", remove(MERGED), "generate poetry", 1, rf"{MERGED}: no such folder"),
    Case(
        "a merged model cut short",
        cut_short(f"{MERGED}/model.safetensors"),
        "generate poetry",
        1,
        rf"{MERGED}: model.safetensors is cut short or no safetensors file{WAY_OUT}",
    ),
    Case(
        "an adapter without configuration",
        together(BY_ADAPTER, remove(f"{ADAPTER}/adapter_config.json")),
        "generate poetry",
        1,
        rf"{ADAPTER}: no adapter_config.json in this folder{WAY_OUT}",
    ),
    Case(
        "an answer longer than the context",
        param("poetry.generate.sampling.max_new_tokens", 5000),
        "generate poetry",
        1,
        r"\d+ tokens and generate.sampling.max_new_tokens \(5000\) do not fit .* of 512",
    ),
    Case(
        "an unknown engine",
        param("generate.engine", "tgi"),
        "generate poetry",
        2,
        r"params.yaml: generate.engine: 'tgi': .*'transformers', 'vllm' or 'openai'",
    ),
    Case(
        "nobody listens",
        BY_ENDPOINT,
        "generate poetry",
        1,
        r"http://127.*: Connection error.*generate.openai.endpoint is closed\), and does it run",
    ),
    Case(
        "401",
        together(BY_ENDPOINT, param("generate.openai.endpoint", "refusing")),
        "generate poetry",
        1,
        r"http://127.*: 401: ",
    ),
    Case(
        "no key",
        together(BY_ENDPOINT, param("generate.openai.endpoint", "keyed")),
        "generate poetry",
        1,
        r"NO_SUCH_KEY is not set; put the key for http://127.* there or in .env$",
    ),
    # --- evaluate
    Case(
        "no outputs",
        remove("outputs/poetry"),
        "evaluate poetry",
        1,
        rf"{OF_BASE}: no such file; run `dvc repro generate@poetry`",
    ),
    Case(
        "no text",
        empty(OF_BASE),
        "evaluate poetry",
        1,
        rf"{OF_BASE}:1: expected a text of poems.csv row \d+; run `dvc repro generate@poetry`",
    ),
    Case(
        "a row without a text of tuned",
        line(2, OF_TUNED, None),
        "evaluate poetry",
        1,
        rf"{OF_TUNED}:2: expected a text of poems.csv row \d+; run",
    ),
    Case(
        "texts in another order",
        backwards(OF_TUNED),
        "evaluate poetry",
        1,
        rf"{OF_TUNED}:1: expected a text of poems.csv row \d+; run",
    ),
    Case(
        "a text too many",
        line(1, HELD_OUT, None),
        "evaluate poetry",
        1,
        rf"{OF_BASE}:1: expected a text of poems.csv row \d+; run",
    ),
    Case("broken JSON", line(2, OF_TUNED, "{"), "evaluate poetry", 1, rf"{OF_TUNED}:2: not JSON"),
    Case("no training rows", remove(TRAIN), "evaluate poetry", 1, rf"{TRAIN}: no such file; run"),
    Case("no base", remove(BASE), "evaluate poetry", 1, rf"{BASE}: no such folder{WAY_OUT}"),
    Case(
        "no curve",
        remove("plots/train/poetry/eval"),
        "evaluate poetry",
        1,
        rf"plots/train/poetry/eval/loss.tsv: no such file{WAY_OUT}",
    ),
    Case(
        "a curve of words",
        write("plots/train/poetry/loss.tsv", "step\tloss\n1\tlow\n"),
        "evaluate poetry",
        1,
        rf"plots/train/poetry/loss.tsv: no table of step and loss{WAY_OUT}",
    ),
    Case(
        "a single held-out row",
        first_line_alone(HELD_OUT, OF_BASE, OF_TUNED),
        "evaluate poetry",
        1,
        rf"{HELD_OUT}: 1 row held out, .*; raise merge.eval_fraction or merge.max_eval_rows",
    ),
    Case(
        "an unknown judge",
        param("evaluate.judge.endpoint", "nobody"),
        "evaluate poetry",
        2,
        r"evaluate.judge.endpoint: 'nobody': .*allowed are none, closed, keyed, refusing$",
    ),
    Case(
        "no key", param("evaluate.judge.endpoint", "keyed"), "evaluate poetry", 1, "NO_SUCH_KEY is"
    ),
    Case(
        "nobody listens",
        param("evaluate.judge.endpoint", "closed"),
        "evaluate poetry",
        1,
        r"http://127.*: no (answer to 10 requests in a row|row could be judged): Connection error",
    ),
    Case(
        "401", param("evaluate.judge.endpoint", "refusing"), "evaluate poetry", 1, r"127.*: 401: "
    ),
    # --- wenmo inspect, estimate
    Case("an unknown command", nothing, "wenmo inspekt", 2, r"Error: No such command 'inspekt'"),
    Case("no task", nothing, "wenmo inspect", 2, r"Error: Missing argument 'task'"),
    Case(
        "an unknown task", nothing, "wenmo inspect poetri", 2, r"'poetri' is no task; allowed are"
    ),
    Case(
        "no table",
        remove("metrics/prepare/poetry.csv"),
        "wenmo inspect poetry",
        1,
        r"metrics/prepare/poetry.csv: no such file; run `dvc repro prepare@poetry` first",
    ),
    Case(
        "an empty table",
        empty("metrics/prepare/poetry.csv"),
        "wenmo inspect poetry",
        1,
        r"metrics/prepare/poetry.csv: not the table that prepare wrote; run",
    ),
    Case(
        "another table",
        write("plots/prepare/poetry.csv", "characters,rows\n20,many\n"),
        "wenmo inspect poetry",
        1,
        r"plots/prepare/poetry.csv: not the table that prepare wrote; run",
    ),
    Case(
        "offline", nothing, "wenmo estimate", 1, r"provider is offline .* set it to one of closed"
    ),
    Case(
        "no list of tasks",
        param("tasks", ...),
        "wenmo estimate",
        2,
        "params.yaml: tasks: None: exp",
    ),
    Case(
        "no prepared rows",
        together(ASKED, remove("data/prepared/novel")),
        "wenmo estimate",
        1,
        r"data/prepared/novel: no rows; run `dvc repro prepare@novel`",
    ),
    # --- wenmo compare
    Case(
        "an unknown revision", nothing, "wenmo compare nowhere", 1, r"nowhere: unknown Git revision"
    ),
    Case(
        "an unknown task",
        nothing,
        "wenmo compare HEAD --task drama",
        2,
        r"'drama' is no task; allowed",
    ),
    Case(
        "a folder for a page",
        nothing,
        "wenmo compare HEAD --html data",
        2,
        r"'data' is a directory",
    ),
    Case(
        "scores that are no numbers",
        write("metrics/evaluate/poetry.json", '{"tuned": {"form": "good"}}'),
        "wenmo compare HEAD --task poetry",
        1,
        r"workspace: metrics/evaluate/poetry.json: no scores of tuned",
    ),
    # --- wenmo push
    Case("no repository", nothing, "wenmo push poetry", 2, r"Error: Missing option '--to'"),
    Case(
        "half a name", nothing, "wenmo push poetry --to me", 1, r"'me' is no repository; expected"
    ),
    Case(
        "no token", nothing, "wenmo push poetry --to me/m", 1, r"HF_TOKEN is not set; put a token"
    ),
    Case(
        "broken scores",
        together(TOKEN, write("metrics/poetry.json", "{")),
        "wenmo push poetry --to me/m",
        1,
        r"metrics/poetry.json: expected the keys base, tuned, delta; run `dvc repro evaluate@",
    ),
    Case(
        "weights cut short",
        together(TOKEN, cut_short(f"{MERGED}/model.safetensors")),
        "wenmo push poetry --to me/m",
        1,
        rf"{MERGED}: model.safetensors is cut short .*; run `dvc repro merge_weights@poetry`",
    ),
    Case(
        "a hub that is not there",
        TOKEN,
        "wenmo push poetry --to me/m",
        1,
        r"http://127.*cannot be reached",
    ),
    # --- wenmo preset, make preset
    Case(
        "an unknown preset",
        nothing,
        "wenmo preset huge",
        2,
        r"'huge' is no preset; there are tiny$",
    ),
    Case("the same", nothing, "make preset NAME=huge", 2, r"'huge' is no preset; there are tiny$"),
    Case(
        "not UTF-8",
        write("presets/mine.yaml", b"# mine\n# \xff\n"),
        "wenmo preset mine",
        2,
        r"presets/mine.yaml:2: not UTF-8",
    ),
    Case(
        "an unknown key",
        write("presets/mine.yaml", "train:\n  steps: 5\n"),
        "wenmo preset mine",
        2,
        r"presets/mine.yaml: train.steps: unknown key; known are max_steps",
    ),
    # --- wenmo prosody, trace
    Case("no verse", nothing, "wenmo prosody ...", 2, r"there is no verse line; give a poem"),
    Case(
        "no file",
        remove(SUBMITTED),
        f"wenmo trace {SUBMITTED}:1",
        1,
        rf"{SUBMITTED}: no such file; `dvc pull` or `dvc repro generate@poetry`",
    ),
    Case(
        "broken JSON",
        line(2, TRAIN, "{"),
        f"wenmo trace {SUBMITTED}:1",
        1,
        rf"{TRAIN}:2: not JSON",
    ),
    Case(
        "a lock that is not UTF-8",
        write("dvc.lock", b"\xff"),
        f"wenmo trace {SUBMITTED}:1",
        1,
        r"dvc.lock: not written by DVC; run `git checkout dvc.lock`",
    ),
    # --- wenmo merge-lock
    Case(
        "no such file", nothing, "wenmo merge-lock dvc.lock dvc.lock no", 2, r"'no' does not exist"
    ),
    Case(
        "not written by DVC",
        write("theirs", "stages: ["),
        "wenmo merge-lock dvc.lock dvc.lock theirs",
        1,
        r"dvc.lock: their version was not written by DVC; take one by `git checkout --ours",
    ),
    # --- wenmo serve
    Case(
        "an unknown task",
        nothing,
        "wenmo serve --task verse",
        2,
        r"'verse' is no task; allowed are",
    ),
    Case("an unknown option", nothing, "wenmo serve --prot 80", 2, r"No such option: --prot"),
    Case(
        "no port", nothing, "wenmo serve --port 70000", 2, r"Invalid value for '--port': .* 65535"
    ),
    Case(
        "no base",
        remove(BASE),
        "wenmo serve --task poetry",
        1,
        rf"{BASE}: no config.json; run `dvc repro base_model`",
    ),
    *(
        Case("no list of tasks", param("tasks", ...), command, 2, "params.yaml: tasks: None: exp")
        for command in ("wenmo serve", "wenmo web", "wenmo write 灯塔")
    ),
    Case(
        "no tuned model",
        together(remove(ADAPTER), remove(MERGED)),
        "wenmo serve",
        1,
        r"models/(adapters|merged): no model of novel, fairytale, poetry; run `dvc repro`",
    ),
    Case(
        "a model cut short",
        together(
            cut_short(f"{ADAPTER}/adapter_model.safetensors"),
            cut_short(f"{MERGED}/model.safetensors"),
        ),
        "wenmo serve --task poetry",
        1,
        r"models/(adapters|merged)/poetry: \w+.safetensors is cut short .*; run `dvc repro \w+@",
    ),
    Case(
        "no such host",
        nothing,
        "wenmo serve --task poetry --host 192.0.2.1",
        1,
        r"192.0.2.1:8000: .*; choose another --host or --port",
    ),
    # --- wenmo batch
    Case(
        "no file named", nothing, "wenmo batch export novel", 2, r"Error: Missing argument 'path'"
    ),
    Case(
        "an unknown task",
        nothing,
        "wenmo batch export poetri b.jsonl",
        2,
        r"'poetri' is no task; allow",
    ),
    Case(
        "offline", nothing, "wenmo batch export novel b.jsonl", 1, r"summarize.provider is offline"
    ),
    Case("a folder", ASKED, "wenmo batch export novel data", 2, r"file 'data' is a directory"),
    Case(
        "a file for a folder",
        ASKED,
        "wenmo batch export novel params.yaml/b.jsonl",
        1,
        r"params.yaml/b.jsonl: .*; name another file",
    ),
    Case("no results", nothing, "wenmo batch import b.jsonl", 1, r"b.jsonl: no such file"),
    Case(
        "results without answers",
        write("b.jsonl", '{"custom_id": "1", "response": {"body": {"choices": []}}}\n'),
        "wenmo batch import b.jsonl",
        1,
        r"b.jsonl:1: response.body is no chat completion",
    ),
    Case(
        "results of other requests",
        write("b.jsonl", f'{{"custom_id": {{}}, "response": {{"body": {ANSWER}}}}}\n'),
        "wenmo batch import b.jsonl",
        1,
        r"b.jsonl:1: expected custom_id and response, as in a batch's results",
    ),
]


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
        for name in ("prepare", "summarize", "merge", "merge_weights", "generate", "evaluate"):
            raw = [RAW] if name == "prepare" else []
            assert stage(name, "poetry", *raw) == 0
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
        "presets": ["tiny.yaml"],
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
    content["base_model"]["path"] = "data/general"
    content["base_model"]["tiny"] |= {"hidden_size": 16, "heads": 1, "verse_poems": 9, "steps": 1}
    content["train"]["max_steps"] = 1
    content["generate"]["openai"]["endpoint"] = "closed"
    # A model that has learnt nothing may end at once, more than once.
    content["generate"]["max_attempts"] = 50
    content["poetry"]["generate"]["sampling"]["max_new_tokens"] = 4
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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_input_is_one_line_and_changes_nothing(
    case: Case, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    case.spoil()
    before = files()
    code, errors = run(case.command.split(), capfd)
    [message] = told(errors)
    assert re.search(case.says, message), message
    assert code == case.code
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
