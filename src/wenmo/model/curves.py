"""The curves of a training, for `dvc plots` and for pages."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from wenmo.core.records import write_text

CURVES = frozenset({"loss", "eval_loss", "learning_rate", "grad_norm"})


def write_curves(
    history: Sequence[Mapping[str, Any]], folder: Path, names: Collection[str] = CURVES
) -> None:
    """Write a table of (step, value) per named curve, such as loss.tsv and eval/loss.tsv.

    `history` is that of a trainer's state, which a resumed training brings along from its start.
    How fast the run was stands in it as well, and is left out: it differs from run to run. What
    `folder` had before is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name in names:
        points = [(entry["step"], round(entry[name], 6)) for entry in history if name in entry]
        if points:
            path = folder / f"{name.replace('eval_', 'eval/')}.tsv"
            lines = [("step", path.stem), *points]
            write_text(path, "".join(f"{step}\t{value}\n" for step, value in lines))
