"""Git's merge driver for dvc.lock: a stage's entry is taken whole from the side that changed it.

Git alone merges lines: it sees a conflict where both sides add a stage, and none where they change
different lines of one stage, out of which it makes the record of a run that never was. Entries
taken whole are records of runs; where one does not fit what else was merged, DVC runs its stage
again.

https://git-scm.com/docs/gitattributes#_defining_a_custom_merge_driver
"""

from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import dumps_yaml
from dvc.utils.strictyaml import load

from wenmo.core.errors import UserError
from wenmo.core.records import write_text

Entry = dict[str, Any]
"""What dvc.lock holds of one stage: its command, and the hashes and parameters of its last run."""

_STAGES = "stages"
_WAY_OUT = "take one by `git checkout --ours dvc.lock` (or --theirs), then run `dvc repro`"


def merge_lock(base: Path, ours: Path, theirs: Path) -> None:
    """Merge three versions of dvc.lock into the file `ours`, as DVC itself would write it.

    Stages keep our order; what they alone have follows. An empty base is none, as where both sides
    began a dvc.lock. Raises UserError if a stage's results differ on both sides, once the file has
    git's conflict markers around its two entries; or if a version was not written by DVC or differs
    in more than its stages, and the file is then as it was.
    """
    before = _read(base, "the common ancestor's") if base.stat().st_size else {_STAGES: {}}
    our, their = _read(ours, "our"), _read(theirs, "their")
    if not _same(our | {_STAGES: {}}, their | {_STAGES: {}}):
        raise UserError(f"dvc.lock: the two sides differ in more than stages; {_WAY_OUT}")
    stages, conflicts = _merge_stages(before[_STAGES], our[_STAGES], their[_STAGES])
    parts = (
        stages if key == _STAGES and stages else dumps_yaml({key: value})
        for key, value in (our | {_STAGES: {}}).items()
    )
    write_text(ours, "".join(parts))
    if conflicts:
        raise UserError(
            f"dvc.lock: changed on both sides: {', '.join(conflicts)}; keep one side between each"
            f" pair of markers, or {_WAY_OUT}"
        )


def _read(path: Path, whose: str) -> dict[str, Any]:
    try:
        lock: dict[str, Any] = load(str(path), COMPILED_LOCKFILE_SCHEMA)[0]
    # The second where YAML takes a word for a date that there is not.
    except (DvcException, ValueError):
        raise UserError(f"dvc.lock: {whose} version was not written by DVC; {_WAY_OUT}") from None
    return lock | {_STAGES: lock.get(_STAGES, {})}


def _merge_stages(
    base: dict[str, Entry], ours: dict[str, Entry], theirs: dict[str, Entry]
) -> tuple[str, list[str]]:
    """The lines from `stages:` on, empty where no stage is left, and the stages in conflict."""
    blocks, conflicts = [], []
    for name in dict.fromkeys([*ours, *theirs]):
        before, our, their = base.get(name), ours.get(name), theirs.get(name)
        if _same(our, before):
            blocks.append(_block(name, their))
        elif _same(their, before) or _same_results(our, their):
            blocks.append(_block(name, our))
        else:
            conflicts.append(name)
            blocks += ["<<<<<<< ours\n", _block(name, our)]
            blocks += ["=======\n", _block(name, their), ">>>>>>> theirs\n"]
    lines = "".join(blocks)
    return f"{_STAGES}:\n{lines}" if lines else "", conflicts


def _same(one: object, other: object) -> bool:
    # To Python 1, 1.0 and true are equal; as parameters they are not.
    return repr(one) == repr(other)


def _same_results(our: Entry | None, their: Entry | None) -> bool:
    """Whether there is nothing to choose: both ran, from different inputs, and wrote the same.

    So it is with check_params, which reads every task's parameters and writes what never changes.
    """
    return our is not None and their is not None and _same(our.get("outs"), their.get("outs"))


def _block(name: str, entry: Entry | None) -> str:
    """A stage's lines as they stand in dvc.lock; none where the stage was removed."""
    return dumps_yaml({_STAGES: {name: entry}}).removeprefix(f"{_STAGES}:\n") if entry else ""
