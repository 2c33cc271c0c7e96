"""A training that is killed, stopped or spread over processes ends as one that was left alone."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from ruamel.yaml import YAML

from tests.conftest import ROOT, digests, make_row
from wenmo.config import params_file
from wenmo.config.train import TrainParams
from wenmo.core.records import write_json, write_records
from wenmo.model.checkpoints import Checkpoints

ROWS = [make_row(n, f"雪落千山静，风来{c}叶轻。") for n, c in enumerate("一二三四五六七八九十")]
KILLS = 10
TRAINED = ("models/adapters/poetry", "plots/train/poetry", "metrics/train")


def training_folder(folder: Path, base: Path, **train: object) -> Path:
    """A folder with all that stages/train.py poetry reads."""
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    # Curve points, measurements and checkpoints fall on different steps.
    content["train"] |= {
        "max_steps": 40,
        "max_length": 128,
        "logging_steps": 3,
        "eval_steps": 7,
        "save_steps": 2,
        **train,
    }
    folder.mkdir()
    yaml.dump(content, folder / "params.yaml")
    shutil.copytree(base, folder / "models/base")
    write_records(folder / "data/merged/poetry/train.jsonl", ROWS[:8])
    write_records(folder / "data/merged/poetry/eval.jsonl", ROWS[8:])
    return folder


def start(folder: Path, *launcher: str) -> subprocess.Popen[str]:
    """The stage's process, without the outputs that DVC would have removed."""
    for output in TRAINED:
        shutil.rmtree(folder / output, ignore_errors=True)
    modules = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [*(launcher or (sys.executable,)), str(ROOT / "stages/train.py"), "poetry"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(modules)},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    errors = process.communicate()[1]
    assert process.returncode == 0, errors[-3000:]


def trained_bytes(folder: Path) -> dict[str, dict[str, str]]:
    return {output: digests(folder / output) for output in TRAINED}


def arguments(folder: Path) -> dict[str, Any]:
    """What the trainer was given in the last run."""
    log = json.loads((folder / "logs/train/poetry.json").read_text())
    return dict(log["arguments"])


def steps_seen(process: subprocess.Popen[str], step: int) -> None:
    """Read the progress bar until the training is past a step."""
    assert process.stderr is not None
    read = ""
    while character := process.stderr.read(1):
        read = (read + character)[-200:]
        found = re.search(r"(\d+)/(?:40|150) \[", read)
        if found and int(found[1]) >= step:
            return


def last_checkpoint(folder: Path) -> int:
    found = folder.glob("checkpoints/poetry/*/checkpoint-*")
    return max((int(path.name.split("-")[1]) for path in found), default=0)


@pytest.fixture(scope="module")
def left_alone(
    small_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    folder = training_folder(tmp_path_factory.mktemp("alone") / "run", small_base)
    finish(start(folder))
    return trained_bytes(folder)


@pytest.mark.full
def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    small_base: Path, tmp_path: Path, left_alone: dict[str, dict[str, str]]
) -> None:
    folder = training_folder(tmp_path / "run", small_base)
    draw = random.Random(5)
    resumed_from = []
    for _ in range(KILLS):
        process = start(folder)
        step = last_checkpoint(folder)
        resumed_from.append(step)
        steps_seen(process, min(39, step + draw.randint(0, 6)))
        process.kill()
        process.communicate()
    assert sorted(resumed_from) == resumed_from
    assert resumed_from[-1] > 0
    finish(start(folder))
    assert trained_bytes(folder) == left_alone


@pytest.mark.full
def test_stopped_by_a_signal_it_saves_says_where_and_goes_on(
    small_base: Path, tmp_path: Path, left_alone: dict[str, dict[str, str]]
) -> None:
    folder = training_folder(tmp_path / "run", small_base, save_steps=200)
    kept = []
    for sent, step in ((signal.SIGTERM, 10), (signal.SIGINT, 20)):
        process = start(folder)
        steps_seen(process, step)
        process.send_signal(sent)
        errors = process.communicate()[1]
        assert process.returncode == 128 + sent
        stopped = re.search(
            r"^train: stopped after step (\d+) of 40; the same command goes on from there$",
            errors.splitlines()[-1],
        )
        assert stopped and int(stopped[1]) >= step
        kept.append(f"checkpoint-{stopped[1]}")
        found = sorted(path.name for path in folder.glob("checkpoints/poetry/*/check*"))
        assert found == kept
    finish(start(folder))
    assert trained_bytes(folder) == left_alone


@pytest.mark.full
def test_a_tracker_shows_the_training_in_logs_and_the_result_is_the_same(
    small_base: Path, tmp_path: Path, left_alone: dict[str, dict[str, str]]
) -> None:
    folder = training_folder(tmp_path / "run", small_base, report_to="tensorboard")
    process = start(folder)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    assert trained_bytes(folder) == left_alone
    assert list((folder / "logs/tensorboard").glob("events.*"))
    log = json.loads((folder / "logs/train/poetry.json").read_text())
    assert 0 < log["data_wait"] < 1
    assert log["device_idle"] is None or 0 <= log["device_idle"] < 1
    assert re.fullmatch(
        r"train: [\d,]+ tokens per second, \d+% of what this device's matrix products reach;"
        r" at most [\d,]+ MiB; \d+\.\d% of the time waiting for rows.*",
        errors.splitlines()[-1],
    )


@pytest.mark.full
@pytest.mark.parametrize("begin", ["pissa", "eva"])
def test_what_a_training_began_with_is_there_again_when_it_goes_on(
    small_base: Path, tmp_path: Path, begin: str
) -> None:
    """PiSSA's base and LoRA+'s rates are in no checkpoint; NEFTune draws noise at each step."""
    lora = params_file.read(ROOT / "params.yaml")["train"]["lora"]
    lora |= {"init_lora_weights": begin, "loraplus_lr_ratio": 4.0}
    settings = {"lora": lora, "neftune_noise_alpha": 5.0, "learning_rate": 1e-3}
    alone = training_folder(tmp_path / "alone", small_base, **settings)
    finish(start(alone))
    stopped = training_folder(tmp_path / "stopped", small_base, **settings)
    process = start(stopped)
    steps_seen(process, 20)
    process.kill()
    process.communicate()
    assert last_checkpoint(stopped) > 0
    finish(start(stopped))
    assert trained_bytes(stopped) == trained_bytes(alone)


# Several processes

TORCHRUN = ("torchrun", "--nproc_per_node=2")
NO_DROPOUT = {
    "lora": params_file.read(ROOT / "params.yaml")["train"]["lora"] | {"lora_dropout": 0.0}
}


def curve(folder: Path) -> list[float]:
    lines = (folder / "plots/train/poetry/loss.tsv").read_text().splitlines()[1:]
    return [float(line.split("\t")[1]) for line in lines]


@pytest.mark.full
def test_two_processes_learn_as_one_does_with_the_same_rows_a_step(
    small_base: Path, tmp_path: Path
) -> None:
    one = training_folder(
        tmp_path / "one", small_base, per_device_train_batch_size=4, logging_steps=1, **NO_DROPOUT
    )
    finish(start(one))
    two = training_folder(
        tmp_path / "two", small_base, per_device_train_batch_size=2, logging_steps=1, **NO_DROPOUT
    )
    finish(start(two, *TORCHRUN))
    assert len(curve(one)) == 40
    assert curve(two) == pytest.approx(curve(one), rel=1e-4)
    log = json.loads((two / "logs/train/poetry.json").read_text())
    assert log["devices"] == 2
    assert sorted(digests(two / "models/adapters/poetry")) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


@pytest.mark.full
def test_several_processes_stop_together_and_go_on(small_base: Path, tmp_path: Path) -> None:
    alone = training_folder(tmp_path / "alone", small_base, max_steps=150, save_steps=200)
    finish(start(alone, *TORCHRUN))
    folder = training_folder(tmp_path / "stopped", small_base, max_steps=150, save_steps=200)
    process = start(folder, *TORCHRUN)
    steps_seen(process, 10)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode != 0
    assert 10 <= last_checkpoint(folder) < 150
    finish(start(folder, *TORCHRUN))
    assert trained_bytes(folder) == trained_bytes(alone)


@pytest.mark.full
@pytest.mark.parametrize("launcher", [(), TORCHRUN], ids=["one process", "two processes"])
def test_a_checkpoint_removed_in_part_is_passed_over_for_an_older_one(
    small_base: Path, tmp_path: Path, launcher: tuple[str, ...]
) -> None:
    folder = training_folder(tmp_path / "run", small_base, max_steps=8, save_total_limit=3)
    finish(start(folder, *launcher))
    alone = trained_bytes(folder)
    checkpoints = folder / arguments(folder)["output_dir"]
    checkpoints.with_name("finished").rename(checkpoints)
    shutil.rmtree(checkpoints / "checkpoint-8")
    (checkpoints / "checkpoint-6/adapter_model.safetensors").unlink()
    finish(start(folder, *launcher))
    # Only what starts afresh measures the start.
    assert arguments(folder)["eval_on_start"] is False
    assert trained_bytes(folder) == alone


def test_looking_for_checkpoints_removes_none_that_another_process_may_be_reading(
    tmp_path: Path,
) -> None:
    broken = tmp_path / "training/checkpoint-2"
    broken.mkdir(parents=True)
    assert Checkpoints(tmp_path, "training").latest is None
    assert broken.is_dir()


def test_a_checkpoint_is_complete_without_the_temporary_files_of_other_processes(
    tmp_path: Path,
) -> None:
    written = tmp_path / "training/checkpoint-2"
    temporary = written / ".running_loss_1.json.4260"
    write_json(written / "trainer_state.json", {"global_step": 2, "max_steps": 4})
    write_json(temporary, {})
    trainer = SimpleNamespace(
        _tr_loss=torch.tensor(1.5), _globalstep_last_logged=1, _metrics={"train": {}}
    )
    callback = Checkpoints(tmp_path, "training").callback(trainer)
    callback.on_save(None, SimpleNamespace(global_step=2), None)
    temporary.unlink()
    assert Checkpoints(tmp_path, "training").latest == written


@pytest.mark.full
def test_another_number_of_processes_starts_afresh(small_base: Path, tmp_path: Path) -> None:
    folder = training_folder(tmp_path / "run", small_base, save_steps=200)
    process = start(folder)
    steps_seen(process, 10)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    finish(start(folder, *TORCHRUN))
    assert len(list((folder / "checkpoints/poetry").iterdir())) == 2


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_accelerate_takes_the_configurations_and_each_names_its_launcher(path: Path) -> None:
    config = load_config_from_file(str(path))
    assert config.num_processes == 8 * config.num_machines
    assert (config.fsdp_config or config.deepspeed_config) != {}
    launcher = f"accelerate launch --config_file configs/{path.name}"
    assert f"#   train.launcher: {launcher}" in path.read_text(encoding="utf-8")
    assert re.match(TrainParams.model_fields["launcher"].metadata[0].pattern, launcher)
