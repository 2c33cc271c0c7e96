"""The live alarm of training by rewards: it stops before the rewards are all that a text is.

Rewards are raised most easily by texts that are none: of repeated characters, or unlike any text
that people wrote. The first is seen in each batch of texts, the second in the held-out loss.
"""

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wenmo.core.language import gettext
from wenmo.core.processes import IS_MAIN_PROCESS

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

PASSED = "passed"


class Passed:
    """The adapters, in `folder`, of those steps after which the held-out loss was within bounds.

    Step 0 is `start`, the adapter that the training began with.
    """

    def __init__(self, folder: Path, start: Path) -> None:
        self.folder, self.start = folder, start

    def keep(self, trainer: "Trainer", step: int) -> None:
        """Keep the adapter as it is after a step, and of those before it the last one."""
        trainer.save_model(str(self._of(step)))
        if IS_MAIN_PROCESS:
            before = [kept for kept in self._steps() if kept < step]
            # Later ones are of a training that was killed, and will come again.
            later = [kept for kept in self._steps() if kept > step]
            for other in before[:-1] + later:
                shutil.rmtree(self._of(other))

    def last_before(self, step: int) -> tuple[int, Path]:
        """The last of the steps below `step`, and its adapter."""
        before = [kept for kept in self._steps() if kept < step]
        return (before[-1], self._of(before[-1])) if before else (0, self.start)

    def _steps(self) -> list[int]:
        found = self.folder.glob(f"{PASSED}-*")
        return sorted(int(path.name.removeprefix(f"{PASSED}-")) for path in found)

    def _of(self, step: int) -> Path:
        return self.folder / f"{PASSED}-{step}"


def alarm_callback(
    trainer: "Trainer",
    held_out_loss: Callable[[], float],
    passed: Passed,
    floors: Mapping[str, float],
    eval_steps: int,
    max_loss_rise: float,
) -> "TrainerCallback":
    """What measures `held_out_loss` every `eval_steps` and ends a training that goes astray.

    `held_out_loss` is that of the trainer's model as it is, in nats per character.

    The training ends early if the held-out loss is above that of the start by more than
    `max_loss_rise` (share of it), or if the mean of a reward of `floors` in a batch of texts falls
    below its floor. An adapter that begins below a floor is not held to it. `kept` then has the
    step to go back to, and its adapter; it is None of a training that came to its end.
    """
    from transformers import TrainerCallback

    class Alarm(TrainerCallback):  # type: ignore[misc]
        reason = ""
        kept: tuple[int, Path] | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not state.global_step:
                self._measure()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            step = state.global_step
            for name, floor in floors.items():
                found = trainer._metrics["train"][reward_curve(name)][-1]
                if self._began_above(name, floor, state) and found < floor:
                    # The step before wrote these texts, and so the adapter after it fails as well.
                    self._stop(control, passed.last_before(step - 1))
                    self.reason = gettext(
                        "{reward} of the texts fell to {found:.2f}, below {floor:g}",
                        reward=name,
                        found=found,
                        floor=floor,
                    )
                    return
            if step % eval_steps and step < state.max_steps:
                return
            loss, limit = self._measure(), self._losses()[0] * (1 + max_loss_rise)
            if loss <= limit:
                passed.keep(trainer, step)
            else:
                self._stop(control, passed.last_before(step))
                self.reason = gettext(
                    "the held-out loss rose to {loss:.4f} nats per character, above {limit:.4f}",
                    loss=loss,
                    limit=limit,
                )

        def _stop(self, control: Any, kept: tuple[int, Path]) -> None:
            self.kept = kept
            control.should_training_stop, control.should_save = True, False

        def _measure(self) -> float:
            # TRL then keeps the figures of the texts for their own next point of the curve.
            trainer.model.eval()
            loss = held_out_loss()
            trainer.log({"eval_loss": loss})
            trainer.model.train()
            return loss

        def _losses(self) -> list[float]:
            return [each["eval_loss"] for each in trainer.state.log_history if "eval_loss" in each]

        def _began_above(self, name: str, floor: float, state: Any) -> bool:
            key = reward_curve(name)
            return next((e[key] >= floor for e in state.log_history if key in e), False)

        def tell(self) -> None:
            """Tell on stderr that the training was ended, and which adapter is kept."""
            if self.kept is not None and IS_MAIN_PROCESS:
                told = gettext(
                    "warning: stopped after step {step} of training by rewards: {reason}; the"
                    " adapter after step {kept} is kept",
                    step=trainer.state.global_step,
                    reason=self.reason,
                    kept=self.kept[0],
                )
                print(told, file=sys.stderr)

    return Alarm()


def reward_curve(name: str) -> str:
    """The name of a reward's curve."""
    return f"rewards/{name}"
