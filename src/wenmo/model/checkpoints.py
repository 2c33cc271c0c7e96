"""Interrupted training goes on as if it had not been interrupted: same bytes, same curves.

Checkpoints lie outside the pipeline's outputs, in a folder named by a digest of all that the result
depends on. Training goes on only from a checkpoint of the same digest that was written to its end.
transformers restores weights, optimizer, schedule, random state and the place in the data. It
forgets the loss since the last point of the curve, and TRL its other figures; both are kept here.
"""

import hashlib
import json
import shutil
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wenmo.core.errors import StoppedError
from wenmo.core.fingerprints import module_fingerprint
from wenmo.core.processes import IS_MAIN_PROCESS, PROCESSES, RANK
from wenmo.core.records import Row, json_line, record_content, write_json
from wenmo.model.provenance import digests, settings_digest

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

LIBRARIES = ("accelerate", "peft", "torch", "transformers", "trl")
FINISHED = "finished"


def training_digest(
    parameters: Mapping[str, Any],
    rows: Iterable[Row],
    eval_rows: Iterable[Row],
    base: Path,
    code: str,
) -> str:
    """sha256 of parameters, rows, base model, code, libraries and number of processes.

    `code` is the module that trains, by its dotted name.
    """
    settings = {
        "parameters": parameters,
        "rows": [_digest(each) for each in (rows, eval_rows)],
        "base": digests(base),
        "code": module_fingerprint(code),
        "libraries": {name: version(name) for name in LIBRARIES},
        "processes": PROCESSES,
    }
    return settings_digest(settings)


def _digest(rows: Iterable[Row]) -> str:
    found = hashlib.sha256()
    for row in rows:
        found.update(json_line(record_content(row)).encode())
    return found.hexdigest()


class Checkpoints:
    """The checkpoints of one training, in `folder`/<digest>.

    `latest` is the newest that was written to its end and from which steps remain, if there is one;
    `broken` are those that were not written to their end, or were removed in part.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder = folder / digest
        kept = {path: _is_complete(path) for path in self.folder.glob("checkpoint-*")}
        complete = [path for path, is_complete in kept.items() if is_complete]
        self.latest = max(filter(_steps_remain, complete), key=_step, default=None)
        self.broken = kept.keys() - complete

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for as long as this process trains, beside the checkpoints.

        Where temporary files belong is memory on some machines. What a killed process leaves there
        goes with the checkpoints.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder) as folder:
            yield Path(folder)

    def remove_broken(self, trainer: "Trainer") -> None:
        """Remove checkpoints that are not complete, once every process has looked at them.

        No other process writes a checkpoint meanwhile: it needs the main process for a step.
        """
        trainer.accelerator.wait_for_everyone()
        if IS_MAIN_PROCESS:
            # Their time of change would make the trainer keep them instead of whole ones.
            for path in self.broken:
                shutil.rmtree(path)

    def finish(self) -> None:
        """Lay the checkpoints aside as `folder`/finished: the next training starts afresh."""
        if IS_MAIN_PROCESS:
            finished = self.folder.with_name(FINISHED)
            shutil.rmtree(finished, ignore_errors=True)
            self.folder.rename(finished)

    def callback(self, trainer: "Trainer") -> "TrainerCallback":
        """What marks checkpoints as complete, restores the running loss and heeds signals."""
        import torch
        from transformers import TrainerCallback

        checkpoints = self

        class Interruptible(TrainerCallback):  # type: ignore[misc]
            received = 0
            stop_signal = 0

            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step:
                    found = checkpoints.folder / f"checkpoint-{state.global_step}"
                    running = json.loads(running_loss(found, RANK).read_text(encoding="utf-8"))
                    trainer._tr_loss += running["loss_since_logged"]
                    trainer._globalstep_last_logged = running["last_logged_step"]
                    trainer._metrics["train"].update(running["figures_since_logged"])

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                # A signal may come at any moment of this: only its handler sets `received`.
                self.stop_signal = self.received
                if PROCESSES > 1:
                    # All processes stop after the same step, else one would wait for ever.
                    agreed = torch.tensor(self.stop_signal, device=args.device)
                    torch.distributed.all_reduce(agreed, torch.distributed.ReduceOp.MAX)
                    self.stop_signal = int(agreed.item())
                is_last = control.should_training_stop or state.global_step >= state.max_steps
                if self.stop_signal and not is_last:
                    control.should_save = control.should_training_stop = True

            def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                written = checkpoints.folder / f"checkpoint-{state.global_step}"
                running = {
                    "loss_since_logged": trainer._tr_loss.item(),
                    "last_logged_step": trainer._globalstep_last_logged,
                    "figures_since_logged": trainer._metrics["train"],
                    # Not the temporary files from which other processes rename theirs.
                    "files": sorted(path.name for path in written.glob("[!.]*")),
                }
                write_json(running_loss(written, RANK), running)

        return Interruptible()


def running_loss(checkpoint: Path, rank: int) -> Path:
    """The file that a process writes last: with one of each, a checkpoint is complete."""
    return checkpoint / f"running_loss_{rank}.json"


@contextmanager
def stopped_by_signals(callback: Any) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the training after the step under way, with a checkpoint."""

    def ask(number: int, _: object) -> None:
        callback.received = number

    before = {each: signal.signal(each, ask) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def refuse_if_stopped(trainer: "Trainer", callback: Any) -> None:
    """Raise StoppedError if a signal ended training before its last step."""
    state = trainer.state
    if callback.stop_signal and state.global_step < state.max_steps:
        raise StoppedError(
            "stopped after step {global_step} of {max_steps}; the same command goes on from there",
            callback.stop_signal,
            global_step=state.global_step,
            max_steps=state.max_steps,
        )


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _is_complete(checkpoint: Path) -> bool:
    """Whether it was written to its end and not, since then, removed in part."""
    markers = [running_loss(checkpoint, rank) for rank in range(PROCESSES)]
    return all(
        marker.is_file()
        and all((checkpoint / name).exists() for name in json.loads(marker.read_text())["files"])
        for marker in markers
    )


def _steps_remain(checkpoint: Path) -> bool:
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return bool(state["global_step"] < state["max_steps"])
