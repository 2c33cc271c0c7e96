"""Let tuned answer the held-out prompts and the test prompts, and measure its held-out loss.

PYTHONPATH=src python stages/generate.py poetry
"""

from pathlib import Path

from wenmo.config import params_file
from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams
from wenmo.core.reading import read_prompts, read_rows
from wenmo.core.records import write_json, write_json_lines, write_records
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.engines.answer_length import check_answer_length
from wenmo.engines.answering import (
    Answerer,
    load_engine,
    open_journal,
    submission,
    summary,
    tuned_model,
)
from wenmo.engines.journal import JOURNALS, finish
from wenmo.engines.verse_requests import asked_verses
from wenmo.model.loss import held_out_losses

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("generate", task) as log:
        params, chat = GenerateParams.load("generate", task), ChatParams.load("chat", task)
        rows = read_rows(Path(f"data/merged/{task}/eval.jsonl"), f"merge@{task}")
        # Without test prompts of its own, a task submits its held-out prompts.
        test = read_prompts(Path(f"data/test/{task}.jsonl"), f"prepare@{task}") or rows
        verses = asked_verses(task, [*rows, *test], params.verse)
        journals, model = JOURNALS / "generate" / task, tuned_model(task, params)
        with load_engine(params, [model]) as engine:
            check_answer_length(rows, model.folder, params)
            journal = open_journal(journals, model, params)
            tuned = Answerer(engine, model, params, chat, params_file.seed(), journal, verses)
            texts = tuned.answer(rows, "tuned", params.seeds)
            submitted = tuned.answer_all(test, "submit")
            log |= {"tuned": tuned.cost, "engine": engine.cost}
        merged = Path(f"models/merged/{task}")
        losses = held_out_losses(merged, rows, chat, params.precision, "held-out loss")

        outputs = Path(f"outputs/{task}")
        write_records(outputs / "eval.tuned.jsonl", texts)
        write_records(outputs / "loss.tuned.jsonl", losses)
        write_json_lines(outputs / "submit.json", submission(test, submitted))
        length = params.length
        counts = {"tuned": summary(texts, length), "submit": summary(submitted, length)}
        write_json(Path(f"metrics/generate/{task}.json"), counts)
        finish(journals)
