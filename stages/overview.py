"""Tell what the run found: scores, what became of the texts, the page to open, the next command.

PYTHONPATH=src python stages/overview.py
"""

from pathlib import Path

from wenmo.config import params_file
from wenmo.config.params_file import TASKS
from wenmo.core.records import write_text
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.report.overview import overview

if __name__ == "__main__":
    parse_arguments(__doc__)
    with run_stage("overview"):
        tasks = params_file.value(params_file.read(), "tasks", list)
        text = overview([task for task in TASKS if task in tasks])
        write_text(Path("reports/overview.txt"), f"{text}\n")
        print(f"\n{text}\n", flush=True)
