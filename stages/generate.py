"""Let base and tuned answer the held-out prompts, and tuned the test prompts.

PYTHONPATH=src python stages/generate.py poetry
"""

from pathlib import Path

from wenmo import params
from wenmo.engines.answers import (
    Writer,
    load_engine,
    models_of,
    open_journal,
    submission,
    summary,
)
from wenmo.engines.journal import JOURNALS, finish
from wenmo.engines.params import GenerateParams, Repeats
from wenmo.inputs import read_prompts, read_rows
from wenmo.model.chat import ChatParams
from wenmo.records import write_json, write_json_lines, write_records
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with running("generate", task) as log:
        steering = GenerateParams.load("generate", task)
        chat, seed = ChatParams.load("chat", task), params.seed()
        seeds = Repeats.load("evaluate").seeds
        held_out = read_rows(Path(f"data/merged/{task}/eval.jsonl"), f"merge@{task}")
        # Without test prompts of its own, a task submits its held-out prompts.
        test = read_prompts(Path(f"data/test/{task}.jsonl"), f"prepare@{task}") or held_out
        journals, models = JOURNALS / task, models_of(task, steering)
        with load_engine(steering, models) as engine:
            base, tuned = (
                Writer(engine, model, steering, chat, seed, open_journal(journals, model, steering))
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
        metrics = {name: summary(each, steering.length) for name, each in texts.items()}
        write_json(Path(f"metrics/generate/{task}.json"), metrics)
        finish(journals)
