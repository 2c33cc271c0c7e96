"""What became of all rows in the split: for the terminal, and for metrics/merge/<task>.json."""

from typing import Any

from wenmo.config.merge import MergeParams
from wenmo.text.groups import Unit
from wenmo.text.held_out_groups import asked
from wenmo.text.split import Split

REPETITIONS = {
    "duplicate": "repeat the text of an earlier row",
    "near_duplicate": "are near-duplicates of an earlier row",
}
PARTS = {
    "train": "are learnt from",
    "eval": "are held out",
    "gap": "are left out beside held-out ones",
    "over_max_train_rows": "are left out beyond merge.max_train_rows",
    "over_max_eval_rows": "are left out beyond merge.max_eval_rows",
}


def summary(split: Split, params: MergeParams) -> str:
    """The unit that was held out, with the reason if it was chosen, and a line per fate."""
    lines = [f"{split.groups:,} groups ({in_words(split.unit)})"]
    if chosen_block_rows(split, params):
        by = in_words(asked(params))
        lines[0] = (
            f"{split.groups:,} groups: {in_words(split.unit)}, chosen since the texts have too few"
            f" groups by {by} to hold out {params.eval_fraction:g} of them"
        )
    for name, meaning in REPETITIONS.items():
        lines.append(f"{split.repetitions[name]:>10,} rows {meaning}")
    for name, meaning in PARTS.items():
        part = split.parts[name]
        lines.append(f"{part.rows:>10,} rows of {part.groups:,} groups {meaning}")
    return "\n".join(lines)


def metrics(split: Split, params: MergeParams) -> dict[str, Any]:
    """Rows by what became of them, and groups; `block_rows` is 0 unless blocks were chosen."""
    left_out = {name: part for name, part in split.parts.items() if name not in ("train", "eval")}
    return {
        "train": split.parts["train"].rows,
        "eval": split.parts["eval"].rows,
        "groups": split.groups,
        "train_groups": split.parts["train"].groups,
        "eval_groups": split.parts["eval"].groups,
        "chosen_block_rows": chosen_block_rows(split, params),
        "dropped": split.repetitions | {name: part.rows for name, part in left_out.items()},
        "dropped_groups": {name: part.groups for name, part in left_out.items()},
    }


def chosen_block_rows(split: Split, params: MergeParams) -> int:
    """The size of the blocks that were held out in place of what the parameters name, or 0."""
    return 0 if split.unit == asked(params) else split.unit.block_rows


def in_words(unit: Unit) -> str:
    """The unit as params.yaml names it, with the size of a block."""
    if unit.group_by != "block":
        return unit.group_by
    return "block of 1 row" if unit.block_rows == 1 else f"block of {unit.block_rows} rows"
