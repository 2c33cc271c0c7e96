"""Let base and tuned answer the held-out prompts, and tuned the test prompts.

PYTHONPATH=src python stages/generate.py poetry
"""

from pathlib import Path

from wenmo.config import params_file
from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams, Repeats
from wenmo.core.reading import read_prompts, read_rows
from wenmo.core.records import write_json, write_json_lines, write_records
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.engines.answering import (
    Writer,
    load_engine,
    models_of,
    open_journal,
    submission,
    summary,
)
from wenmo.engines.journal import JOURNALS, finish

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("generate", task) as log:
        params = GenerateParams.load("generate", task)
        chat, seed = ChatParams.load("chat", task), params_file.seed()
        seeds = Repeats.load("evaluate").seeds
        held_out = read_rows(Path(f"data/merged/{task}/eval.jsonl"), f"merge@{task}")
        # Without test prompts of its own, a task submits its held-out prompts.
        test = read_prompts(Path(f"data/test/{task}.jsonl"), f"prepare@{task}") or held_out
        journals, models = JOURNALS / task, models_of(task, params)
        with load_engine(params, models) as engine:
            base, tuned = (
                Writer(engine, model, params, chat, seed, open_journal(journals, model, params))
                for model in models
            )
            texts = {
                "base": base.answer(held_out, "base", seeds),
                "tuned": tuned.answer(held_out, "tuned", seeds),
                "submit": tuned.answer_all(test, "submit"),
            }
            log |= {"base": base.cost, "tuned": tuned.cost, "engine": engine.cost}

        outputs = Path(f"outputs/{task}")
        write_records(outputs / "eval.base.jsonl", texts["base"])
        write_records(outputs / "eval.tuned.jsonl", texts["tuned"])
        write_json_lines(outputs / "submit.json", submission(test, texts["submit"]))
        metrics = {name: summary(each, params.length) for name, each in texts.items()}
        write_json(Path(f"metrics/generate/{task}.json"), metrics)
        finish(journals)
