"""A model small enough for any test, and a repository like a newcomer's clone."""

import subprocess
import sys
from pathlib import Path

import pytest

import wenmo.stage  # noqa: F401  (pins the code path before torch is imported)
from wenmo.model.tiny import TinyParams, build
from wenmo.records import Row, row_id
from wenmo.text.quality import QualityParams

ROOT = Path(__file__).parents[1]

PREPARE = {
    "processes": 1,
    "skip_malformed": False,
    "keep_rejects": False,
    "to_simplified": False,
    "quality": QualityParams(
        min_han_share=0.0, max_gap_share=1.0, max_repetition=1.0, min_vernacular_share=0.0
    ),
}
"""Section `prepare` for tests of one thing at a time: no text is too bad."""


@pytest.fixture(scope="session")
def tiny_params() -> TinyParams:
    return TinyParams(
        hidden_size=32,
        intermediate_size=64,
        layers=2,
        heads=2,
        max_position_embeddings=512,
        vocabulary=4000,
        verse_poems=50,
        chat_share=0.3,
        steps=3,
        batch_size=4,
        block_length=64,
        learning_rate=1e-3,
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_params: TinyParams) -> Path:
    """A folder with a base model that has hardly learnt anything."""
    folder = tmp_path_factory.mktemp("base")
    build(ROOT / "data/sample/general", folder, tiny_params, seed=1)
    return folder


def make_row(position: int = 0, output: str = "雪落了。", instruction: str = "") -> Row:
    """A row with sensible fields."""
    identity = row_id("source", f"{position}{output}")
    return Row(identity, "source", position, instruction, "写雪。", output)


def run_python(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, as DVC starts a stage."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
