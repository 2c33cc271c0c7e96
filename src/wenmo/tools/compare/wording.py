"""What a comparison says in words and digits, in the reader's language."""

from collections.abc import Iterator, Sequence

from wenmo.core.language import N_, gettext
from wenmo.report.names import SCORE_NAMES, better_direction, score_name
from wenmo.scoring.catalogue import forced_scores, primary_score
from wenmo.tools.compare.comparison import Improvement, Pair, TaskComparison

NOTHING = "–"

WHAT_IMPROVEMENTS_ARE = N_(
    "An improvement is the mean difference on the same held-out rows, with its 95% interval;"
    " positive is better for every score. p values of other than the primary score, which comes"
    " first, are corrected for their number (Holm)."
)

MOST_NAMED = 6
"""So many differing files are named; the rest is counted."""


def headline(task: TaskComparison, index: int, first: str) -> str:
    """Whether the revision of that pair writes better than the first, by the primary score."""
    pair = task.pairs[index]
    key = primary_score(task.task)
    found = (line.improvements[index] for line in task.scores if line.key == key)
    improvement = next(found, None)
    if improvement is None or pair.primary_values is None:
        return gettext(
            "between {name} and {first} no difference can be told", name=pair.name, first=first
        )
    before, after = pair.primary_values
    told = gettext(
        "{verdict}: {score} {after:.3f} instead of {before:.3f}, {gain} (95% interval {interval},"
        " p = {p:.4f}) over {rows} held-out rows: {wins} better, {ties} equal, {losses} worse",
        verdict=gettext(_verdict(pair, improvement), name=pair.name, first=first),
        score=label(key),
        after=after,
        before=before,
        gain=signed(improvement.value),
        interval=interval(improvement),
        p=improvement.p,
        rows=pair.rows,
        **pair.outcomes,
    )
    return gettext("; ").join([told, *_decoding(pair)])


def notes_of_pair(pair: Pair, first: str) -> Iterator[str]:
    """What differs between two revisions beside the parameters."""
    if pair.held_out:
        yield _held_out(pair, first)
    if pair.other_prompts:
        yield gettext(
            "{count} of these rows were asked for by another prompt in {name}",
            count=pair.other_prompts,
            name=pair.name,
        )
    if pair.other_bases:
        values = (
            gettext(
                "{score} {before:.3f} and {after:.3f}",
                score=score_name(key),
                before=before,
                after=after,
            )
            for key, (before, after) in pair.other_bases.items()
        )
        yield gettext(
            "base differs too, on the same rows ({scores}): another base model, prompt or sampling,"
            " so a difference is not due to training alone",
            scores=gettext(", ").join([*values][:MOST_NAMED]),
        )
    if pair.other_inputs:
        yield gettext(
            "{first} and {other} were built from other code or data: {files}",
            first=first,
            other=pair.name,
            files=_named(pair.other_inputs),
        )


def notes_of_task(task: TaskComparison) -> Iterator[str]:
    """Parameters and files of today that were not in force when the task was built."""
    for name, changed in task.changed.items():
        if changed:
            yield gettext(
                "{name}: built before {params} changed in params.yaml; the change takes effect by"
                " `dvc repro evaluate@{task}`",
                name=name,
                params=_named(changed),
                task=task.task,
            )
    for name, made in task.made_since.items():
        for stage, other, path in made:
            yield gettext(
                "{name}: {stage} has not run since {other} did, so it read another {path};"
                " `dvc repro {stage}` brings it up to date",
                name=name,
                stage=stage,
                other=other,
                path=path,
            )


def label(key: str) -> str:
    """The name of a score with its better direction."""
    return f"{score_name(key)} {better_direction(key)}".rstrip()


def number(value: float | None) -> str:
    """A score in three decimals, or a dash."""
    return NOTHING if value is None else f"{value:.3f}"


def signed(value: float) -> str:
    """A difference with its sign; zero has none."""
    return f"{value:+.3f}" if round(value, 3) else "0.000"


def interval(improvement: Improvement) -> str:
    """The bounds of an improvement's 95% interval."""
    return gettext("{low} to {high}", low=signed(improvement.low), high=signed(improvement.high))


def _verdict(pair: Pair, improvement: Improvement) -> str:
    if pair.outcomes["ties"] == pair.rows:
        return N_("{name} scores the same on every row as {first}")
    if not improvement.shown:
        return N_("{name} is not shown to differ from {first}")
    if improvement.value > 0:
        return N_("{name} is better than {first}")
    return N_("{name} is worse than {first}")


def _decoding(pair: Pair) -> Iterator[str]:
    """How each revision decoded poems, and which scores are the decoder's."""
    if pair.decoding:
        forced = {
            score
            for rules in pair.decoding.values()
            for rule in rules
            for score in forced_scores(rule)
        }
        among = gettext(" and ")
        how = (f"{name} {among.join(rules)}" for name, rules in pair.decoding.items())
        yield gettext(
            "decoded by rule ({how}): {names} are then the decoder's, and not learnt",
            how=gettext(", ").join(how),
            names=gettext(", ").join(score_name(each) for each in SCORE_NAMES if each in forced),
        )


def _held_out(pair: Pair, first: str) -> str:
    rows, other_rows = pair.held_out or (pair.rows, pair.rows)
    counts = gettext(
        "{first} has {rows} held-out rows and {other} {other_rows}",
        first=first,
        rows=rows,
        other=pair.name,
        other_rows=other_rows,
    )
    if pair.rows > 1:
        return gettext(
            "{counts}; the {both} of both are compared, while the scores themselves are of all"
            " that each has",
            counts=counts,
            both=pair.rows,
        )
    if pair.rows:
        return gettext(
            "{counts}, with only one in common: an improvement cannot be told from chance",
            counts=counts,
        )
    return gettext(
        "{counts}, with none in common: an improvement cannot be told from chance", counts=counts
    )


def _named(names: Sequence[str]) -> str:
    """A few of the names, and how many more there are."""
    rest = len(names) - MOST_NAMED
    more = gettext(" and {rest} more", rest=rest) if rest > 0 else ""
    return gettext(", ").join(names[:MOST_NAMED]) + more
