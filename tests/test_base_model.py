"""Where the base model comes from: what a user sees of hubs, folders and their failures.

The stage script runs as DVC starts it, with the real clients, against a hub on loopback.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors.numpy import save

from tests.conftest import ROOT, only_line, run_python
from tests.hub_server import HubServer, Repository
from tests.server_process import free_port
from wenmo.config.base_model import BaseModelParams, TinyParams
from wenmo.core.errors import UserError
from wenmo.model.base import provide
from wenmo.model.chat import CHATML_TEMPLATE
from wenmo.model.loading import load_model, load_tokenizer
from wenmo.model.provenance import read_record

NAME = "wen/small"
BOTH_HUBS = ("huggingface", "modelscope")
HUBS = ("huggingface", pytest.param("modelscope", marks=pytest.mark.full))
WEIGHTS = save({"a": np.zeros((50, 40), np.float32), "b": np.ones(48, np.float32)})
PARAMETERS = 50 * 40 + 48
TOKENS = {"[UNK]": 0, "<|im_start|>": 1, "<|im_end|>": 2}
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [
        {"id": at, "content": token, "special": True, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for token, at in TOKENS.items()
    ],
    "model": {"type": "WordLevel", "vocab": TOKENS, "unk_token": "[UNK]"},
}  # fmt: skip
MODEL = {
    "config.json": b'{"model_type": "qwen2", "eos_token_id": 2}',
    "generation_config.json": b'{"eos_token_id": 2}',
    "model.safetensors": WEIGHTS,
    "tokenizer.json": json.dumps(TOKENIZER).encode(),
    "tokenizer_config.json": b'{"tokenizer_class": "PreTrainedTokenizerFast"}',
    "chat_template.jinja": CHATML_TEMPLATE.encode(),
}
NOT_NEEDED = {
    "pytorch_model.bin": b"pickle",
    "training_args.bin": b"pickle",
    "modeling_small.py": b"import os",
    "consolidated.safetensors": WEIGHTS,
    "README.md": b"# small",
}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer({NAME: Repository(MODEL | NOT_NEEDED)}) as server:
        yield server


@dataclass
class Workplace:
    """A folder with a params.yaml in which the stage runs, and caches of its own."""

    folder: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> Path:
        return self.folder / "models/base"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def provide(self, **base_model: str) -> subprocess.CompletedProcess[str]:
        """Run the stage base_model with these parameters."""
        content = YAML(typ="safe").load(ROOT / "params.yaml")
        content["base_model"] |= base_model
        YAML().dump(content, self.folder / "params.yaml")
        environment = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(self.cache),
            # The hub on loopback has no Xet storage.
            "HF_HUB_DISABLE_XET": "1",
            "MODELSCOPE_ENDPOINT": self.url,
            "MODELSCOPE_CACHE": str(self.cache),
            "MODELSCOPE_HOME": str(self.cache),
            # It tries again at once or not at all.
            "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "1",
            "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "1",
        }
        return run_python(
            ROOT / "stages/base_model.py",
            cwd=self.folder,
            environment=environment | self.environment,
        )


@pytest.fixture
def workplace(tmp_path: Path, hub: HubServer) -> Workplace:
    return Workplace(tmp_path, hub.url)


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("source", BOTH_HUBS)
def test_a_hub_gives_what_a_model_needs_and_no_pickle(
    workplace: Workplace, hub: HubServer, source: str
) -> None:
    commit = hub.repositories[NAME].commit
    run = workplace.provide(source=source, name=NAME, revision=commit)
    assert run.returncode == 0, run.stderr
    record = json.loads((workplace.base / "wenmo.json").read_text())
    assert list(record) == ["source", "name", "revision", "files", "chat", "shapes"]
    assert {name: record[name] for name in list(record)[:4]} == {
        "source": source,
        "name": NAME,
        "revision": commit,
        "files": digests(MODEL),
    }
    assert {path.name: path.read_bytes() for path in workplace.base.iterdir()} == MODEL | {
        "wenmo.json": (workplace.base / "wenmo.json").read_bytes()
    }
    assert not any(path.is_symlink() for path in workplace.base.iterdir())
    metrics = json.loads((workplace.folder / "metrics/base_model.json").read_text())
    assert metrics == {"parameters": PARAMETERS}
    # Nothing that is left out was fetched.
    assert {sent.file for sent in hub.sent} == set(MODEL)


@pytest.mark.parametrize("source", HUBS)
def test_the_same_commit_gives_the_same_bytes_and_is_fetched_once(
    workplace: Workplace, hub: HubServer, source: str
) -> None:
    commit = hub.repositories[NAME].commit
    assert workplace.provide(source=source, name=NAME, revision=commit).returncode == 0
    first = {path.name: path.read_bytes() for path in workplace.base.iterdir()}
    sent = len(hub.sent)
    if source == "huggingface":
        # ModelScope's client asks which files there are, even if it has them all.
        workplace.url = f"http://127.0.0.1:{free_port()}"
    run = workplace.provide(source=source, name=NAME, revision=commit)
    assert run.returncode == 0, run.stderr
    assert {path.name: path.read_bytes() for path in workplace.base.iterdir()} == first
    assert len(hub.sent) == sent


def test_a_model_from_a_hub_can_be_opened(
    workplace: Workplace, hub: HubServer, tiny_model: Path
) -> None:
    hub.repositories[NAME] = Repository({p.name: p.read_bytes() for p in tiny_model.iterdir()})
    run = workplace.provide(source="huggingface", name=NAME, revision=hub.repositories[NAME].commit)
    assert run.returncode == 0, run.stderr
    metrics = json.loads((workplace.folder / "metrics/base_model.json").read_text())
    assert load_model(workplace.base, "fp32").num_parameters() == metrics["parameters"]
    assert load_tokenizer(workplace.base)("雪")["input_ids"]


MEBIBYTE = 2**20
LARGE_MODEL = MODEL | {
    "model.safetensors": save({"a": np.arange(3 * MEBIBYTE, dtype=np.float32)}),
}
"""12 MiB of weights: Hugging Face's client hands on what arrives in pieces of 10 MiB."""


@pytest.mark.parametrize("source", HUBS)
def test_a_broken_download_goes_on_where_it_stopped(
    workplace: Workplace, hub: HubServer, source: str
) -> None:
    hub.repositories[NAME] = Repository(LARGE_MODEL)
    commit = hub.repositories[NAME].commit
    hub.breaks["model.safetensors"] = 11 * MEBIBYTE
    assert hub.url in only_line(workplace.provide(source=source, name=NAME, revision=commit))
    assert not workplace.base.exists()
    hub.sent.clear()
    hub.breaks.clear()
    run = workplace.provide(source=source, name=NAME, revision=commit)
    assert run.returncode == 0, run.stderr
    assert read_record(workplace.base).files == digests(LARGE_MODEL)
    (rest,) = (sent for sent in hub.sent if sent.file == "model.safetensors")
    assert rest.start >= 10 * MEBIBYTE
    assert rest.start + rest.size == len(LARGE_MODEL["model.safetensors"])


@pytest.mark.full
@pytest.mark.parametrize("source", HUBS)
def test_a_hiccup_of_the_line_is_not_noticed(
    workplace: Workplace, hub: HubServer, source: str
) -> None:
    hub.repositories[NAME] = Repository(LARGE_MODEL)
    hub.hiccups["model.safetensors"] = 11 * MEBIBYTE
    commit = hub.repositories[NAME].commit
    run = workplace.provide(source=source, name=NAME, revision=commit)
    assert run.returncode == 0, run.stderr
    assert read_record(workplace.base).files == digests(LARGE_MODEL)
    first, rest = (sent for sent in hub.sent if sent.file == "model.safetensors")
    assert (first.start, rest.start >= 10 * MEBIBYTE) == (0, True)


@pytest.mark.full
def test_bytes_damaged_on_their_way_are_fetched_anew(workplace: Workplace, hub: HubServer) -> None:
    commit = hub.repositories[NAME].commit
    digest = digests(MODEL)["model.safetensors"]
    blobs = workplace.cache / "hub/models--wen--small/blobs"
    write(blobs, {f"{digest}.part": b"?" * 3000})
    said = only_line(workplace.provide(source="huggingface", name=NAME, revision=commit))
    assert "model.safetensors of wen/small was damaged on its way" in said
    assert workplace.provide(source="huggingface", name=NAME, revision=commit).returncode == 0
    assert (workplace.base / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("source", "revision"),
    [("huggingface", "main"), ("huggingface", ""), ("modelscope", "master"), ("modelscope", "")],
)
def test_what_is_no_commit_is_refused_with_the_commit_and_the_command_that_pins_it(
    workplace: Workplace, hub: HubServer, source: str, revision: str
) -> None:
    commit = hub.repositories[NAME].commit
    run = workplace.provide(source=source, name=NAME, revision=revision)
    assert run.returncode == 2
    said = only_line(run)
    assert f"params.yaml: base_model.revision: '{revision}': expected a commit" in said
    assert said.endswith(f"`wenmo preset --pin` enters today's, {commit}")
    assert not hub.sent


@pytest.mark.parametrize("source", HUBS)
def test_a_missing_repository_is_named(workplace: Workplace, hub: HubServer, source: str) -> None:
    run = workplace.provide(source=source, name="wen/nothing", revision="0" * 40)
    assert "no repository wen/nothing" in only_line(run)
    assert hub.url in only_line(run)


@pytest.mark.parametrize("source", HUBS)
def test_a_missing_revision_is_named(workplace: Workplace, hub: HubServer, source: str) -> None:
    run = workplace.provide(source=source, name=NAME, revision="0" * 40)
    assert NAME in only_line(run)
    assert f"revision {'0' * 40}" in only_line(run)


@pytest.mark.parametrize(
    ("source", "page", "variable"),
    [("huggingface", NAME, "HF_TOKEN"), ("modelscope", f"models/{NAME}", "MODELSCOPE_API_TOKEN")],
)
def test_a_gated_model_says_where_its_licence_is_accepted(
    workplace: Workplace, hub: HubServer, source: str, page: str, variable: str
) -> None:
    repository = hub.repositories[NAME]
    repository.gated = True
    (workplace.folder / ".env").write_text(f"{variable}=from-dot-env\n")
    run = workplace.provide(source=source, name=NAME, revision=repository.commit)
    said = only_line(run)
    assert f"{NAME} is gated" in said
    assert f"{hub.url}/{page}" in said
    assert variable in said
    assert "from-dot-env" in hub.tokens_seen
    assert "from-dot-env" not in run.stdout + run.stderr


def test_no_saved_login_is_used(workplace: Workplace, hub: HubServer) -> None:
    workplace.cache.mkdir()
    (workplace.cache / "token").write_text("hf_saved_login")
    commit = hub.repositories[NAME].commit
    assert workplace.provide(source="huggingface", name=NAME, revision=commit).returncode == 0
    assert hub.tokens_seen == {""}


@pytest.mark.parametrize("source", HUBS)
@pytest.mark.parametrize("revision", ["0" * 40, "main"])
def test_a_hub_that_is_not_to_be_reached_is_named(
    workplace: Workplace, source: str, revision: str
) -> None:
    workplace.url = f"http://127.0.0.1:{free_port()}"
    run = workplace.provide(source=source, name=NAME, revision=revision)
    assert f"{workplace.url} cannot be reached" in only_line(run)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("source", HUBS)
def test_a_full_disk_is_told(workplace: Workplace, hub: HubServer, source: str) -> None:
    """The kernel itself refuses the bytes: what the client would write to lies on /dev/full."""
    commit = hub.repositories[NAME].commit
    partial = {
        "huggingface": f"hub/models--wen--small/blobs/{hashlib.sha256(WEIGHTS).hexdigest()}.part",
        "modelscope": f"models/wen--small/snapshots/{commit}/model.safetensors.incomplete",
    }
    path = workplace.cache / partial[source]
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")
    said = only_line(workplace.provide(source=source, name=NAME, revision=commit))
    assert "no space left on its disk" in said
    assert str(workplace.cache) in said
    assert not workplace.base.exists()


@pytest.mark.parametrize("source", HUBS)
def test_a_cache_that_cannot_be_written_is_named(
    workplace: Workplace, hub: HubServer, source: str
) -> None:
    workplace.cache.write_text("a file where the cache's folder should be")
    commit = hub.repositories[NAME].commit
    said = only_line(workplace.provide(source=source, name=NAME, revision=commit))
    assert str(workplace.cache) in said
    assert not workplace.base.exists()


def test_offline_mode_is_told(workplace: Workplace, hub: HubServer) -> None:
    workplace.environment["HF_HUB_OFFLINE"] = "1"
    commit = hub.repositories[NAME].commit
    said = only_line(workplace.provide(source="huggingface", name=NAME, revision=commit))
    assert "OfflineModeIsEnabled" in said
    assert not hub.requests


@pytest.mark.parametrize("source", HUBS)
def test_a_repository_of_pickles_is_refused(
    workplace: Workplace, hub: HubServer, source: str
) -> None:
    files = {name: MODEL[name] for name in ("config.json", "tokenizer.json")}
    hub.repositories[NAME] = Repository(files | {"pytorch_model.bin": b"pickle"})
    run = workplace.provide(source=source, name=NAME, revision=hub.repositories[NAME].commit)
    assert "no weights as safetensors; pytorch_model.bin is a pickle" in only_line(run)
    assert not hub.sent


def test_modelscope_without_its_client_says_what_to_install(workplace: Workplace) -> None:
    """A folder in front of the path hides the client as if it were not installed."""
    hidden = write(
        workplace.folder / "hidden/modelscope_hub", {"__init__.py": b"raise ImportError"}
    )
    workplace.environment["PYTHONPATH"] = f"{hidden.parent}{os.pathsep}{ROOT / 'src'}"
    run = workplace.provide(source="modelscope", name=NAME, revision="0" * 40)
    assert "pip install -e '.[hub]'" in only_line(run)


def base_model(**changes: Any) -> BaseModelParams:
    content = YAML(typ="safe").load(ROOT / "params.yaml")["base_model"]
    return BaseModelParams.model_validate(content | changes)


def test_a_folder_of_ones_own_is_copied(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", MODEL | NOT_NEEDED)
    ledger = provide(tmp_path / "base", base_model(source="path", path=str(folder)), seed=1)
    assert ledger == {"parameters": PARAMETERS}
    record = read_record(tmp_path / "base")
    assert (record.source, record.name, record.revision) == ("path", "mine", "")
    assert record.files == digests(MODEL)
    # A later change to one's own file must not reach DVC's copy.
    (folder / "model.safetensors").write_bytes(b"changed in place")
    assert (tmp_path / "base/model.safetensors").read_bytes() == WEIGHTS


def test_no_path_of_this_machine_is_recorded(tmp_path: Path) -> None:
    for place in ("here", "there"):
        folder = write(tmp_path / place / "mine", MODEL)
        provide(tmp_path / place / "base", base_model(source="path", path=str(folder)), seed=1)
    here, there = (tmp_path / place / "base/wenmo.json" for place in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()


SHARD = "model-00001-of-00002.safetensors"
NO_MODEL = {
    "no weights": (MODEL.keys() - {"model.safetensors"}, {}, "no weights as safetensors"),
    "pickles alone": (
        MODEL.keys() - {"model.safetensors"},
        {"pytorch_model.bin": b"pickle"},
        "no weights as safetensors; pytorch_model.bin is a pickle",
    ),
    "no configuration": (MODEL.keys() - {"config.json"}, {}, "no config.json"),
    "no tokenizer": (MODEL.keys() - {"tokenizer.json"}, {}, "no tokenizer"),
    "an architecture of its own code": (
        MODEL.keys() - {"config.json"},
        {
            "config.json": json.dumps(
                {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
            ).encode(),
            "own.py": b"raise SystemExit('run')",
        },
        "it cannot be opened: ",
    ),
    "an architecture for other things": (
        MODEL.keys() - {"config.json"},
        {"config.json": b'{"model_type": "t5"}'},
        "'t5' is no causal language model of transformers",
    ),
    "a git-lfs pointer": (
        MODEL.keys(),
        {"model.safetensors": b"version https://git-lfs.github.com/spec/v1"},
        "git-lfs pointer",
    ),
    "a shard too few": (
        MODEL.keys() - {"model.safetensors"},
        {
            SHARD: WEIGHTS,
            "model.safetensors.index.json": json.dumps(
                {"weight_map": {"a": SHARD, "b": SHARD.replace("1-", "2-")}}
            ).encode(),
        },
        "model-00002-of-00002.safetensors is missing",
    ),
}


@pytest.mark.parametrize("case", NO_MODEL)
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, case: str) -> None:
    kept, added, complaint = NO_MODEL[case]
    folder = write(tmp_path / "mine", {name: MODEL[name] for name in kept} | added)
    with pytest.raises(UserError) as refusal:
        provide(tmp_path / "base", base_model(source="path", path=str(folder)), seed=1)
    assert str(refusal.value).startswith(f"base_model.path: {folder}: ")
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "dvc checkout" not in str(refusal.value)
    assert not (tmp_path / "base").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: no such folder"):
        provide(tmp_path / "base", base_model(source="path", path="nowhere"), seed=1)


def test_sharded_weights_are_counted_as_one_model(tmp_path: Path) -> None:
    shards = {
        SHARD: save({"a": np.zeros((50, 40), np.float32)}),
        SHARD.replace("1-", "2-"): save({"b": np.ones(48, np.float32)}),
    }
    index = {"weight_map": {"a": SHARD, "b": SHARD.replace("1-", "2-")}}
    files = {name: MODEL[name] for name in MODEL if name != "model.safetensors"} | shards
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    folder = write(tmp_path / "mine", files)
    ledger = provide(tmp_path / "base", base_model(source="path", path=str(folder)), seed=1)
    assert ledger == {"parameters": PARAMETERS}


def test_the_tiny_model_has_a_record_too(tmp_path: Path, tiny_params: TinyParams) -> None:
    text = shutil.copytree(ROOT / "data/sample/general", tmp_path / "text")
    params = base_model(source="tiny", path=str(text)).model_copy(update={"tiny": tiny_params})
    ledger = provide(tmp_path / "base", params, seed=1)
    assert set(ledger) == {"parameters", "loss"}
    record = read_record(tmp_path / "base")
    assert (record.source, record.name, record.revision) == ("tiny", "", "")
    contents = {
        path.name: path.read_bytes()
        for path in (tmp_path / "base").iterdir()
        if path.name != "wenmo.json"
    }
    assert record.files == digests(contents)


def test_a_base_without_a_record_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"wenmo\.json: no such file; run `dvc repro base_model`"):
        read_record(tmp_path)
