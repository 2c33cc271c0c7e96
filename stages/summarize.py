"""Give every row that has no prompt one, written from its text.

PYTHONPATH=src python stages/summarize.py novel
"""

from pathlib import Path

from tqdm import tqdm

from wenmo.llm.prompt_writer import SummarizeParams, prompt_writer, with_prompt
from wenmo.records import Row, read_records, write_records
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with running("summarize", task):
        params = SummarizeParams.load("summarize", task)
        writer = prompt_writer(params)
        for path in tqdm(sorted(Path(f"data/prepared/{task}").glob("*.jsonl")), desc="prompts"):
            rows = [with_prompt(row, writer, params) for row in read_records(Row, path)]
            write_records(Path(f"data/summarized/{task}/{path.name}"), rows)
