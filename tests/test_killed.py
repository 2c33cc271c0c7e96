"""`dvc repro` over the whole pipeline, killed again and again, ends with the committed bytes."""

import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import dvc, git, start_dvc
from wenmo.tools.dvc_lock import md5, read_lock

pytestmark = pytest.mark.full

KILLS = 20
STAGES_A_RUN = (1, 2, 2)
"""In which stage of a run it is killed: the first begins where the last run was killed."""
SECONDS = 6
"""Within a stage; the next stage may have begun by then, or DVC be storing what was made."""


def start(folder: Path) -> subprocess.Popen[str]:
    with errors(folder).open("w") as told:
        return start_dvc(folder, "repro", stdout=subprocess.PIPE, stderr=told)


def errors(folder: Path) -> Path:
    """Where a run's complaints are kept, beside the clone."""
    return folder.with_suffix(".log")


def begun(process: subprocess.Popen[str], stages: int) -> str | None:
    """The name of the stage, when so many have begun; None if the run ends before."""
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"Running stage '(.+)'", line)
        stages -= bool(found)
        if found and stages == 0:
            return found[1]
    return None


def cure(folder: Path) -> None:
    """Do what docs/reproducibility.md says where a kill has cut a record that DVC was writing."""
    said = errors(folder).read_text()
    if "dvc.lock" in said:
        git(folder, "checkout", "--quiet", "dvc.lock")
    else:
        assert "Unable to read RWLock-file" in said, said[-3000:]
        (folder / ".dvc/tmp/rwlock").unlink()


def kill_within(process: subprocess.Popen[str], seconds: float) -> None:
    """Kill DVC and the stages that it has started, like a machine that is turned off."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "ended before it was killed"


def test_killed_at_random_moments_it_ends_with_the_committed_bytes(
    clone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "wenmo"
    git(tmp_path, "clone", "--quiet", str(clone), str(folder))
    draw = random.Random(8)
    killed = []
    while len(killed) < KILLS:
        process = start(folder)
        stage = begun(process, draw.choice(STAGES_A_RUN))
        if stage is None:
            cure(folder)
            continue
        killed.append(stage)
        kill_within(process, draw.uniform(0, SECONDS))
    print("killed in or soon after", *killed, file=sys.stderr)
    assert len({name.partition("@")[0] for name in killed}) >= 6

    process = start(folder)
    process.communicate()
    if process.returncode:
        cure(folder)
    run = dvc(folder, "repro")
    assert run.returncode == 0, run.stderr[-3000:]
    assert git(folder, "status", "--porcelain") == ""
    outputs = {
        path: digest
        for stage in read_lock(folder / "dvc.lock").values()
        for path, digest in stage.outputs.items()
    }
    assert {path: md5(folder / path) for path in outputs} == outputs
    assert dvc(folder, "repro").stdout.count("Running stage") == 0
