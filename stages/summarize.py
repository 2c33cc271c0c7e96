"""Give every row that has no prompt one, written from its text.

PYTHONPATH=src python stages/summarize.py novel
"""

from dataclasses import asdict
from pathlib import Path

from wenmo.config.summarize import SummarizeParams
from wenmo.core.records import write_json
from wenmo.core.replacing import replaced_folder
from wenmo.core.row_files import SourceWriter, rows_of_sources
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.llm.client import Usage
from wenmo.llm.prompt_writer import Prompted, in_batches, refuse_failures, write_prompts

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("summarize", task) as log:
        params = SummarizeParams.load("summarize", task)
        usage, prompted = Usage(), Prompted()
        with (
            replaced_folder(Path(f"data/summarized/{task}")) as folder,
            SourceWriter(folder) as sources,
        ):
            try:
                rows = rows_of_sources(Path(f"data/prepared/{task}"), f"prepare@{task}")
                for batch in in_batches(rows):
                    of_batch = write_prompts(batch, params, usage)
                    sources.write(of_batch.rows)
                    prompted.count(of_batch)
            finally:
                log |= asdict(usage)
            log["failed"] = [
                f"{row.source} row {row.position}: {fault}" for row, fault in prompted.failures
            ]
            refuse_failures(prompted, params)
        ledger = {
            "rows": prompted.passed_through + prompted.written,
            "passed_through": prompted.passed_through,
            "written": prompted.written,
            "asked_again": prompted.asked_again,
            "failed": len(prompted.failures),
        }
        write_json(Path(f"metrics/summarize/{task}.json"), ledger)
