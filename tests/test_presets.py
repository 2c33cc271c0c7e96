"""Presets: params.yaml becomes a published configuration, and nothing but values changes in it."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, set_cell_size
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.conftest import ROOT
from tests.hub_server import HubServer, Repository
from wenmo.config import all_sections, params_file, train
from wenmo.config.train import TrainParams
from wenmo.core.errors import ParamsError
from wenmo.tools import cli, presets

NAMES = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))
COMMITTED = (ROOT / "params.yaml").read_text(encoding="utf-8")
ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

TALES = {
    "tasks": ["fairytale"],
    "base_model.source": "huggingface",
    "base_model.name": "Qwen/Qwen2.5-1.5B-Instruct",
    "fairytale.train.max_steps": -1,
    "fairytale.train.num_train_epochs": 5,
    "fairytale.train.max_length": 1024,
    "fairytale.train.learning_rate": 2e-4,
    "fairytale.train.optim": "paged_adamw_8bit",
    "fairytale.train.precision": "bf16",
    "fairytale.train.quantization": "4bit",
    "fairytale.train.save_strategy": "epoch",
    "fairytale.train.save_total_limit": 3,
    "fairytale.generate.sampling.top_p": 0.9,
    "fairytale.generate.sampling.temperature": 0.7,
    "fairytale.generate.sampling.repetition_penalty": 1.1,
}
PUBLISHED: dict[str, dict[str, Any]] = {
    "novel-qwen2-1.5b": {
        "tasks": ["novel"],
        "base_model.source": "huggingface",
        "base_model.name": "Qwen/Qwen2-1.5B-Instruct",
        "novel.prepare.passages.maximum": 800,
        "novel.summarize.max_prompt_chars": 30,
        "novel.summarize.temperature": 0.3,
        "novel.train.max_steps": -1,
        "novel.train.num_train_epochs": 2,
        "novel.train.max_length": 2048,
        "novel.train.per_device_train_batch_size": 4,
        "novel.train.gradient_accumulation_steps": 4,
        "novel.train.learning_rate": 1e-4,
        "novel.train.gradient_checkpointing": True,
        "novel.train.quantization": "none",
        "novel.train.lora.r": 8,
        "novel.train.lora.lora_alpha": 32,
        "novel.train.lora.lora_dropout": 0.1,
        "novel.train.lora.target_modules": ALL_LINEAR,
        "novel.merge_weights.max_shard_size": "2GB",
    },
    "fairytale-qwen2.5-1.5b": TALES
    | {
        "fairytale.train.per_device_train_batch_size": 2,
        "fairytale.train.gradient_accumulation_steps": 8,
    },
    "fairytale-8gb": TALES
    | {
        "fairytale.train.per_device_train_batch_size": 1,
        "fairytale.train.gradient_accumulation_steps": 16,
    },
    "poetry-qwen1.5-1.8b-qlora": {
        "tasks": ["poetry"],
        "base_model.source": "huggingface",
        "base_model.name": "Qwen/Qwen1.5-1.8B-Chat",
        "poetry.train.max_steps": 500,
        "poetry.train.quantization": "4bit",
        "poetry.train.lora.target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
    },
    "qwen2.5-7b-multi-gpu": {
        "tasks": ["novel", "fairytale", "poetry"],
        "base_model.source": "huggingface",
        "base_model.name": "Qwen/Qwen2.5-7B-Instruct",
        "train.launcher": "accelerate launch --config_file configs/fsdp.yaml",
        "poetry.train.learning_rate": 1e-4,
    },
    "embedded": {"base_model.source": "embedded", "train.learning_rate": "auto"},
}
USUAL = {
    "train.max_steps": -1,
    "train.learning_rate": 2e-4,
    "train.gradient_checkpointing": True,
    "train.lora.target_modules": "all-linear",
    "merge_weights.precision": "bf16",
    "generate.precision": "bf16",
}
OURS: dict[str, dict[str, Any]] = {
    "novel-qwen3-4b": {"base_model.name": "Qwen/Qwen3-4B", "train.packing": True},
    "novel-qwen3-8b": {"base_model.name": "Qwen/Qwen3-8B", "train.packing": True},
    "novel-qwen3.5-4b": {"base_model.name": "Qwen/Qwen3.5-4B", "train.packing": False},
    "novel-glm4-9b": {"base_model.name": "zai-org/GLM-4-9B-0414", "train.packing": True},
    "fairytale-qwen3-1.7b": {
        "base_model.name": "Qwen/Qwen3-1.7B",
        "train.packing": True,
        "train.gradient_checkpointing": False,
    },
    "poetry-qwen3-1.7b": {
        "base_model.name": "Qwen/Qwen3-1.7B",
        "train.packing": True,
        "train.gradient_checkpointing": False,
    },
    "poetry-minicpm3-4b": {"base_model.name": "openbmb/MiniCPM3-4B", "train.packing": True},
    "path": {
        "base_model.source": "path",
        "train.packing": False,
        "train.precision": "auto",
        "novel.prepare.passages.maximum": 800,
    },
}
FIGURES = PUBLISHED | {name: USUAL | figures for name, figures in OURS.items()}
COMMITS = {
    "Qwen/Qwen1.5-1.8B-Chat": "e482ee3f73c375a627a16fdf66fd0c8279743ca6",
    "Qwen/Qwen2-1.5B-Instruct": "ba1cf1846d7df0a0591d6c00649f57e798519da8",
    "Qwen/Qwen2.5-1.5B-Instruct": "989aa7980e4cf806f80c7fef2b1adb7bc71aa306",
    "Qwen/Qwen2.5-7B-Instruct": "a09a35458c702b33eeacc393d103063234e8bc28",
    "Qwen/Qwen3-1.7B": "70d244cc86ccca08cf5af4e1e306ecf908b1ad5e",
    "Qwen/Qwen3-4B": "1cfa9a7208912126459214e8b04321603b3df60c",
    "Qwen/Qwen3-8B": "b968826d9c46dd6066d109eabc6255188de91218",
    "Qwen/Qwen3.5-4B": "851bf6e806efd8d0a36b00ddf55e13ccb7b8cd0a",
    "openbmb/MiniCPM3-4B": "",
    "zai-org/GLM-4-9B-0414": "645b8482494e31b6b752272bf7f7f273ef0f3caf",
}
"""Each was found in several public repositories; without one, the hub is asked."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's root, as far as presets need it."""
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wenmo(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def preset(name: str) -> str:
    """params.yaml after the command."""
    run = wenmo("preset", name)
    assert run.exit_code == 0, run.output
    return Path("params.yaml").read_text(encoding="utf-8")


def leaves(content: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key)


def effective(content: dict[str, Any], dotted: str) -> Any:
    """A value as a stage sees it: the task's own section over the shared one."""
    first, *keys = dotted.split(".")
    if first in all_sections.TASKS:
        section = keys.pop(0)
        value: Any = params_file.deep_merge(content[section], content[first][section])
    else:
        value = content[first]
    for key in keys:
        value = value[key]
    return value


def test_every_preset_is_checked_here() -> None:
    assert sorted(FIGURES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_has_its_figures(root: Path, name: str) -> None:
    preset(name)
    content = params_file.read()
    all_sections.check(content)
    assert {key: effective(content, key) for key in FIGURES[name]} == FIGURES[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_model_of_a_preset_is_pinned(root: Path, name: str) -> None:
    preset(name)
    base = params_file.read()["base_model"]
    assert base["revision"] == (COMMITS[base["name"]] if base["name"] else "")


def test_the_default_is_what_is_committed(root: Path) -> None:
    run = wenmo("preset", "embedded")
    assert run.output == "params.yaml is embedded already; nothing changed\n"
    assert Path("params.yaml").read_text(encoding="utf-8") == COMMITTED


def test_a_preset_twice_is_a_preset_once_whatever_was_there_before(root: Path) -> None:
    made = {name: preset(name) for name in NAMES}
    assert [name for name in NAMES if made[name] == COMMITTED] == ["embedded"]
    for name in reversed(NAMES):
        assert preset(name) == made[name]
    assert preset(NAMES[0]) == made[NAMES[0]]


@pytest.mark.parametrize("name", NAMES)
def test_the_default_holds_each_key_that_a_preset_changes(name: str) -> None:
    default = set(leaves(params_file.read(ROOT / "presets/embedded.yaml")))
    assert set(leaves(params_file.read(ROOT / f"presets/{name}.yaml"))) <= default


def changes(path: Path) -> dict[str, Any]:
    """What a preset lays over params.yaml."""
    return {name: each for name, each in params_file.read(path).items() if name != "about"}


@pytest.mark.parametrize("name", NAMES)
def test_only_values_change_and_the_output_shows_them(root: Path, name: str) -> None:
    before = params_file.read()
    output = wenmo("preset", name).output
    after = Path("params.yaml").read_text(encoding="utf-8")
    assert comments(after) == comments(COMMITTED)
    expected = params_file.deep_merge(before, changes(root / f"presets/{name}.yaml"))
    assert params_file.read() == expected
    assert list(leaves(params_file.read())) == list(leaves(before))
    if name == "embedded":
        return
    changed = [line for line in output.splitlines()[2:] if line[0] in "+-"]
    assert changed
    assert "\ndata_dir is data/sample as before, and so is all that is not shown above" in output
    assert not any(line[1:].lstrip().startswith("#") or not line[1:].strip() for line in changed)
    # Numbers keep their spelling: 1e-4 is not turned into 0.0001.
    assert "0.000" not in "".join(changed)


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.lstrip().startswith("#")]


def test_a_task_without_texts_is_named(root: Path) -> None:
    own = COMMITTED.replace("data/sample\n", "data/raw\n")
    (root / "params.yaml").write_text(own, encoding="utf-8")
    (root / "data/raw/poetry").mkdir(parents=True)
    told = "data/raw has no folder for novel, fairytale: take that out of tasks, or put texts there"
    assert wenmo("preset", "path").output.endswith(f"\n{told}\n")
    assert "no folder" not in wenmo("preset", "poetry-qwen3-1.7b").output


def test_what_a_user_set_besides_stays(root: Path) -> None:
    own = COMMITTED.replace("seed: 42", "seed: 7  # mine").replace("data/sample\n", "data/raw\n")
    (root / "params.yaml").write_text(own, encoding="utf-8")
    preset("novel-qwen2-1.5b")
    assert preset("embedded") == own


def test_a_list_that_dvc_has_rewritten_comes_back(root: Path) -> None:
    by_dvc = COMMITTED.replace(
        "tasks:\n  - novel\n  - fairytale\n  - poetry\n", "tasks: [poetry]\n"
    )
    assert by_dvc != COMMITTED
    (root / "params.yaml").write_text(by_dvc, encoding="utf-8")
    assert preset("embedded") == COMMITTED


def test_comments_stay_where_a_list_becomes_a_word(root: Path) -> None:
    write_preset("all", "train:\n  lora:\n    target_modules: all-linear  # why\n")
    text = preset("all")
    assert comments(text) == comments(COMMITTED)
    assert "    target_modules: all-linear\n  # Reinforcement by rewards" in text
    assert preset("embedded") == COMMITTED


def test_a_new_key_of_a_task_stands_in_a_block_before_the_next_comment(root: Path) -> None:
    write_preset(
        "own",
        "fairytale:\n  evaluate:\n    resamples: 9\n  merge:\n    gap_rows: 5\n"
        "  train:\n    packing: true\n",
    )
    text = preset("own")
    assert "    resamples: 9\n\npoetry:\n" in text
    assert "  train:\n    packing: true\n  merge_weights: {}\n" in text
    assert "    eval_fraction: 0.3\n    gap_rows: 5\n  chat:\n" in text
    assert comments(text) == comments(COMMITTED)


WRONG = {
    "no such preset": ("other", None, 2, "'own' is no preset; allowed are embedded, "),
    "an unknown key": ("own", "train:\n  max_stpes: 5\n", 2, "train.max_stpes: unknown key; "),
    "an unknown section": ("own", "trian:\n  max_steps: 5\n", 2, "trian: unknown key; "),
    "a wrong value": ("own", "train:\n  max_steps: many\n", 2, "train.max_steps: 'many': "),
    "no mapping": ("own", "- train\n", 2, "expected sections, found list"),
    "nothing but a comment": ("own", "# later\n", 2, "expected sections, found NoneType"),
    "broken": ("own", "train: [\n", 2, ""),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_preset_that_will_not_do_is_told_in_one_line(root: Path, case: str) -> None:
    name, text, exit_code, complaint = WRONG[case]
    write_preset(name, text or "seed: 1\n")
    run = wenmo("preset", "own")
    assert run.exit_code == exit_code
    place = "" if text is None else "presets/own.yaml:"
    assert run.stderr.startswith(f"preset: {place}")
    assert complaint in run.stderr
    assert run.stderr.count("\n") == 1
    assert run.stdout == ""
    assert Path("params.yaml").read_text(encoding="utf-8") == COMMITTED
    assert sorted(path.name for path in root.iterdir()) == ["params.yaml", "presets"]


def test_what_was_wrong_before_is_not_blamed_on_the_preset(root: Path) -> None:
    (root / "params.yaml").write_text(COMMITTED.replace("seed: 42", "seed: many"), encoding="utf-8")
    run = wenmo("preset", "novel-qwen2-1.5b")
    assert (run.exit_code, run.stderr) == (
        2,
        "preset: params.yaml: seed: 'many': expected int\n",
    )


def test_a_wrong_value_that_the_preset_sets_is_mended(root: Path) -> None:
    wrong = COMMITTED.replace("max_steps: 100", "max_steps: many")
    (root / "params.yaml").write_text(wrong, encoding="utf-8")
    assert preset("embedded") == COMMITTED


def listed() -> dict[str, list[str]]:
    """The columns of the list, by preset."""
    head, *lines = wenmo("preset").output.splitlines()
    columns = [head.index(title) for title in ("MODEL", "PARAM", "METHOD", "GPU", "LICENCE")]
    bounds = list(pairwise([0, *columns, 200]))
    rows = [[line[start:end].strip() for start, end in bounds] for line in lines]
    return {name: row for name, *row in rows}


def test_without_a_name_they_are_listed_with_what_they_are(root: Path) -> None:
    rows = listed()
    assert [*rows] == ["embedded", *(name for name in NAMES if name != "embedded")]
    assert rows["novel-qwen3-8b"] == [
        "Qwen/Qwen3-8B",
        "8.2B",
        "QLoRA, 4 bits",
        "24 GB",
        "Apache-2.0",
    ]
    assert rows["path"] == ["your own", "", "LoRA", "by the model", ""]
    assert all(all(row) for name, row in rows.items() if name != "path")
    embedded = json.loads((ROOT / "metrics/base_model.json").read_text())["parameters"]
    assert rows["embedded"][:2] == ["embedded", f"{embedded / 1e6:.1f}M"]


def test_the_list_is_in_chinese_and_its_columns_are_straight(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENMO_LANG", "zh")
    head, *lines = wenmo("preset").output.splitlines()
    assert head.split() == ["预设", "模型", "参数量", "方法", "显存", "许可证"]
    start = cell_len(head[: head.index("方法")])
    for line in lines:
        column = set_cell_size(line, start)
        assert line.startswith(column) and line[len(column) :].startswith(("LoRA", "QLoRA"))
        told = re.sub(r"\d+ GB|\S*LoRA", "", line.removeprefix(column))
        assert not re.search("bits|none|by the model", told)


def test_a_preset_of_ones_own_needs_to_tell_nothing_of_itself(root: Path) -> None:
    write_preset("own", "base_model:\n  source: path\ntrain:\n  quantization: 8bit\n")
    assert listed()["own"] == ["your own", "", "QLoRA, 8 bits", "", ""]
    write_preset("own", "about:\n  licens: MIT\n")
    run = wenmo("preset")
    assert run.exit_code == 2
    assert "presets/own.yaml: about.licens: unknown key; did you mean licen" in run.stderr


def test_outside_of_the_repository_it_says_where_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = wenmo("preset")
    assert run.exit_code == 1
    assert run.stderr == "preset: presets: no presets; run in the repository's root\n"


@pytest.mark.parametrize("name", NAMES)
def test_the_launcher_of_a_preset_names_a_file_that_is_there(name: str) -> None:
    launcher = params_file.read(ROOT / f"presets/{name}.yaml")["train"].get("launcher", "python")
    named = [word for word in launcher.split() if word.endswith((".yaml", ".json", ".py"))]
    assert all((ROOT / path).is_file() for path in named)
    assert bool(named) is (name == "qwen2.5-7b-multi-gpu")


def write_preset(name: str, text: str) -> None:
    Path(f"presets/{name}.yaml").write_text(text, encoding="utf-8")


VALUES = st.one_of(
    st.integers(0, 3), st.just("word"), st.lists(st.integers(0, 3), min_size=1, max_size=3)
)
DOCUMENTS = st.recursive(
    VALUES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1), max_leaves=8
).filter(lambda value: isinstance(value, dict))


def written(content: Mapping[str, Any], above: str = "", indent: str = "") -> str:
    """YAML with a comment above each key that says where the key stands."""
    text = ""
    for key, value in content.items():
        place = f"{above}{key}"
        text += f"{indent}# about {place}\n{indent}{key}:"
        if isinstance(value, Mapping):
            text += "\n" + written(value, f"{place}.", indent + "  ")
        elif isinstance(value, list):
            text += "".join(f"\n{indent}  - {each}" for each in value) + "\n"
        else:
            text += f" {value}\n"
    return text


@given(document=DOCUMENTS, overlay=DOCUMENTS)
def test_any_overlay_is_merged_deeply_and_leaves_comments_at_their_keys(
    document: dict[str, Any], overlay: dict[str, Any]
) -> None:
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    merged = yaml.load(written(document))
    presets.lay_over(merged, yaml.load(written(overlay)))
    stream = StringIO()
    yaml.dump(merged, stream)
    text = stream.getvalue()
    assert YAML(typ="safe").load(text) == params_file.deep_merge(document, overlay)
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if line.lstrip().startswith("# about "):
            key = line.rsplit(".")[-1].split()[-1]
            assert lines[at + 1].lstrip().startswith(f"{key}:")
            assert lines[at + 1].index(key) == line.index("#")


def test_a_preset_is_set_though_its_packages_are_missing_and_training_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "find_spec", lambda _: None)
    run = wenmo("preset", "fairytale-8gb")
    assert run.exit_code == 0
    missing = "params.yaml: train (fairytale): quantization 4bit needs bitsandbytes, which"
    assert run.stderr.startswith(f"it is set, but this machine cannot train it yet: {missing}")
    assert run.stderr.count("\n") == 1 and ".[gpu]" in run.stderr
    with pytest.raises(ParamsError, match=re.escape(missing)):
        all_sections.refuse_missing(params_file.read())
    assert wenmo("preset", "embedded").stderr == ""
    all_sections.refuse_missing(params_file.read())


def test_the_commit_of_a_dataset_is_entered_and_the_embedded_model_has_none(
    root: Path, hub: HubServer
) -> None:
    text = Path("params.yaml").read_text("utf-8")
    before, after = text.split("\nfairytale:\n")
    named = after.replace('name: ""', "name: openbmb/MiniCPM3-4B", 1)
    Path("params.yaml").write_text(f"{before}\nfairytale:\n{named}", "utf-8")
    run = wenmo("preset", "--pin")
    commit = hub.repositories["openbmb/MiniCPM3-4B"].commit
    assert run.exit_code == 0, run.stderr
    changed = [line for line in run.stdout.splitlines() if line.startswith("+ ")]
    assert changed == [f'+      revision: "{commit}"']
    dataset = params_file.read()["fairytale"]["prepare"]["dataset"]
    assert dataset["revision"] == commit
    assert wenmo("preset", "--pin").stdout.count(commit) == 0


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A stand-in for both hubs, which has a model that no preset pins."""
    with HubServer({"openbmb/MiniCPM3-4B": Repository({"config.json": b"{}"})}) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", server.url)
        yield server


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
@pytest.mark.parametrize("revision", ['""', "main"])
def test_a_commit_of_the_hub_is_entered_and_nothing_else(
    root: Path, hub: HubServer, source: str, revision: str
) -> None:
    text = preset("poetry-minicpm3-4b").replace("source: huggingface", f"source: {source}")
    text = text.replace('revision: ""', f"revision: {revision}", 1)
    Path("params.yaml").write_text(text, encoding="utf-8")
    (commit,) = (each.commit for each in hub.repositories.values())
    run = wenmo("preset", "--pin")
    assert (run.exit_code, run.stderr) == (0, "")
    quote = '"' if revision == '""' else ""
    pinned = f"  revision: {quote}{commit}{quote}"
    assert f"+{pinned}" in run.output.splitlines()
    after = Path("params.yaml").read_text(encoding="utf-8")
    assert after == text.replace(f"  revision: {revision}", pinned, 1)
    assert wenmo("preset", "--pin").output == "every revision is a commit already\n"


def test_a_preset_is_set_and_pinned_at_once(root: Path, hub: HubServer) -> None:
    (commit,) = (each.commit for each in hub.repositories.values())
    assert wenmo("preset", "poetry-minicpm3-4b", "--pin").exit_code == 0
    base = params_file.read()["base_model"]
    assert (base["name"], base["revision"]) == ("openbmb/MiniCPM3-4B", commit)
    assert isinstance(base["revision"], str)


def test_what_looks_like_a_number_is_entered_as_the_commit_that_it_is(
    root: Path, hub: HubServer
) -> None:
    for commit in ("0" * 40, "1" * 40, "1e" + "5" * 38):
        hub.repositories["openbmb/MiniCPM3-4B"].commit = commit
        assert wenmo("preset", "poetry-minicpm3-4b", "--pin").exit_code == 0
        assert params_file.read()["base_model"]["revision"] == commit


@pytest.mark.parametrize("name", ["embedded", "path"])
def test_a_model_from_no_hub_has_no_commit(root: Path, name: str) -> None:
    preset(name)
    run = wenmo("preset", "--pin")
    assert run.exit_code == 2
    assert run.stderr == (
        f"preset: params.yaml: base_model.source: '{name}': only a model from huggingface or"
        " modelscope has a commit to pin\n"
    )


def test_a_hub_that_has_no_such_model_is_told(root: Path, hub: HubServer) -> None:
    hub.repositories.clear()
    run = wenmo("preset", "poetry-minicpm3-4b", "--pin")
    assert run.exit_code == 1
    assert "no repository openbmb/MiniCPM3-4B" in run.stderr and run.stderr.count("\n") == 1
    assert params_file.read()["base_model"]["revision"] == ""


def test_a_preset_reaches_the_stages(root: Path) -> None:
    preset("fairytale-8gb")
    params = TrainParams.load("train", "fairytale")
    assert params.per_device_train_batch_size * params.gradient_accumulation_steps == 16
