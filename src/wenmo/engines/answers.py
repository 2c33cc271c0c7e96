"""Answering rows with an engine: the batch job that generate runs for base and tuned alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from wenmo.engines.engine import Completion, Engine, Prompt, Sampling, prompt_seed
from wenmo.errors import UserError
from wenmo.model.chat import ChatParams, prompt_messages
from wenmo.model.loading import Precision
from wenmo.params import PositiveInt, Section
from wenmo.records import Generation, Row


class GenerateParams(Section):
    """Section `generate`."""

    engine: Literal["transformers"]
    precision: Precision
    batch_size: PositiveInt
    max_attempts: PositiveInt
    sampling: Sampling


def load_engine(folder: Path, params: GenerateParams) -> Engine:
    """The engine that `generate.engine` names, with the model of `folder` in memory."""
    engine = import_module(f"wenmo.engines.{params.engine}")
    return engine.load(folder, params.precision, params.batch_size)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Writer:
    """A loaded model with what it is told around each prompt and where its draws start from."""

    engine: Engine
    params: GenerateParams
    chat: ChatParams
    seed: int

    def answer(self, rows: Sequence[Row], label: str, attempt: int = 0) -> list[Generation]:
        """One generation a row, in the rows' order; an empty text is kept as it is."""
        prompts = [
            Prompt(
                id=row.id,
                messages=prompt_messages(self.chat.system_prompt, row.prompt),
                seed=prompt_seed(self.seed, row.id, attempt),
            )
            for row in rows
        ]
        completions: dict[str, Completion] = {}
        # An engine hands in a whole batch at once: without mininterval=0 only its first row shows.
        with tqdm(total=len(rows), desc=label, unit="row", mininterval=0) as progress:
            for completion in self.engine.generate(prompts, self.params.sampling):
                completions[completion.id] = completion
                progress.update()
        return [_generation(row, completions[row.id]) for row in rows]

    def answer_all(self, rows: Sequence[Row], label: str) -> list[Generation]:
        """As `answer`, but a row that comes out empty is asked again with its next seed.

        Raises UserError naming the row that is empty after `max_attempts`.
        """
        answers: dict[str, Generation] = {}
        waiting = list(rows)
        for attempt in range(self.params.max_attempts):
            written = self.answer(waiting, label, attempt)
            answers |= {each.id: each for each in written if each.text}
            waiting = [row for row in waiting if row.id not in answers]
            if not waiting:
                return [answers[row.id] for row in rows]
        row = waiting[0]
        raise UserError(
            f"{row.source} row {row.position} ({row.prompt!r}): empty after"
            f" {self.params.max_attempts} attempts;"
            " raise generate.max_attempts or generate.sampling.temperature"
        )


def _generation(row: Row, completion: Completion) -> Generation:
    return Generation(
        id=row.id,
        prompt=row.prompt,
        reference=row.output,
        text=completion.text,
        finish_reason=completion.finish_reason,
        tokens=completion.tokens,
    )
