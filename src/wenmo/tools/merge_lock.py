"""Git's merge driver for dvc.lock: a stage's entry is taken whole from the side that changed it.

Git alone merges lines. Two branches always conflict in the entry of `check`, which reads all of
params.yaml. And if they change different lines of one stage's entry, git makes the record of a run
that never was, which DVC would take for up to date. Entries taken whole are records of runs. If one
does not fit the rest of the merge, DVC runs its stage again.

https://git-scm.com/docs/gitattributes#_defining_a_custom_merge_driver
"""

from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import dumps_yaml
from dvc.utils.strictyaml import load

from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext
from wenmo.core.records import write_text

Entry = dict[str, Any]
"""One stage in dvc.lock: its command, and the hashes and parameters of its last run."""

ALWAYS_ANEW = ("check", "overview")
"""Of all code and parameters, and of all scores: these run again after a merge, for a second."""

_STAGES = "stages"
_WAY_OUT = N_("take one by `git checkout --ours dvc.lock` (or --theirs), then run `dvc repro`")
_OURS = N_("dvc.lock: our version was not written by DVC; {way_out}")
_THEIRS = N_("dvc.lock: their version was not written by DVC; {way_out}")
_ANCESTORS = N_("dvc.lock: the common ancestor's version was not written by DVC; {way_out}")


def merge_lock(base: Path, ours: Path, theirs: Path) -> None:
    """Merge three versions of dvc.lock into the file `ours`, as DVC itself would write it.

    Stages keep our order, and stages that they alone have follow. The base is empty if both sides
    began a dvc.lock. Raises UserError if a stage's results differ on both sides, after writing
    git's conflict markers around its two entries. Raises it as well, and leaves the file as it was,
    if a version was not written by DVC or differs in more than its stages.
    """
    before = _read(base, _ANCESTORS) if base.stat().st_size else {_STAGES: {}}
    our, their = _read(ours, _OURS), _read(theirs, _THEIRS)
    if not _same(our | {_STAGES: {}}, their | {_STAGES: {}}):
        raise UserError(
            "dvc.lock: the two sides differ in more than stages; {way_out}",
            way_out=gettext(_WAY_OUT),
        )
    stages, conflicts = _merge_stages(before[_STAGES], our[_STAGES], their[_STAGES])
    parts = (
        stages if key == _STAGES and stages else dumps_yaml({key: value})
        for key, value in (our | {_STAGES: {}}).items()
    )
    write_text(ours, "".join(parts))
    if conflicts:
        raise UserError(
            "dvc.lock: changed on both sides: {conflicts}; keep one side between each pair of"
            " markers, or {way_out}",
            conflicts=", ".join(conflicts),
            way_out=gettext(_WAY_OUT),
        )


def _read(path: Path, complaint: str) -> dict[str, Any]:
    try:
        lock: dict[str, Any] = load(str(path), COMPILED_LOCKFILE_SCHEMA)[0]
    # YAML raises ValueError for a word that looks like a date and is none.
    except (DvcException, ValueError):
        raise UserError(complaint, way_out=gettext(_WAY_OUT)) from None
    return lock | {_STAGES: lock.get(_STAGES, {})}


def _merge_stages(
    base: dict[str, Entry], ours: dict[str, Entry], theirs: dict[str, Entry]
) -> tuple[str, list[str]]:
    """The lines from `stages:` on, empty if no stage is left, and the stages in conflict."""
    blocks, conflicts = [], []
    for name in dict.fromkeys([*ours, *theirs]):
        before, our, their = base.get(name), ours.get(name), theirs.get(name)
        if _same(our, before):
            blocks.append(_block(name, their))
        elif _same(their, before) or _same_results(our, their) or name in ALWAYS_ANEW:
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
    """Whether both ran, from different inputs, and wrote the same, so that there is no choice."""
    return our is not None and their is not None and _same(our.get("outs"), their.get("outs"))


def _block(name: str, entry: Entry | None) -> str:
    """A stage's lines as they stand in dvc.lock; none if the stage was removed."""
    return dumps_yaml({_STAGES: {name: entry}}).removeprefix(f"{_STAGES}:\n") if entry else ""
