"""Let base answer the held-out prompts, and measure how surprised it is by the held-out texts.

PYTHONPATH=src python stages/baseline.py poetry

Nothing of it depends on training, so that experiments with training share it.
"""

from pathlib import Path

from wenmo.config import params_file
from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams
from wenmo.core.reading import read_rows
from wenmo.core.records import write_json, write_records
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.engines.answer_length import check_answer_length
from wenmo.engines.answering import BASE, Answerer, load_engine, open_journal, summary
from wenmo.engines.journal import JOURNALS, finish
from wenmo.engines.verse_requests import asked_verses
from wenmo.model.loss import held_out_losses

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("baseline", task) as log:
        params, chat = GenerateParams.load("generate", task), ChatParams.load("chat", task)
        rows = read_rows(Path(f"data/merged/{task}/eval.jsonl"), f"merge@{task}")
        verses = asked_verses(task, rows, params.verse)
        journals = JOURNALS / "baseline" / task
        with load_engine(params, [BASE]) as engine:
            check_answer_length(rows, BASE.folder, params)
            journal = open_journal(journals, BASE, params)
            base = Answerer(engine, BASE, params, chat, params_file.seed(), journal, verses)
            texts = base.answer(rows, "base", params.seeds)
            log |= {"base": base.cost, "engine": engine.cost}
        losses = held_out_losses(BASE.folder, rows, chat, params.precision, "held-out loss")

        write_records(Path(f"outputs/{task}/eval.base.jsonl"), texts)
        write_records(Path(f"outputs/{task}/loss.base.jsonl"), losses)
        write_json(Path(f"metrics/baseline/{task}.json"), {"base": summary(texts, params.length)})
        finish(journals)
