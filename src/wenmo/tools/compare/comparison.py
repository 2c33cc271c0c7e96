"""Revisions side by side: parameters that differ, scores with intervals, texts of the same rows.

The others are compared to the first revision. Differences are paired: each held-out row is compared
to itself, as in metrics/<task>.json.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from tqdm import tqdm

from wenmo.core.errors import UserError, WrongArgumentsError
from wenmo.core.records import Generation
from wenmo.report.names import SCORE_NAMES, better_direction
from wenmo.scoring.catalogue import LOWER_IS_BETTER, forced_scores, primary_score
from wenmo.scoring.comparison import compare, holm, outcomes
from wenmo.tools.compare.revisions import WORKSPACE, Revision, ScoredRow, differing, flatten
from wenmo.tools.task_names import refuse_unknown

LEAST_SHOWN = 0.0005
"""A smaller difference is none in three decimals; the same weights elsewhere differ as much."""


@dataclass(frozen=True)
class Improvement:
    """By how much a revision is better than the first on the same rows; positive is better.

    `low` and `high` bound the 95% interval. `p` is corrected by Holm's method unless it is the
    primary score's.
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
    """One score of the tuned models: values per revision, improvements of all but the first.

    `is_share` is whether every row's value lies between 0 and 1, so that scores can be drawn on
    one axis.
    """

    key: str
    values: list[float | None]
    improvements: list[Improvement | None]
    is_share: bool


@dataclass(frozen=True)
class Pair:
    """A revision against the first: the number of rows of both, and what else differs.

    `primary_values` are the means of the primary score in the first and in this revision, and
    `held_out` their numbers of held-out rows, if they are not of the same rows. `other_prompts`
    counts rows with another prompt. `other_bases` are the means of base by score, where they
    differ on the same rows. `other_inputs` are files of code and data. `decoding` are each one's
    rules, unless poems were decoded freely in both.
    """

    name: str
    rows: int
    primary_values: tuple[float, float] | None
    outcomes: dict[str, int]
    held_out: tuple[int, int] | None
    other_prompts: int
    other_bases: dict[str, tuple[float, float]]
    other_inputs: list[str]
    decoding: dict[str, list[str]]


@dataclass(frozen=True)
class RowTexts:
    """A held-out row of the first revision, and what base and each revision's tuned wrote.

    `prompts`, `tuned` and `primary` have an entry per revision, empty where it lacks the row.
    """

    prompt: str
    reference: str
    base: list[Generation]
    prompts: list[str | None]
    tuned: list[list[Generation]]
    primary: list[float | None]


@dataclass(frozen=True)
class TaskComparison:
    """One task in all revisions.

    By revision, `changed` are parameters that have changed since it was built, and `made_since`
    stages with a file that another stage has written since they read it (see `Revision`).
    """

    task: str
    scores: list[ScoreLine]
    pairs: list[Pair]
    changed: dict[str, list[str]]
    made_since: dict[str, list[tuple[str, str, str]]]
    texts: list[RowTexts]

    @property
    def is_same(self) -> bool:
        """Whether all revisions have the same rows, scores and texts of tuned."""
        return (
            not any(pair.held_out or pair.other_prompts for pair in self.pairs)
            and all(len({*line.values}) == 1 for line in self.scores)
            and all(found == row.tuned[0] for row in self.texts for found in row.tuned)
        )


@dataclass(frozen=True)
class Comparison:
    """What the terminal and the page show; `parameters` has a value per revision by dotted key.

    `root` is the repository's folder.
    """

    root: Path
    names: list[str]
    commits: list[str]
    parameters: dict[str, list[str | None]]
    tasks: list[TaskComparison]


@dataclass(frozen=True)
class _Built:
    """What one revision has of one task: scores over all rows, and rows and texts by row id."""

    revision: Revision
    scores: dict[str, float]
    rows: dict[str, ScoredRow]
    texts: dict[str, list[Generation]]

    @property
    def name(self) -> str:
        return self.revision.name


Rows = Sequence[tuple[ScoredRow, ScoredRow]]
"""The rows that two revisions share, each as it is in the first and in the other."""


def compare_revisions(names: Sequence[str], tasks: Sequence[str]) -> Comparison:
    """Compare `tasks`, or, if none is named, all tasks that every revision has.

    A single revision is compared to the workspace. Raises WrongArgumentsError for an unknown task
    or a revision that is named twice, and UserError, naming revision and file, for what cannot be
    read.
    """
    named = list(names) if len(names) > 1 else [WORKSPACE, *names]
    for name in named:
        if named.count(name) > 1:
            raise WrongArgumentsError(
                "{name} would stand beside itself; name another revision", name=name
            )
    refuse_unknown(tasks)
    revisions = [Revision(name) for name in named]
    for revision in revisions:
        for task in tasks:
            if task not in revision.tasks:
                raise UserError(
                    "{revision}: params.yaml: tasks: {tasks}; no {task}",
                    revision=revision.name,
                    tasks=", ".join(revision.tasks),
                    task=task,
                )
    shared = [task for task in revisions[0].tasks if all(task in each.tasks for each in revisions)]
    if not shared:
        of_each = ", ".join(f"{each.name}: {' '.join(each.tasks)}" for each in revisions)
        raise UserError("no task is in every revision ({tasks}); compare others", tasks=of_each)
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
    """The parameters that differ, then the libraries, named as DVC names keys of other files."""
    flats = [
        flatten(each.params)
        | {f"pyproject.toml:{name}": version for name, version in each.libraries.items()}
        for each in revisions
    ]
    return {key: [flat.get(key) for flat in flats] for key in differing(*flats)}


def _compare_task(task: str, built: Sequence[_Built]) -> TaskComparison:
    first, *others = built
    pairs, improvements = [], []
    for other in others:
        rows = [(row, other.rows[key]) for key, row in first.rows.items() if key in other.rows]
        improvements.append(_improvements(task, first.revision, rows))
        pairs.append(_pair(task, first, other, rows))
    all_rows = [row for each in built for row in each.rows.values()]
    scores = [
        ScoreLine(
            key,
            [each.scores.get(key) for each in built],
            [found.get(key) for found in improvements],
            all(0 <= row.tuned.get(key, 0) <= 1 for row in all_rows),
        )
        for key in _in_order(task, (key for each in built for key in each.scores))
    ]
    return TaskComparison(
        task,
        scores,
        pairs,
        {each.name: each.revision.changed_since_built(task) for each in built},
        {each.name: each.revision.made_since_read(task) for each in built},
        _texts(task, built),
    )


def _improvements(task: str, first: Revision, rows: Rows) -> dict[str, Improvement]:
    """For each score that has a better direction and stands in two rows or more."""
    primary, found = primary_score(task), {}
    resamples = first.resamples(task)
    keys = _in_order(task, (key for _, other in rows for key in other.tuned))
    # A thousand rows take seconds; the bar appears in a terminal alone.
    for key in tqdm(keys, f"intervals of {task}", leave=False, disable=None, delay=1):
        ones, twos, sources = _values(key, "tuned", rows)
        if len(ones) > 1 and better_direction(key):
            found[key] = compare(
                ones,
                twos,
                higher_is_better=key not in LOWER_IS_BETTER,
                resamples=resamples,
                seed=int(first.params.get("seed", 0)),
                # Passages of one book are alike, as in the stage evaluate.
                groups=sources if task == "novel" else None,
            )
    corrected = holm({key: each["p_value"] for key, each in found.items() if key != primary})
    return {
        key: Improvement(
            each["primary"], each["ci_low"], each["ci_high"], corrected.get(key, each["p_value"])
        )
        for key, each in found.items()
    }


def _pair(task: str, first: _Built, other: _Built, rows: Rows) -> Pair:
    key = primary_score(task)
    ones, twos, _ = _values(key, "tuned", rows)
    is_same = first.rows.keys() == other.rows.keys()
    return Pair(
        other.name,
        len(rows),
        (fmean(ones), fmean(twos)) if ones else None,
        outcomes(ones, twos, higher_is_better=key not in LOWER_IS_BETTER),
        None if is_same else (len(first.rows), len(other.rows)),
        sum(one.prompt != two.prompt for one, two in rows),
        _other_bases(task, rows),
        differing(first.revision.inputs(task), other.revision.inputs(task)),
        _decoding(first, other),
    )


def _decoding(*built: _Built) -> dict[str, list[str]]:
    """The rules by which each revision decoded poems; empty if no rule forces a score."""
    rules = {
        each.name: sorted({text.verse for texts in each.texts.values() for text in texts})
        for each in built
    }
    return rules if any(map(forced_scores, set().union(*rules.values()))) else {}


def _values(key: str, model: str, rows: Rows) -> tuple[list[float], list[float], list[str]]:
    """A score's values in both revisions and the rows' sources, of the rows that have the score."""
    found = [
        (ones[key], twos[key], one.source)
        for one, two in rows
        if key in (ones := getattr(one, model)) and key in (twos := getattr(two, model))
    ]
    ones, twos, sources = zip(*found, strict=True) if found else ((), (), ())
    return list(ones), list(twos), list(sources)


def _other_bases(task: str, rows: Rows) -> dict[str, tuple[float, float]]:
    """The scores in which base differs, with its means in both revisions."""
    found = {}
    for key in _in_order(task, (key for _, two in rows for key in two.base)):
        ones, twos, _ = _values(key, "base", rows)
        if ones and abs(fmean(ones) - fmean(twos)) >= LEAST_SHOWN:
            found[key] = (fmean(ones), fmean(twos))
    return found


def _texts(task: str, built: Sequence[_Built]) -> list[RowTexts]:
    """The first revision's rows that another one has, in the first one's order."""
    first, *others = built
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
    """The primary score, the others in the order of all tables, then those without a name."""
    found = dict.fromkeys(keys)
    order = dict.fromkeys([primary_score(task), *SCORE_NAMES, *found])
    return [key for key in order if key in found]
