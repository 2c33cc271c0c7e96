"""`wenmo show`: experiments side by side, each with what differs and its headline scores.

`dvc exp show` has a column per parameter, score and file, hundreds in all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from wenmo.config.params_file import TASKS
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.report.names import better_direction, score_name
from wenmo.report.wording import number
from wenmo.scoring.catalogue import primary_score
from wenmo.text.control_characters import visible
from wenmo.tools.compare.revisions import WORKSPACE, differing, flatten

MARK = "*"


@dataclass(frozen=True)
class Result:
    """A commit or an experiment: its parameters, and by task its scores and held-out rows.

    `params` are dotted keys with their values as JSON, `scores` are contents of
    metrics/<task>.json, `held_out` are hashes of data/merged/<task>/eval.jsonl.
    """

    name: str
    params: dict[str, str]
    scores: dict[str, dict[str, Any]]
    held_out: dict[str, str | None]

    def is_like(self, other: "Result") -> bool:
        """Whether nothing but the name tells them apart."""
        return self.params == other.params and self.scores == other.scores


def results(*, all_commits: bool = False) -> list[Result]:
    """The current commit and the experiments on it, after the workspace if that is like none.

    `all_commits` adds the experiments on other commits, each after its own commit. Raises UserError
    outside a repository of DVC.
    """
    # This import takes 0.8 s, for which no other command should wait.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            workspace, head = repo.experiments.show()
            # DVC would read every commit, of which most have no experiment.
            bases = repo.experiments.ls(all_commits=True).keys() - {head.rev} if all_commits else ()
            newest = sorted(bases, key=lambda rev: -repo.scm.resolve_commit(rev).commit_time)
            others = [
                state
                for rev in tqdm(newest, gettext("commits"), leave=False, delay=1)
                for state in repo.experiments.show(revs=rev, hide_workspace=True)
            ]
    except DvcException as error:
        raise UserError("{error}; run in the repository of the pipeline", error=error) from None
    found = [
        _result(state)
        for commit in (head, *others)
        for state in (commit, *(run.revs[0] for run in commit.experiments or ()))
        if state.data
    ]
    now = _result(workspace)
    return found if any(map(now.is_like, found)) else [now, *found]


def table(found: Sequence[Result], width: int) -> str:
    """The results in lines of at most `width` columns. What differs is told from the commit."""
    first = next(each for each in found if each.name != WORKSPACE)
    text = StringIO()
    console = Console(file=text, width=width, color_system=None)
    grid = Table(box=None, padding=(0, 1), pad_edge=False)
    grid.add_column(gettext("experiment"), overflow="fold", min_width=10)
    grid.add_column(gettext("changed"), overflow="fold")
    grid.add_column(gettext("task"), no_wrap=True)
    grid.add_column(gettext("tuned"), justify="right", no_wrap=True)
    grid.add_column(gettext("gain (95% interval)"), no_wrap=True)
    for each in found:
        grid.add_row(*(Text(visible(cell)) for cell in _row(each, first)))
    console.print(grid)
    for line in _legend(found, first):
        console.print(Text(line))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _row(result: Result, first: Result) -> list[str]:
    """Name, difference, tasks, scores and gains; a cell has a line per parameter or task."""
    changed = differing(first.params, result.params)
    cells = []
    for task, scores in result.scores.items():
        gain, low, high = (number(scores["delta"][key]) for key in ("primary", "ci_low", "ci_high"))
        mark = MARK if _is_other(result, first, task) else ""
        tuned = number(scores["tuned"][primary_score(task)])
        interval = gettext("{gain} ({low} to {high})", gain=gain, low=low, high=high)
        cells.append((f"{task}{mark}", tuned, interval))
    lines = zip(*cells, strict=True) if cells else [(), (), (gettext("no scores"),)]
    told = [f"{key}={result.params.get(key, '–')}" for key in changed]
    return [result.name, *("\n".join(each) for each in (told, *lines))]


def _legend(found: Sequence[Result], first: Result) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for task in TASKS:
        if any(task in each.scores for each in found):
            key = primary_score(task)
            names.setdefault(f"{score_name(key)} {better_direction(key)}", []).append(task)
    yield "\n" + gettext("changed: parameters that are not those of {name}", name=first.name)
    yield gettext("; ").join(
        gettext("{tasks}: {score}", tasks=gettext(", ").join(tasks), score=name)
        for name, tasks in names.items()
    )
    yield gettext("gain: of tuned over base, positive where tuned is better")
    if any(_is_other(each, first, task) for each in found for task in each.scores):
        other = gettext(
            "other held-out rows than those of {name}: the scores do not compare", name=first.name
        )
        yield f"{MARK} {other}"


def _is_other(result: Result, first: Result, task: str) -> bool:
    return result.held_out[task] != first.held_out.get(task)


def _result(state: Any) -> Result:
    """What DVC found of a commit or an experiment."""
    data = state.data
    metrics = {task: data.metrics.get(f"metrics/{task}.json", {}).get("data") for task in TASKS}
    scores = {task: found for task, found in metrics.items() if found and "delta" in found}
    rows = {task: data.deps.get(f"data/merged/{task}/eval.jsonl") for task in scores}
    name = state.name or (state.rev if state.rev == WORKSPACE else state.rev[:7])
    return Result(
        name,
        flatten(data.params.get("params.yaml", {}).get("data", {})),
        scores,
        {task: dep and dep.hash for task, dep in rows.items()},
    )
