"""Section `generate`: which engine runs the models, and how tokens are sampled."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from wenmo.config.endpoints import Endpoint, named_endpoint
from wenmo.config.params_file import Count, PositiveFloat, PositiveInt, Precision, Section
from wenmo.core.language import gettext


class Sampling(Section):
    """Section `generate.sampling`: how the next token is sampled; `n` texts per test prompt."""

    max_new_tokens: PositiveInt
    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    top_k: Count
    repetition_penalty: PositiveFloat
    stop: list[Annotated[str, Field(min_length=1)]]
    n: PositiveInt


class Length(Section):
    """Section `generate.length`: the task's bounds, in characters without white space."""

    min_chars: Count
    max_chars: PositiveInt

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_chars > self.max_chars:
            raise ValueError(
                gettext(
                    "min_chars ({min_chars}) is over max_chars ({max_chars})",
                    min_chars=self.min_chars,
                    max_chars=self.max_chars,
                )
            )
        return self

    def holds(self, text: str) -> bool:
        """Whether a text's length is within the bounds."""
        return self.min_chars <= len("".join(text.split())) <= self.max_chars


class TransformersParams(Section):
    """Section `generate.transformers`."""

    batch_size: PositiveInt
    threads: Count


class VllmParams(Section):
    """Section `generate.vllm`; the names are those of vLLM's engine arguments."""

    tensor_parallel_size: PositiveInt
    data_parallel_size: PositiveInt
    max_model_len: Count
    max_num_seqs: PositiveInt
    gpu_memory_utilization: float = Field(gt=0, le=1)
    quantization: Literal["none", "fp8", "bitsandbytes"]
    batch_invariant: bool


class OpenAIParams(Section):
    """Section `generate.openai`: an endpoint, and the names that it gives the two models."""

    endpoint: Annotated[Endpoint, named_endpoint()]
    base: str = Field(min_length=1)
    tuned: str = Field(min_length=1)
    keep_answers: bool


VerseRule = Literal["free", "form", "rhyme", "full"]
VERSE_RULES: tuple[VerseRule, ...] = get_args(VerseRule)

Engine = Literal["transformers", "vllm", "openai"]
ENGINES: tuple[Engine, ...] = get_args(Engine)


class GenerateParams(Section):
    """Section `generate`."""

    engine: Engine
    weights: Literal["merged", "adapter"]
    precision: Precision
    seeds: PositiveInt
    max_attempts: PositiveInt
    verse: VerseRule
    sampling: Sampling
    length: Length
    transformers: TransformersParams
    vllm: VllmParams
    openai: OpenAIParams

    @model_validator(mode="after")
    def _decoded_here(self) -> Self:
        if self.verse != "free" and self.engine == "openai":
            raise ValueError(
                gettext(
                    "verse ({verse}) needs engine transformers or vllm: an endpoint decodes by"
                    " itself",
                    verse=self.verse,
                )
            )
        return self

    def text_settings(self) -> dict[str, Any]:
        """The settings that a text depends on, besides its model, prompt and seed."""
        openai = self.openai
        own: dict[str, dict[str, Any]] = {
            "transformers": {},
            "vllm": self.vllm.model_dump(),
            "openai": {
                "base_url": openai.endpoint.base_url,
                "base": openai.base,
                "tuned": openai.tuned,
                **openai.endpoint.request_fields(),
            },
        }
        shared = self.model_dump(include={"engine", "precision", "weights"})
        sampling = self.sampling.model_dump(exclude={"n"})
        verse = {} if self.verse == "free" else {"verse": self.verse}
        return {**shared, **verse, "sampling": sampling, "own": own[self.engine]}
