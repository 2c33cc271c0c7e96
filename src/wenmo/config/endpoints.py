"""Models behind an API: what is asked (params.yaml) and how it is asked (endpoints.yaml).

Section `endpoints` of params.yaml holds what changes an answer: the address, the model, and which
fields a request has. A server may count thinking in one token limit and not in the other, has a
temperature of its own where none is sent, and thinks or not as `extra_body` says.
endpoints.yaml holds keys, limits, prices, concurrency and timeouts. No stage depends on that file,
so it is read only when an endpoint is about to be asked.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, ValidationInfo, field_validator

from wenmo.config.params_file import (
    PARAMS_FILE,
    Count,
    PositiveFloat,
    PositiveInt,
    Section,
    mapping,
    read,
    section,
)
from wenmo.core.choices import choices
from wenmo.core.errors import ParamsError
from wenmo.core.language import gettext

ENDPOINTS_FILE = Path("endpoints.yaml")
DEFAULTS = "defaults"
RESERVED = ("offline", "none", DEFAULTS)
"""Names with a meaning of their own, which no endpoint may have."""

URL = r"^https?://"

OWN_FIELDS = ("messages", "model", "n", "stream", "max_tokens", "max_completion_tokens")
"""Fields of a request that no `extra_body` may have."""


class RequestFields(Section):
    """The fields of a request that a server takes; by default those of OpenAI's first models."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    omit: list[Literal["temperature", "top_p", "top_k", "repetition_penalty", "seed", "stop"]] = (
        Field(default_factory=list)
    )
    extra_body: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("extra_body")
    @classmethod
    def _names_no_field_of_ours(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in extra:
            if name in OWN_FIELDS:
                raise ValueError(gettext("{name}: wenmo sets this field itself", name=name))
        return extra


class Address(Section):
    """The address of an API, and the name of a model there."""

    base_url: str = Field(pattern=URL)
    model: str = Field(min_length=1)


class Entry(RequestFields, Address):
    """An entry of section `endpoints` of params.yaml."""


class Endpoint(Entry):
    """An entry with its name."""

    name: str

    def request_fields(self) -> dict[str, Any]:
        """The fields of a request that this endpoint takes, as in params.yaml."""
        return self.model_dump(include=set(RequestFields.model_fields))


class Access(Section):
    """An entry of endpoints.yaml: key, limits, prices, concurrency, timeout and retries.

    `replicas` are base URLs of further servers of the same model.
    """

    api_key_env: str
    requests_per_minute: PositiveInt
    tokens_per_minute: PositiveInt
    input_price: float = Field(ge=0)
    output_price: float = Field(ge=0)
    concurrency: PositiveInt
    timeout_seconds: PositiveFloat
    max_retries: Count
    replicas: list[Annotated[str, Field(pattern=URL)]] = Field(default_factory=list)

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The price of these tokens, in the currency of the two prices per million."""
        return (prompt_tokens * self.input_price + completion_tokens * self.output_price) / 1e6


def endpoints(content: Mapping[str, Any], path: Path = PARAMS_FILE) -> dict[str, Endpoint]:
    """The endpoints of a params file's content, by name. Raises ParamsError for a wrong entry."""
    entries = mapping(content, "endpoints", path)
    found: dict[str, Endpoint] = {}
    for name in entries:
        if name in RESERVED:
            raise ParamsError(
                "{path}: endpoints.{name}: reserved; choose another name", path=path, name=name
            )
        entry = section(Entry, entries, name, path=path, within="endpoints")
        found[name] = Endpoint(name=str(name), **entry.model_dump())
    return found


def named_endpoint(otherwise: str | None = None) -> BeforeValidator:
    """A validator that turns the name of an entry of `endpoints` into the Endpoint.

    The word `otherwise` becomes None: no endpoint is asked.
    """

    def find(value: Any, info: ValidationInfo[tuple[Mapping[str, Any], Path]]) -> Endpoint | None:
        if isinstance(value, Endpoint):
            return value
        if value is not None and value == otherwise:
            return None
        known = endpoints(*info.context)
        if not isinstance(value, str) or value not in known:
            names = [*([otherwise] if otherwise else []), *known]
            raise ValueError(
                gettext("no entry of endpoints; {choices}", choices=choices(value, names))
            )
        return known[value]

    return BeforeValidator(find)


def access(name: str, path: Path = ENDPOINTS_FILE) -> Access:
    """How the endpoint `name` is asked: its entry of endpoints.yaml laid over `defaults`.

    A name without an entry has the defaults. Raises ParamsError for a wrong or missing file.
    """
    if not path.exists():
        raise ParamsError(
            "{path}: no such file; it holds the keys' names and limits of endpoints;"
            " `git checkout endpoints.yaml` brings it back",
            path=path,
        )
    content = read(path)
    defaults = section(Access, content, DEFAULTS, path=path)
    if name not in content:
        return defaults
    own = mapping(content, name, path)
    return section(Access, {name: defaults.model_dump() | dict(own)}, name, path=path)
