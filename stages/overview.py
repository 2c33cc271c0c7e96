"""Tell what the run found: scores, what became of the texts, the page to open, the next command.

PYTHONPATH=src python stages/overview.py
"""

from pathlib import Path

from wenmo.config import params_file
from wenmo.config.params_file import TASKS
from wenmo.core.language import in_language
from wenmo.core.records import write_text
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.report.overview import overview

if __name__ == "__main__":
    parse_arguments(__doc__)
    with run_stage("overview"):
        tasks = params_file.value(params_file.read(), "tasks", list)
        tasks = [task for task in TASKS if task in tasks]
        # The file, which DVC hashes, is the same whatever language the reader's is.
        with in_language("en"):
            write_text(Path("reports/overview.txt"), f"{overview(tasks)}\n")
        print(f"\n{overview(tasks)}\n", flush=True)
