"""Two texts of docs/benchmarks.md: whether the aims are reached, and what costs most."""

from typing import Any

from bench import generate, growth, pipeline, prepare, start_up, train
from bench.evaluate import OURS, THEIRS
from bench.rounds import Spread, quantity, rate, ratio, spread, table

Results = dict[str, dict[str, Any]]
"""A result for each name in bench/results."""


def aims(results: Results) -> str:
    """A table of what was measured, what was aimed at, and whether it was reached."""
    runs = {name: result["runs"] for name, result in results.items()}
    prepared, trained, written = runs["prepare"], runs["train"], runs["generate"]
    looped, first, _, second = runs["summarize"].values()
    datasketch, ours = runs["duplicates"].values()
    alone, batched = written[generate.PLAIN_TRANSFORMERS], written[generate.TRANSFORMERS]
    vllm, vllm_alone = written[generate.VLLM], written[generate.PLAIN_VLLM]
    theirs, rouge = runs["evaluate"][THEIRS], runs["evaluate"][OURS]
    one, splitter = prepared[prepare.ONE], prepared[prepare.SPLITTER]
    exponents, names = growth.exponents(runs["growth"]).values(), list(runs["start_up"])
    data_stages = names[: names.index(start_up.FIRST_WITH_MODEL)]
    starts = [quantity(runs["start_up"][name]) for name in data_stages]
    rows = [
        row("prepare: characters per second and process", rate(one, "characters"), 0, least=1e6),
        row("prepare: times the baseline's splitter", ratio(one, splitter, "characters"), 3),
        row("summarize: times the baseline's loop", ratio(first, looped, "rows"), 0, least=40),
        row("summarize: calls of a second run", quantity(second, "calls"), 0, most=0),
        row("near-duplicates: times datasketch alone", ratio(ours, datasketch, "texts"), 1),
    ]
    for peer in (train.BASELINE, train.TRL):
        faster = ratio(trained[train.OURS], trained[peer], "tokens")
        rows.append(row(f"train: times {peer}", faster, 2))
    for what, faster, least in (
        ("transformers: times one prompt at a time", ratio(batched, alone, "tokens"), 12),
        ("vLLM: times one prompt at a time", ratio(vllm, vllm_alone, "tokens"), 20),
        ("vLLM: times transformers, one at a time", ratio(vllm, alone, "tokens"), None),
    ):
        rows.append(row(f"generate, {what}", faster, 1, least))
    exponent = spread([max(exponents)])
    slowest = max(starts)
    nothing = quantity(runs["pipeline"]["nothing changed"])
    rows += [
        row("ROUGE-L: times rouge-score", ratio(rouge, theirs, "pairs"), 0, least=200),
        row("growth of the data stages: greatest exponent", exponent, 2, most=growth.MOST),
        row("start of the slowest data stage (s)", slowest, 2, most=0.5),
        row("`dvc repro` with nothing to do (s)", nothing, 2, most=1.5),
    ]
    return table(["", "measured", "aim", "reached"], rows)


def row(
    what: str, found: Spread, decimals: int, least: float | None = None, most: float | None = None
) -> list[str]:
    """A line of the table; without `least` and `most` there is no aim."""
    aim, reached = "", ""
    if least is not None:
        aim, reached = f"at least {least:,.10g}", "yes" if found.median >= least else "**no**"
    if most is not None:
        aim, reached = f"at most {most:,.10g}", "yes" if found.median <= most else "**no**"
    return [what, found.shown(decimals), aim, reached]


def largest_cost(results: Results) -> str:
    """What takes most of a cold `dvc repro`, and why it is not cut."""
    stages, runs = results["pipeline"]["stages"], results["train"]["runs"]
    cold = results["pipeline"]["runs"]["cold"][0]["seconds"]
    learning = stages[pipeline.STEPS]
    own, _, pinned = train.flops_by_path(results["train"]).values()
    faster = ratio(runs[train.UNPINNED], runs[train.OURS], "tokens")
    return (
        f"Training the three adapters takes {learning:.0f} of the {cold:.0f} seconds,"
        f" {learning / cold:.0%}: matrix products by one thread on the pinned code path. They reach"
        f" {pinned / 1e9:,.0f} GFLOP/s there and {own / 1e9:,.0f} GFLOP/s on the machine's own code"
        f" path, on which training would be {faster.shown(1)} times as fast. That is the price of"
        " the same bytes on any machine, and it is paid knowingly: without it a changed result"
        " could not be told from another processor. It does not arise on a GPU."
    )
