"""Poems that a growing model writes when it reads the name of a form, and their scores."""

from collections.abc import Collection
from typing import Any

import torch

from documents import FORMS
from wenmo.scoring.poetry import copied_lines, rhymed, tones_kept
from wenmo.text.verse import form, verse_lines

# As the pipeline samples by default.
TEMPERATURE, TOP_P, LONGEST = 0.7, 0.9, 96


@torch.inference_mode()
def write_poems(model: Any, tokenizer: Any, count: int, seed: int) -> dict[str, list[str]]:
    """`count` poems per kind."""
    model.eval()
    poems = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for kind in FORMS.values():
            asked = tokenizer([f"{kind}\n"] * count, return_tensors="pt").to(model.device)
            ids = model.generate(
                **asked,
                do_sample=True,
                temperature=TEMPERATURE,
                top_p=TOP_P,
                top_k=0,
                max_new_tokens=LONGEST,
                eos_token_id=tokenizer.pad_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
            answers = ids[:, asked["input_ids"].shape[1] :]
            poems[kind] = tokenizer.batch_decode(answers, skip_special_tokens=True)
    model.train()
    return poems


def scores(poems: dict[str, list[str]], learnt: Collection[str]) -> dict[str, float]:
    """Shares of all poems: of the asked form, rhymed, with all tone rules; and of copied lines."""
    wanted = {kind: each for each, kind in FORMS.items()}
    every = [(wanted[kind], poem) for kind, written in poems.items() for poem in written]
    shares = {
        "form": sum(form(verse_lines(poem)) == each for each, poem in every),
        "rhyme": sum(rhymed(poem) for _, poem in every),
        "tones": sum(tones_kept(poem) for _, poem in every),
        "copied_lines": sum(copied_lines(poem, learnt) for _, poem in every),
    }
    return {name: round(total / len(every), 4) for name, total in shares.items()}
