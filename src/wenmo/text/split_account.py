"""What became of all rows in the split: for the terminal, and for metrics/merge/<task>.json."""

from typing import Any

from wenmo.config.merge import MergeParams
from wenmo.core.language import N_, gettext, ngettext
from wenmo.text.groups import Unit
from wenmo.text.held_out_groups import asked
from wenmo.text.split import Split

REPETITIONS = {
    "duplicate": N_("{rows:>10,} rows repeat the text of an earlier row"),
    "near_duplicate": N_("{rows:>10,} rows are near-duplicates of an earlier row"),
}
PARTS = {
    "train": N_("{rows:>10,} rows of {groups:,} groups are learnt from"),
    "eval": N_("{rows:>10,} rows of {groups:,} groups are held out"),
    "gap": N_("{rows:>10,} rows of {groups:,} groups are left out beside held-out ones"),
    "over_max_train_rows": N_(
        "{rows:>10,} rows of {groups:,} groups are left out beyond merge.max_train_rows"
    ),
    "over_max_eval_rows": N_(
        "{rows:>10,} rows of {groups:,} groups are left out beyond merge.max_eval_rows"
    ),
}


def summary(split: Split, params: MergeParams) -> str:
    """The unit that was held out, with the reason if it was chosen, and a line per fate."""
    unit = in_words(split.unit)
    lines = [gettext("{count:,} groups ({unit})", count=split.groups, unit=unit)]
    if chosen_block_rows(split, params):
        lines[0] = gettext(
            "{count:,} groups: {unit}, chosen since the texts have too few groups by {asked} to"
            " hold out {fraction:g} of them",
            count=split.groups,
            unit=unit,
            asked=in_words(asked(params)),
            fraction=params.eval_fraction,
        )
    for name, message in REPETITIONS.items():
        lines.append(gettext(message, rows=split.repetitions[name]))
    for name, message in PARTS.items():
        part = split.parts[name]
        lines.append(gettext(message, rows=part.rows, groups=part.groups))
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
    return ngettext("block of {count} row", "block of {count} rows", unit.block_rows)
