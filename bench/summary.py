"""The first table of docs/benchmarks.md: what was aimed at, and what came of it."""

from typing import Any

from bench import generate, growth, start_up, train
from bench.rounds import Spread, duration, rates, spread
from bench.rounds import times_faster as times

Line = tuple[str, Spread, int, str, bool | None]
"""What was measured, the figure and its decimals, the aim, and whether it was reached."""


def summary(results: dict[str, dict[str, Any]]) -> str:
    """A table of what there are results for."""
    lines = ["| | measured | aim | reached |", "|:--|--:|--:|:--|"]
    for what, found, decimals, aim, reached in figures(results):
        said = {True: "yes", False: "**no**", None: ""}[reached]
        lines.append(f"| {what} | {found.shown(decimals)} | {aim} | {said} |")
    return "\n".join(lines)


def figures(results: dict[str, dict[str, Any]]) -> list[Line]:
    """The table's lines."""
    found: list[Line] = []

    def add(what: str, figure: Spread, decimals: int, least: float = 0, most: float = 0) -> None:
        aim = f"at least {least:,.10g}" if least else f"at most {most:,.10g}" if most else ""
        reached = figure.median >= least if least else figure.median <= most if most else None
        found.append((what, figure, decimals, aim, reached))

    if prepare := results.get("prepare"):
        runs = prepare["runs"]
        one, baseline = runs["wenmo, 1 process"], runs["the baseline's splitter"]
        add("prepare: characters a second and process", spread(rates(one, "characters")), 0, 1e6)
        add("prepare: times the baseline's splitter", times(one, baseline, "characters"), 3)
    if asked := results.get("summarize"):
        baseline, first, _, second = asked["runs"].values()
        add("summarize: times the baseline's loop", times(first, baseline, "rows"), 0, 40)
        calls = spread([run["calls"] for run in second])
        found.append(("summarize: calls of a second run", calls, 0, "0", calls.high == 0))
    if twins := results.get("duplicates"):
        theirs, ours = twins["runs"].values()
        add("near-duplicates: times datasketch alone", times(ours, theirs, "texts"), 1)
    if trained := results.get("train"):
        ours = trained["runs"][train.OURS]
        for peer in (train.BASELINE, train.TRL):
            add(f"train: times {peer}", times(ours, trained["runs"][peer], "tokens"), 2)
    if written := results.get("generate"):
        runs = written["runs"]
        alone = runs[generate.PLAIN_TRANSFORMERS]
        ratio = times(runs[generate.TRANSFORMERS], alone, "tokens")
        add("generate, transformers: times one prompt at a time", ratio, 1, 12)
        if generate.VLLM in runs:
            ratio = times(runs[generate.VLLM], runs[generate.PLAIN_VLLM], "tokens")
            add("generate, vLLM: times one prompt at a time", ratio, 1, 20)
            ratio = times(runs[generate.VLLM], alone, "tokens")
            add("generate, vLLM: times transformers, one at a time", ratio, 1)
    if scored := results.get("evaluate"):
        theirs, ours, _ = scored["runs"].values()
        add("ROUGE-L: times rouge-score", times(ours, theirs, "pairs"), 0, 200)
    if grown := results.get("growth"):
        worst = max(growth.exponents(grown).values())
        what = "growth of the data stages: greatest exponent"
        add(what, spread([worst]), 2, most=growth.MOST)
    if started := results.get("start_up"):
        slowest = max(
            (duration(started["runs"][name]) for name in start_up.DATA),
            key=lambda each: each.median,
        )
        add("start of the slowest data stage (s)", slowest, 2, most=0.5)
    if repro := results.get("pipeline"):
        nothing = duration(repro["runs"]["nothing changed"])
        add("`dvc repro` with nothing to do (s)", nothing, 2, most=1.5)
    return found
