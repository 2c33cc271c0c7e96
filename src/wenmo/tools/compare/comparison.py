"""Revisions side by side: parameters that differ, scores with intervals, texts of the same rows.

The first revision is the one that the others are compared to. Differences are paired: those of one
held-out row against itself, as in metrics/<task>.json.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from tqdm import tqdm

from wenmo.config.params_file import TASKS
from wenmo.core.errors import UserError, WrongArgumentsError
from wenmo.core.records import Generation
from wenmo.report.names import SCORE_NAMES, better_direction
from wenmo.scoring.comparison import compare, holm, outcomes
from wenmo.scoring.scorecard import LOWER_IS_BETTER, primary_score
from wenmo.tools.compare.revisions import WORKSPACE, Revision, ScoredRow, differing, flatten

LEAST_SHOWN = 0.0005
"""A difference below this is none in three decimals; the same weights elsewhere lose as much."""

MOST_NAMED = 6
"""Files that are named where many differ."""


@dataclass(frozen=True)
class Improvement:
    """By how much a revision is better than the first on the same rows; positive is better.

    `p` is corrected by Holm's method unless it is the primary score's. `shown` is whether it and
    the interval rule out chance.
    """

    value: float
    low: float
    high: float
    p: float

    @property
    def shown(self) -> bool:
        """Whether chance is ruled out: p below 0.05 and zero outside the interval."""
        return self.p < 0.05 and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class ScoreLine:
    """One score of the tuned models: a value a revision, an improvement each after the first.

    `is_share` is whether every row's value lies between 0 and 1, so that scores can be drawn on
    one axis.
    """

    key: str
    values: list[float | None]
    improvements: list[Improvement | None]
    is_share: bool


@dataclass(frozen=True)
class Pair:
    """A revision against the first: held-out rows of both, and what a reader has to know."""

    name: str
    rows: int
    primary_values: tuple[float, float] | None
    outcomes: dict[str, int]
    notes: list[str]


@dataclass(frozen=True)
class RowTexts:
    """A held-out row of the first revision, and what base and each revision's tuned wrote.

    `prompts`, `tuned` and `primary` have an entry a revision: nothing where it has no such row.
    """

    prompt: str
    reference: str
    base: list[Generation]
    prompts: list[str | None]
    tuned: list[list[Generation]]
    primary: list[float | None]


@dataclass(frozen=True)
class TaskComparison:
    """One task in all revisions."""

    task: str
    scores: list[ScoreLine]
    pairs: list[Pair]
    notes: list[str]
    texts: list[RowTexts]


@dataclass(frozen=True)
class Comparison:
    """What the terminal and the page show; `parameters` are dotted keys and a value a revision.

    `root` is the repository's folder.
    """

    root: Path
    names: list[str]
    commits: list[str]
    parameters: dict[str, list[str | None]]
    tasks: list[TaskComparison]


@dataclass(frozen=True)
class _Built:
    """What one revision has of one task."""

    revision: Revision
    scores: dict[str, float]
    rows: dict[str, ScoredRow]
    texts: dict[str, list[Generation]]


def compare_revisions(names: Sequence[str], tasks: Sequence[str]) -> Comparison:
    """Compare `tasks`, or, if none is named, all that every revision has.

    A single revision is compared to the workspace. Raises WrongArgumentsError for what cannot be
    asked, and UserError, naming revision and file, for what cannot be read.
    """
    named = list(names) if len(names) > 1 else [WORKSPACE, *names]
    for name in named:
        if named.count(name) > 1:
            raise WrongArgumentsError(f"{name} would stand beside itself; name another revision")
    for task in tasks:
        if task not in TASKS:
            raise WrongArgumentsError(f"{task!r} is no task; allowed are {', '.join(TASKS)}")
    revisions = [Revision(name) for name in named]
    for revision in revisions:
        for task in tasks:
            if task not in revision.tasks:
                raise UserError(
                    f"{revision.name}: params.yaml: tasks: {', '.join(revision.tasks)}; no {task}"
                )
    shared = [task for task in revisions[0].tasks if all(task in each.tasks for each in revisions)]
    if not shared:
        of_each = ", ".join(f"{each.name}: {' '.join(each.tasks)}" for each in revisions)
        raise UserError(f"no task is in every revision ({of_each}); compare others")
    # Everything is read before anything is computed, so that a missing file is told at once.
    built = {
        task: [_read(revision, task) for revision in revisions]
        for task in shared
        if task in tasks or not tasks
    }
    return Comparison(
        root=revisions[0].root,
        names=[each.name for each in revisions],
        commits=[each.commit for each in revisions],
        parameters=_parameters(revisions),
        tasks=[_compare_task(task, each) for task, each in built.items()],
    )


def _read(revision: Revision, task: str) -> _Built:
    return _Built(
        revision,
        revision.tuned_scores(task),
        {row.id: row for row in revision.scored_rows(task)},
        revision.generations(task, "tuned"),
    )


def _parameters(revisions: Sequence[Revision]) -> dict[str, list[str | None]]:
    """Those that differ, then the libraries that do, as DVC names what is in another file."""
    flats = [
        flatten(each.params)
        | {f"pyproject.toml:{name}": version for name, version in each.libraries.items()}
        for each in revisions
    ]
    return {key: [flat.get(key) for flat in flats] for key in differing(*flats)}


def _compare_task(task: str, built: Sequence[_Built]) -> TaskComparison:
    first, others = built[0], built[1:]
    pairs, improvements = [], []
    for other in others:
        ids = [row_id for row_id in first.rows if row_id in other.rows]
        before = [first.rows[row_id] for row_id in ids]
        after = [other.rows[row_id] for row_id in ids]
        found, pair = _compare_rows(task, first, other, before, after)
        improvements.append(found)
        pairs.append(pair)
    rows = [row for each in built for row in each.rows.values()]
    scores = [
        ScoreLine(
            key,
            [each.scores.get(key) for each in built],
            [found.get(key) for found in improvements],
            all(0 <= row.tuned.get(key, 0) <= 1 for row in rows),
        )
        for key in _in_order(task, (key for each in built for key in each.scores))
    ]
    return TaskComparison(task, scores, pairs, _not_up_to_date(task, built), _texts(task, built))


def _compare_rows(
    task: str,
    first: _Built,
    other: _Built,
    before: Sequence[ScoredRow],
    after: Sequence[ScoredRow],
) -> tuple[dict[str, Improvement], Pair]:
    """The improvement in each score of the same rows, and what to know about it."""
    key = primary_score(task)
    deltas = _deltas(task, first.revision, before, after)
    corrected = holm({name: each["p_value"] for name, each in deltas.items() if name != key})
    improvements = {
        name: Improvement(
            each["primary"], each["ci_low"], each["ci_high"], corrected.get(name, each["p_value"])
        )
        for name, each in deltas.items()
    }
    ones, twos, _ = _where_both_have(key, "tuned", before, after)
    pair = Pair(
        other.revision.name,
        len(before),
        (fmean(ones), fmean(twos)) if ones else None,
        outcomes(ones, twos, higher_is_better=key not in LOWER_IS_BETTER),
        _notes(task, first, other, before, after),
    )
    return improvements, pair


def _deltas(
    task: str, first: Revision, before: Sequence[ScoredRow], after: Sequence[ScoredRow]
) -> dict[str, dict[str, float]]:
    """What `compare` finds for each score that is better one way and stands in two rows or more."""
    resamples = int(first.evaluate_param(task, "resamples"))
    keys = _in_order(task, (key for row in after for key in row.tuned))
    deltas = {}
    # Seconds for a thousand rows; no bar where nobody watches.
    for key in tqdm(keys, f"intervals of {task}", leave=False, disable=None, delay=1):
        ones, twos, sources = _where_both_have(key, "tuned", before, after)
        if len(ones) > 1 and better_direction(key):
            deltas[key] = compare(
                ones,
                twos,
                higher_is_better=key not in LOWER_IS_BETTER,
                resamples=resamples,
                seed=int(first.params.get("seed", 0)),
                # Passages of one book are alike, as evaluate takes them.
                groups=sources if task == "novel" else None,
            )
    return deltas


def _where_both_have(
    key: str, model: str, before: Sequence[ScoredRow], after: Sequence[ScoredRow]
) -> tuple[list[float], list[float], list[str]]:
    """A score's values in both revisions, and the rows' sources; some rows have no such score."""
    found = [
        (one[key], two[key], row.source)
        for row, one, two in (
            (row, getattr(row, model), getattr(other, model))
            for row, other in zip(before, after, strict=True)
        )
        if key in one and key in two
    ]
    ones, twos, sources = zip(*found, strict=True) if found else ((), (), ())
    return list(ones), list(twos), list(sources)


def _notes(
    task: str,
    first: _Built,
    other: _Built,
    before: Sequence[ScoredRow],
    after: Sequence[ScoredRow],
) -> list[str]:
    """What else differs between two revisions than the parameters."""
    one, two = first.revision.name, other.revision.name
    notes = []
    if first.rows.keys() != other.rows.keys():
        counts = f"{one} has {len(first.rows)} held-out rows and {two} {len(other.rows)}"
        if len(before) > 1:
            notes.append(
                f"{counts}; the {len(before)} of both are compared, while the scores themselves"
                " are of all that each has"
            )
        else:
            having = "with only one in common" if before else "with none in common"
            notes.append(f"{counts}, {having}: an improvement cannot be told from chance")
    other_prompts = sum(x.prompt != y.prompt for x, y in zip(before, after, strict=True))
    if other_prompts:
        notes.append(f"{other_prompts} of these rows were asked for by another prompt in {two}")
    bases = []
    for key in _in_order(task, (key for row in after for key in row.base)):
        ones, twos, _ = _where_both_have(key, "base", before, after)
        if ones and abs(fmean(ones) - fmean(twos)) >= LEAST_SHOWN:
            name = SCORE_NAMES.get(key, key)
            bases.append(f"{name} {fmean(ones):.3f} and {fmean(twos):.3f}")
    if bases:
        notes.append(
            f"base differs too, on the same rows ({', '.join(bases[:MOST_NAMED])}): another base"
            " model, prompt or way to draw, so a difference is not that of training alone"
        )
    inputs = differing(first.revision.inputs(task), other.revision.inputs(task))
    if inputs:
        notes.append(f"{one} and {two} were built from other code or data: {_named(inputs)}")
    return notes


def _not_up_to_date(task: str, built: Sequence[_Built]) -> list[str]:
    """What was not in force when the task was built: parameters of now, and files of stages."""
    notes = [
        f"{each.revision.name}: built before {_named(changed)} changed in params.yaml; only"
        f" `dvc repro evaluate@{task}` would bring that to bear"
        for each in built
        if (changed := each.revision.changed_since_built(task))
    ]
    notes += [
        f"{each.revision.name}: {stage} has not run since {other} did, so it knows another {path};"
        f" `dvc repro {stage}` brings it up to date"
        for each in built
        for stage, other, path in each.revision.made_since_read(task)
    ]
    return notes


def _texts(task: str, built: Sequence[_Built]) -> list[RowTexts]:
    """The first revision's rows that another one has, in the first one's order."""
    first, others = built[0], built[1:]
    base = first.revision.generations(task, "base")
    key = primary_score(task)
    texts = []
    for row_id in first.rows:
        if not any(row_id in each.rows for each in others):
            continue
        rows = [each.rows.get(row_id) for each in built]
        tuned = [each.texts.get(row_id, []) for each in built]
        references = [text.reference for each in (base.get(row_id, []), *tuned) for text in each]
        texts.append(
            RowTexts(
                first.rows[row_id].prompt,
                references[0] if references else "",
                base.get(row_id, []),
                [row.prompt if row else None for row in rows],
                tuned,
                [row.tuned.get(key) if row else None for row in rows],
            )
        )
    return texts


def _in_order(task: str, keys: Iterable[str]) -> list[str]:
    """The primary score, the others as everywhere, and those that have no name yet."""
    found = dict.fromkeys(keys)
    order = dict.fromkeys([primary_score(task), *SCORE_NAMES, *found])
    return [key for key in order if key in found]


def _named(names: Sequence[str]) -> str:
    """A few of them, and how many more there are."""
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
