"""`wenmo push` against a hub on loopback, through the real client."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import save

from tests.conftest import run_python
from tests.hub_server import HubServer, Repository
from tests.test_card import SCORES, card
from wenmo.core.errors import UserError
from wenmo.tools.push import published_files

WEIGHTS = save({"a": np.arange(1000, dtype=np.float32)})
MERGED = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
    "README.md": card().encode(),
}
ADAPTER = {
    "adapter_config.json": b'{"base_model_name_or_path": "models/base", "r": 16}',
    "adapter_model.safetensors": WEIGHTS[:-4] + b"\0\0\0\0",
}
PRIVATE = {"wenmo.json": b"{}", "training_args.bin": b"pickle", "optimizer.pt": b"pickle"}


@dataclass
class Workplace:
    """A repository with a model of poetry, and the command in it."""

    folder: Path
    url: str
    environment: dict[str, str] = field(default_factory=lambda: {"HF_TOKEN": "hf_writer"})

    def push(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(self.folder / "cache"),
            # The hub on loopback has no Xet storage.
            "HF_HUB_DISABLE_XET": "1",
        }
        return run_python(
            "-c",
            "from wenmo.tools.cli import app; app()",
            "push",
            *arguments,
            cwd=self.folder,
            environment=environment | self.environment,
        )

    def state(self) -> dict[str, str]:
        """The digests of all files below models/."""
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.folder / "models").rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def workplace(tmp_path: Path, hub: HubServer) -> Workplace:
    for folder, files in (
        ("models/merged/poetry", MERGED | PRIVATE),
        ("models/adapters/poetry", ADAPTER | PRIVATE),
        ("metrics", {"poetry.json": json.dumps(SCORES).encode()}),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for name, content in files.items():
            (tmp_path / folder / name).write_bytes(content)
    return Workplace(tmp_path, hub.url)


def only_line(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.count("\n") == 1, run.stderr
    assert run.stderr.startswith("push: ")
    return run.stderr


def test_a_merged_model_arrives_with_its_card_and_scores(
    workplace: Workplace, hub: HubServer
) -> None:
    before = workplace.state()
    run = workplace.push("poetry", "--to", "someone/poems")
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{hub.url}/someone/poems\n"
    published = hub.repositories["someone/poems"]
    assert set(published.files) == set(MERGED)
    assert published.files["model.safetensors"] == WEIGHTS
    assert not published.private
    parsed = ModelCard(published.files["README.md"].decode())
    assert parsed.data.library_name == "transformers"
    assert {r.metric_type: r.metric_value for r in parsed.data.eval_results} == SCORES["tuned"]
    # DVC tracks the folders, so that their files must not change.
    assert workplace.state() == before


def test_an_adapter_names_the_base_model_on_the_hub(workplace: Workplace, hub: HubServer) -> None:
    before = workplace.state()
    run = workplace.push("poetry", "--to", "someone/adapter", "--adapter", "--private")
    assert run.returncode == 0, run.stderr
    published = hub.repositories["someone/adapter"]
    assert set(published.files) == {*ADAPTER, "README.md"}
    assert published.files["adapter_model.safetensors"] == ADAPTER["adapter_model.safetensors"]
    config = json.loads(published.files["adapter_config.json"])
    assert config == {"base_model_name_or_path": "Qwen/Qwen2-1.5B-Instruct", "r": 16}
    assert ModelCard(published.files["README.md"].decode()).data.library_name == "peft"
    assert published.private
    assert workplace.state() == before


def test_a_second_push_replaces_the_weights_of_the_first(
    workplace: Workplace, hub: HubServer
) -> None:
    old = {"model-00001-of-00002.safetensors": b"old", "model.safetensors.index.json": b"{}"}
    hub.repositories["someone/poems"] = Repository(old | {"notes.md": b"mine"})
    run = workplace.push("poetry", "--to", "someone/poems")
    assert run.returncode == 0, run.stderr
    assert set(hub.repositories["someone/poems"].files) == {*MERGED, "notes.md"}


def test_the_token_may_be_in_dot_env(workplace: Workplace, hub: HubServer) -> None:
    workplace.environment = {}
    (workplace.folder / ".env").write_text("HF_TOKEN=hf_writer\n")
    assert workplace.push("poetry", "--to", "someone/poems").returncode == 0
    assert "someone/poems" in hub.repositories


def test_without_a_token_no_request_is_sent(workplace: Workplace, hub: HubServer) -> None:
    # huggingface_hub itself would use the token of an earlier login.
    workplace.environment = {}
    (workplace.folder / "cache").mkdir()
    (workplace.folder / "cache/token").write_text("hf_writer")
    assert "HF_TOKEN is not set" in only_line(workplace.push("poetry", "--to", "someone/poems"))
    assert not hub.requests


def test_a_refused_token_is_one_line_without_the_token(
    workplace: Workplace, hub: HubServer
) -> None:
    workplace.environment["HF_TOKEN"] = "hf_reader_secret"
    run = workplace.push("poetry", "--to", "someone/poems")
    assert f"{hub.url} refuses this with the token that is set" in only_line(run)
    assert "hf_reader_secret" in hub.tokens_seen
    assert "hf_reader_secret" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("missing", "adapter", "stage"),
    [
        ("models/merged/poetry/README.md", False, "merge_weights@poetry"),
        ("models/merged/poetry/model.safetensors", False, "merge_weights@poetry"),
        ("models/adapters/poetry/adapter_model.safetensors", True, "train@poetry"),
        ("models/adapters/poetry/adapter_config.json", True, "train@poetry"),
        ("metrics/poetry.json", False, "evaluate@poetry"),
    ],
)
def test_a_missing_file_names_the_stage_to_run(
    workplace: Workplace,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    adapter: bool,
    stage: str,
) -> None:
    monkeypatch.chdir(workplace.folder)
    Path(missing).unlink()
    with pytest.raises(UserError, match=rf"^{Path(missing).parent}.*run `dvc repro {stage}`"):
        published_files("poetry", adapter)


def test_a_name_that_the_hub_cannot_have_is_one_line(workplace: Workplace, hub: HubServer) -> None:
    said = only_line(workplace.push("poetry", "--to", "someone/poems here"))
    assert "expected owner/name" in said
    assert not hub.repositories


def test_a_broken_upload_leaves_no_half_model(workplace: Workplace, hub: HubServer) -> None:
    hub.refuse_large_files = True
    run = workplace.push("poetry", "--to", "someone/poems")
    assert f"{hub.url} answered 507" in run.stderr
    assert run.returncode == 1
    assert not hub.repositories["someone/poems"].files
    assert "Traceback" not in run.stderr


def test_a_card_that_the_hub_refuses_stops_the_upload(workplace: Workplace, hub: HubServer) -> None:
    hub.refused_card = "license: unknown licence hf_writer"
    said = only_line(workplace.push("poetry", "--to", "someone/poems"))
    assert "someone/poems was not uploaded: Invalid metadata in README.md" in said
    assert "hf_writer" not in said
    assert not hub.large_files
