"""Give every row that has no prompt one, written from its text.

PYTHONPATH=src python stages/summarize.py novel
"""

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

from wenmo.config.summarize import SummarizeParams
from wenmo.core.reading import read_sources
from wenmo.core.records import Row, write_json, write_records
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.llm.client import Usage
from wenmo.llm.prompt_writer import refuse_failures, write_prompts

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("summarize", task) as log:
        params = SummarizeParams.load("summarize", task)
        rows = read_sources(Path(f"data/prepared/{task}"), f"prepare@{task}")
        usage = Usage()
        try:
            every_row = [row for of_file in rows.values() for row in of_file]
            prompted = write_prompts(every_row, params, usage)
        finally:
            log |= asdict(usage)
        log["failed"] = [
            f"{row.source} row {row.position}: {fault}" for row, fault in prompted.failures
        ]
        refuse_failures(prompted, params)
        by_source = defaultdict[str, list[Row]](list)
        for row in prompted.rows:
            by_source[f"{row.source}.jsonl"].append(row)
        for name in rows:
            write_records(Path(f"data/summarized/{task}/{name}"), by_source[name])
        ledger = {
            "rows": len(prompted.rows),
            "passed_through": prompted.passed_through,
            "written": prompted.written,
            "asked_again": prompted.asked_again,
            "failed": len(prompted.failures),
        }
        write_json(Path(f"metrics/summarize/{task}.json"), ledger)
