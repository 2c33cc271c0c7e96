"""Turn a task's raw texts into rows, one file per source, and its test prompts into rows.

PYTHONPATH=src python stages/prepare.py poetry data/sample/poetry

DVC keeps the outputs of the last run until this one replaces them. A malformed row, an empty folder
or texts of which none can be used leave them as they were.
"""

from pathlib import Path

from wenmo.core.processes import return_freed_texts
from wenmo.core.records import write_csv, write_json, write_records
from wenmo.core.replacing import replaced_file, replaced_folder
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.tasks.ledger import lengths, metrics, table
from wenmo.tasks.preparation import prepare_texts, survey
from wenmo.tasks.task import load_task

if __name__ == "__main__":
    arguments = parse_arguments(__doc__, task="novel, fairytale or poetry", data="raw folder")
    with run_stage("prepare", arguments.task):
        name, folder = arguments.task, Path(arguments.data)
        task = load_task(name)
        return_freed_texts()
        params = task.PrepareParams.load("prepare", name)
        raw = survey(task, folder, params)
        print(raw, flush=True)
        with (
            replaced_folder(Path(f"data/prepared/{name}")) as sources,
            replaced_file(Path(f"data/rejected/{name}.jsonl")) as rejected,
        ):
            account = prepare_texts(task, raw, params, sources, rejected)
            write_records(Path(f"data/test/{name}.jsonl"), raw.test_rows)
            write_json(
                Path(f"metrics/prepare/{name}.json"), metrics(account.ledgers, raw.malformed)
            )
            write_csv(Path(f"metrics/prepare/{name}.csv"), table(account.ledgers))
            write_csv(Path(f"plots/prepare/{name}.csv"), lengths(account.lengths))
