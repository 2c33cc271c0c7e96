"""OpenAI-compatible endpoints: where they are, what they allow and cost, and the key for them."""

from pydantic import ConfigDict, Field

from wenmo.config.params_file import Count, PositiveFloat, PositiveInt, Section


class Access(Section):
    """Where an account's endpoint is. Prices are for a million tokens, in one currency."""

    base_url: str = Field(pattern=r"^https?://")
    api_key_env: str
    requests_per_minute: PositiveInt
    tokens_per_minute: PositiveInt
    input_price: float = Field(ge=0)
    output_price: float = Field(ge=0)

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.input_price + completion_tokens * self.output_price) / 1e6


class Endpoint(Access):
    """An entry of `summarize.endpoints`: the access to one model."""

    model: str = Field(min_length=1)


class Endpoints(Section):
    """What others than summarize read of its section: the endpoints, and nothing else."""

    model_config = ConfigDict(extra="ignore")

    endpoints: dict[str, Endpoint]


class Asking(Section):
    """How an endpoint is asked: requests at a time, seconds for each, tries after a failed one."""

    concurrency: PositiveInt
    timeout_seconds: PositiveFloat
    max_retries: Count
