"""The default engine: transformers, in left-padded batches sorted by length."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from wenmo.engines.engine import Completion, Prompt, Sampling
from wenmo.model.chat import chat_text
from wenmo.model.loading import Precision, load_model, load_tokenizer


def load(folder: Path, precision: Precision, batch_size: int) -> "TransformersEngine":
    """The model of `folder` in memory."""
    return TransformersEngine(folder, precision, batch_size)


class TransformersEngine:
    """One model in memory; `batch_size` prompts are answered at a time."""

    def __init__(self, folder: Path, precision: Precision, batch_size: int) -> None:
        self.model = load_model(folder, precision).eval()
        self.tokenizer = load_tokenizer(folder)
        # A published model brings sampling settings along, which would add to those of params.yaml.
        own = self.model.generation_config
        self.ends = frozenset(_token_ids(own.eos_token_id))
        self.model.generation_config = GenerationConfig(
            eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
        )
        self.batch_size = batch_size

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Completion]:
        """One completion a prompt, the shortest prompts first, so that little is padded."""
        texts = [chat_text(self.tokenizer, prompt.messages) for prompt in prompts]
        asked = list(zip(prompts, texts, strict=True))
        asked.sort(key=lambda pair: (len(pair[1]), pair[0].id))
        for start in range(0, len(asked), self.batch_size):
            yield from self._batch(asked[start : start + self.batch_size], sampling)

    @torch.inference_mode()
    def _batch(self, asked: Sequence[tuple[Prompt, str]], sampling: Sampling) -> list[Completion]:
        prompts, texts = [prompt for prompt, _ in asked], [text for _, text in asked]
        encoded = self.tokenizer(
            texts, return_tensors="pt", padding=True, add_special_tokens=False
        ).to(self.model.device)
        ids = self.model.generate(
            **encoded,
            max_new_tokens=sampling.max_new_tokens,
            do_sample=False,
            logits_processor=_processors(prompts, sampling, encoded["input_ids"].shape[1]),
        )
        answers = ids[:, encoded["input_ids"].shape[1] :].tolist()
        return [
            self._completion(prompt, tokens)
            for prompt, tokens in zip(prompts, answers, strict=True)
        ]

    def _completion(self, prompt: Prompt, tokens: list[int]) -> Completion:
        length = next((i for i, token in enumerate(tokens) if token in self.ends), None)
        text = self.tokenizer.decode(tokens[:length], skip_special_tokens=True)
        return Completion(
            id=prompt.id,
            text=text.strip(),
            finish_reason="length" if length is None else "stop",
            tokens=len(tokens) if length is None else length + 1,
        )


class _DrawPerRow(LogitsProcessor):  # type: ignore[misc]
    """Sampling with a generator a row, by the Gumbel-max trick: argmax of scores plus noise.

    transformers' own sampling draws all rows from one generator, so that a row's text would
    depend on the rows beside it (Gumbel 1954; https://arxiv.org/abs/1611.00712).
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        uniform = torch.stack(
            [torch.rand(scores.shape[1], generator=each) for each in self.generators]
        )
        exponential = -torch.log(uniform.clamp_min(torch.finfo(uniform.dtype).tiny))
        return scores - torch.log(exponential).to(scores.device)


def _processors(
    prompts: Sequence[Prompt], sampling: Sampling, prompt_tokens: int
) -> LogitsProcessorList:
    """The chain from raw scores to a drawn token; temperature 0 takes the likeliest."""
    processors = LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        processors.append(
            RepetitionPenaltyLogitsProcessor(
                sampling.repetition_penalty, prompt_ignore_length=prompt_tokens
            )
        )
    if sampling.temperature == 0:
        return processors
    processors.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        processors.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1.0:
        processors.append(TopPLogitsWarper(sampling.top_p))
    processors.append(_DrawPerRow([prompt.seed for prompt in prompts]))
    return processors


def _token_ids(ids: int | list[int] | None) -> list[int]:
    return [ids] if isinstance(ids, int) else ids or []
