"""A model small enough for any test, and a repository like a newcomer's clone."""

import gc
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import wenmo.core.stage  # noqa: F401  (pins the code path before torch is imported)
from wenmo.config.base_model import TinyParams
from wenmo.config.params_file import TASKS
from wenmo.config.prepare import QualityParams
from wenmo.core.records import Row, row_id
from wenmo.model.tiny import build

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]

# Tests read English, whatever the developer's locale is.
os.environ["WENMO_LANG"] = "en"

# A busy machine is no fault of what is tested.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# A shell ignores Ctrl-C in what it starts in the background, and so would every command of a test.
signal.signal(signal.SIGINT, signal.default_int_handler)

TASK_STAGES = (
    "prepare",
    "summarize",
    "merge",
    "train",
    "merge_weights",
    "baseline",
    "generate",
    "evaluate",
    "report",
)

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


SHARE_THE_BUILT_CLONE = {
    "test_experiments",
    "test_faults",
    "test_pipeline",
    "test_sharing",
    "test_summarize",
    "test_trace",
}
"""Files that one process has to run, or else the clone is built once more."""
FIRST = (
    "built",
    "test_killed",
    "test_first_hour",
    "test_isolated_stages",
    "test_serving",
    "test_web",
    "test_training",
    "test_chat_contract",
    "test_vllm_engine",
    "test_interruption",
)
"""What takes the longest, so that it is begun first and short files end the run."""


def group(nodeid: str) -> str:
    """What one process has to run: a file, or those that share the built clone."""
    file = Path(nodeid.partition("::")[0]).stem
    return "built" if file in SHARE_THE_BUILT_CLONE else file


class ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByGroup:
    """https://pytest-xdist.readthedocs.io/en/stable/distribution.html"""
    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    groups = {item: group(item.nodeid) for item in items}
    items.sort(key=lambda item: FIRST.index(groups[item]) if groups[item] in FIRST else len(FIRST))


def pytest_collection_finish() -> None:
    """Leave out of every later collection of garbage what the imports have made.

    The engines and the trainers collect often, which takes 0.4 seconds with all libraries imported.
    """
    gc.freeze()


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


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory, tiny_params: TinyParams) -> Path:
    """Wide enough for bitsandbytes, which quantises 64 weights at a time, and able to learn."""
    folder = tmp_path_factory.mktemp("base")
    wide = {"hidden_size": 64, "intermediate_size": 128, "steps": 40, "learning_rate": 3e-3}
    build(ROOT / "data/sample/general", folder, tiny_params.model_copy(update=wide), seed=1)
    return folder


def make_row(position: int = 0, output: str = "雪落了。", instruction: str = "") -> Row:
    """A row with sensible fields."""
    identity = row_id("source", f"{position}{output}")
    return Row(identity, "source", position, instruction, "写雪。", output)


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder, by its path in there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def run_python(
    *arguments: str | Path, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, as DVC starts a stage."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT / "src")} | (environment or {}),
        capture_output=True,
        text=True,
    )


def only_line(run: subprocess.CompletedProcess[str]) -> str:
    """What a failed stage that `run_python` ran says, which is one line and no trace."""
    stage = Path(run.args[1]).stem
    assert run.returncode in (1, 2), run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    lines = [line for line in run.stderr.splitlines() if line.startswith(f"{stage}: ")]
    assert len(lines) == 1, run.stderr
    return lines[0]


ONE_AFTER_THE_OTHER = """
import runpy, sys
for sys.argv in [line.split() for line in sys.argv[1:]]:
    runpy.run_path(f"stages/{sys.argv[0]}", run_name="__main__")
"""


def run_stages(folder: Path, *lines: str) -> str:
    """Run stage scripts, each with its arguments, and return what they said on stderr.

    They share a process, since most of the time goes into importing torch.
    """
    done = run_python("-c", ONE_AFTER_THE_OTHER, *lines, cwd=folder)
    assert done.returncode == 0, f"{lines}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stderr


STAGE_RUN = re.compile(r"Running stage '(.+)'")
"""What DVC says as it starts a stage."""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    run = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return run.stdout


def dvc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """DVC, without its questions about usage."""
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    return subprocess.run(
        ["dvc", *arguments], cwd=folder, capture_output=True, text=True, env=environment
    )


def start_dvc(folder: Path, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
    """DVC in a session of its own, not waited for; what it says goes where `streams` tell."""
    return subprocess.Popen(
        ["dvc", *arguments],
        cwd=folder,
        env=os.environ | {"DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1"},
        text=True,
        start_new_session=True,
        **streams,
    )


def edit_a_poem(folder: Path) -> None:
    """Turn a line of a raw poem round."""
    poems = folder / "data/sample/poetry/poems.csv"
    text = poems.read_text("utf-8")
    line = re.search(r'"(.{5})，', text)
    assert line
    poems.write_text(text.replace(line[1], line[1][::-1], 1), "utf-8")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium; without it the test is skipped, unless it is required."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if not chromium and not os.environ.get("WENMO_REQUIRE_CHROMIUM"):
        pytest.skip("Chromium is not installed: `apt-get install chromium`")
    with sync_playwright() as playwright:
        # Chromium's sandbox refuses to run as root, as tests in a container do.
        browser = playwright.chromium.launch(
            executable_path=chromium or "chromium", args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the working tree, so that its tests fail before a commit and not after."""
    folder = tmp_path_factory.mktemp("clone") / "wenmo"
    files = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it is")
    return folder


def kill_in_training(folder: Path, task: str) -> set[str]:
    """Kill `dvc repro` and its stage past the training's first checkpoint. Returns what it ran."""
    with (
        (folder.parent / "run").open("w+") as ran,
        start_dvc(folder, "repro", f"train@{task}", stdout=ran, stderr=subprocess.PIPE) as process,
    ):
        assert process.stderr is not None
        read = ""
        while not re.search(r"\b(?:5[5-9]|[6-9]\d)/100 \[", read):
            character = process.stderr.read(1)
            assert character, f"ended before it was killed: {read}"
            read = (read + character)[-3000:]
        os.killpg(process.pid, signal.SIGKILL)
        ran.seek(0)
        stages = set(STAGE_RUN.findall(ran.read()))
    assert not (folder / f"models/adapters/{task}/adapter_model.safetensors").exists()
    assert list((folder / f"checkpoints/{task}").glob("*/checkpoint-50"))
    return stages


@pytest.fixture(scope="session")
def built(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A newcomer's clone of that, in which `dvc repro` built everything.

    It was killed in the training of poetry, and the same command went on from there.
    """
    folder = tmp_path_factory.mktemp("built") / "wenmo"
    git(clone, "clone", "--quiet", str(clone), str(folder))
    killed = kill_in_training(folder, "poetry")
    run = dvc(folder, "repro")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    ran = STAGE_RUN.findall(run.stdout)
    stages = {f"{stage}@{task}" for stage in TASK_STAGES for task in TASKS}
    assert killed | set(ran) == {"check", "base_model", "overview"} | stages
    assert killed & set(ran) == {"train@poetry"}
    return folder


@pytest.fixture
def restored(built: Path) -> Iterator[Path]:
    """The built clone, brought back to its commit afterwards."""
    yield built
    git(built, "checkout", "--quiet", ".")
    assert dvc(built, "checkout").returncode == 0
