"""Let base and tuned answer the held-out prompts, and tuned the test prompts.

PYTHONPATH=src python stages/generate.py poetry
"""

from pathlib import Path

from wenmo import params
from wenmo.engines.answers import GenerateParams, Writer, load_engine
from wenmo.model.chat import ChatParams
from wenmo.records import Row, read_records, write_json_lines, write_records
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with running("generate", task):
        steering = GenerateParams.load("generate", task)
        chat, seed = ChatParams.load("chat", task), params.seed()
        held_out = read_records(Row, Path(f"data/merged/{task}/eval.jsonl"))
        # Without test prompts of its own, a task submits its held-out prompts.
        test = read_records(Row, Path(f"data/test/{task}.jsonl")) or held_out
        outputs = Path(f"outputs/{task}")

        base = Writer(load_engine(Path("models/base"), steering), steering, chat, seed)
        write_records(outputs / "eval.base.jsonl", base.answer(held_out, "base"))

        tuned = Writer(load_engine(Path(f"models/merged/{task}"), steering), steering, chat, seed)
        write_records(outputs / "eval.tuned.jsonl", tuned.answer(held_out, "tuned"))

        texts = tuned.answer_all(test, "submit")
        lines = [
            {"instruction": row.instruction, "input": row.input, "output": each.text}
            for row, each in zip(test, texts, strict=True)
        ]
        write_json_lines(outputs / "submit.json", lines)
