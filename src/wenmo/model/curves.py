"""Loss curves for `dvc plots`: DVCLive's files without what differs from run to run."""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers.integrations import DVCLiveCallback

CURVES = frozenset({"loss", "eval_loss", "learning_rate", "grad_norm"})


def curves_callback(folder: Path, names: Collection[str] = CURVES) -> "DVCLiveCallback":
    """A callback for transformers' Trainer that writes one file of (step, value) per named curve.

    DVCLive's own callback also writes the whole configuration and how fast the run was, which
    would give the DVC output another hash each time, and counts log events instead of steps.
    """
    from dvclive import Live
    from transformers.integrations import DVCLiveCallback

    class Curves(DVCLiveCallback):  # type: ignore[misc]
        def setup(self, args: Any, state: Any, model: Any) -> None:
            self._initialized = True

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            super().on_train_begin(args, state, control, **kwargs)
            # A resumed training brings the points along that it has already made.
            for entry in state.log_history:
                self._draw(entry["step"], args, state, control, entry, **kwargs)

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
        ) -> None:
            self._draw(state.global_step, args, state, control, logs, **kwargs)

        def _draw(
            self, step: int, args: Any, state: Any, control: Any, logs: Any, **kwargs: Any
        ) -> None:
            curves = {key: round(value, 6) for key, value in logs.items() if key in names}
            if curves:
                self.live.step = step
                super().on_log(args, state, control, logs=curves, **kwargs)

    live = Live(dir=str(folder), dvcyaml=None, save_dvc_exp=False, monitor_system=False)
    return Curves(live=live)


def keep_curves(written: Path, folder: Path) -> None:
    """Keep the curves that DVCLive wrote (loss.tsv, eval/loss.tsv, …) and nothing else of it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(written / "plots/metrics", folder)
