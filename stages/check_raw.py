"""Read every raw row of a task, print how long each source is, and stop at the first bad row.

PYTHONPATH=src python stages/check_raw.py poetry data/sample/poetry
"""

from collections import Counter
from pathlib import Path

from wenmo.core.errors import UserError
from wenmo.core.records import write_json
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.tasks.raw import MalformedRows
from wenmo.tasks.task import load_task, read_test_rows

if __name__ == "__main__":
    arguments = parse_arguments(__doc__, task="novel, fairytale or poetry", data="raw folder")
    with run_stage("check_raw", arguments.task):
        task, folder = load_task(arguments.task), Path(arguments.data)
        params = task.PrepareParams.load("prepare", arguments.task)
        malformed = MalformedRows(params.skip_malformed)
        documents, characters = Counter[str](), Counter[str]()
        for document in task.read(folder, params, malformed):
            documents[document.source] += 1
            characters[document.source] += len(document.text)
        for source in documents:
            print(
                f"{characters[source]:>10,} characters {documents[source]:>6,} documents  {source}"
            )
        if not documents:
            raise UserError(f"{folder}: its files hold no text")
        prompts = len(read_test_rows(folder))
        print(f"{prompts:>35,} test prompts")
        print(f"{malformed.count:>35,} malformed rows skipped")
        counts = {"documents": documents.total(), "malformed": malformed.count}
        write_json(Path(f"data/checked/{arguments.task}.json"), counts)
