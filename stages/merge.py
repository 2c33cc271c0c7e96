"""Bring a task's sources together, drop repetitions and hold some groups of rows out.

PYTHONPATH=src python stages/merge.py poetry
"""

from pathlib import Path

from wenmo.config import params_file
from wenmo.config.merge import MergeParams
from wenmo.core.reading import read_sources
from wenmo.core.records import write_json, write_records
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.text.leakage import measure, refuse_leakage
from wenmo.text.split import split

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("merge", task):
        params = MergeParams.load("merge", task)
        sources = read_sources(Path(f"data/summarized/{task}"), f"summarize@{task}")
        rows = [row for of_source in sources.values() for row in of_source]
        parts = split(rows, params, params_file.seed())
        leakage = measure(parts.train, parts.eval)
        refuse_leakage(leakage, params.max_leakage, task)
        write_records(Path(f"data/merged/{task}/train.jsonl"), parts.train)
        write_records(Path(f"data/merged/{task}/eval.jsonl"), parts.eval)
        ledger = {
            "train": len(parts.train),
            "eval": len(parts.eval),
            "groups": parts.groups,
            "leakage": round(leakage.share, 6),
            "dropped": parts.dropped,
        }
        write_json(Path(f"metrics/merge/{task}.json"), ledger)
