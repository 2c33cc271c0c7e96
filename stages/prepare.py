"""Turn a task's raw texts into rows, one file a source, and its test prompts into rows.

PYTHONPATH=src python stages/prepare.py poetry data/sample/poetry
"""

import json
from collections import Counter, defaultdict
from pathlib import Path

from tqdm import tqdm

from wenmo.errors import UserError
from wenmo.records import Row, write_json, write_records
from wenmo.stage import parse_arguments, running
from wenmo.tasks.task import load_task, read_test_rows

if __name__ == "__main__":
    arguments = parse_arguments(__doc__, task="novel, fairytale or poetry", data="raw folder")
    with running("prepare", arguments.task):
        name, folder = arguments.task, Path(arguments.data)
        task = load_task(name)
        params = task.PrepareParams.load("prepare", name)
        total = json.loads(Path(f"data/checked/{name}.json").read_text())["documents"]
        rows, dropped = defaultdict[str, list[Row]](list), Counter[str]()
        for document in tqdm(task.read(folder, params), desc="preparing", total=total):
            prepared = task.prepare(document, params)
            rows[document.source] += prepared.rows
            dropped += prepared.dropped
        kept = [row for source in rows.values() for row in source]
        if not kept:
            raise UserError(f"{folder}: none of {total} texts can be used: {dict(dropped)}")
        for source, of_source in rows.items():
            write_records(Path(f"data/prepared/{name}/{source}.jsonl"), of_source)
        write_records(Path(f"data/test/{name}.jsonl"), read_test_rows(folder))
        ledger = {
            "sources": len(rows),
            "rows": len(kept),
            "characters": sum(len(row.output) for row in kept),
            "dropped": dict(sorted(dropped.items())),
        }
        write_json(Path(f"metrics/prepare/{name}.json"), ledger)
