"""Turn a task's raw texts into rows, one file a source, and its test prompts into rows.

PYTHONPATH=src python stages/prepare.py poetry data/sample/poetry
"""

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from wenmo.core.errors import UserError
from wenmo.core.records import Row, write_csv, write_json, write_json_lines, write_records
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.tasks.ledger import SourceLedger, lengths, metrics, table
from wenmo.tasks.preparation import prepare_all
from wenmo.tasks.raw import MalformedRows
from wenmo.tasks.task import load_task, read_test_rows

if __name__ == "__main__":
    arguments = parse_arguments(__doc__, task="novel, fairytale or poetry", data="raw folder")
    with run_stage("prepare", arguments.task):
        name, folder = arguments.task, Path(arguments.data)
        task = load_task(name)
        params = task.PrepareParams.load("prepare", name)
        malformed = MalformedRows(params.skip_malformed)
        documents = list(task.read(folder, params, malformed))
        test_rows = read_test_rows(folder)
        rows, rejects = defaultdict[str, list[Row]](list), []
        ledgers = defaultdict[str, SourceLedger](SourceLedger)
        prepared_all = tqdm(prepare_all(task, documents, params), "preparing", len(documents))
        for document, prepared in zip(documents, prepared_all, strict=True):
            ledgers[document.source].add(document, prepared, params.to_simplified)
            rows[document.source] += prepared.rows
            if params.keep_rejects:
                place = {"source": document.source, "document": document.position}
                rejected = prepared.rejected_pieces + prepared.rejected_rows
                rejects += [place | asdict(each) for each in rejected]
        totals = metrics(ledgers, malformed.count)
        if not totals["rows"]:
            raise UserError(f"{folder}: no text can be used; dropped {totals['dropped_rows']}")
        for source, of_source in rows.items():
            if of_source:
                write_records(Path(f"data/prepared/{name}/{source}.jsonl"), of_source)
        write_records(Path(f"data/test/{name}.jsonl"), test_rows)
        write_json_lines(Path(f"data/rejected/{name}.jsonl"), rejects)
        write_json(Path(f"metrics/prepare/{name}.json"), totals)
        write_csv(Path(f"metrics/prepare/{name}.csv"), table(ledgers))
        write_csv(Path(f"plots/prepare/{name}.csv"), lengths(rows))
