"""Models behind an API: what is asked (params.yaml) and how it is asked (endpoints.yaml).

Section `endpoints` of params.yaml holds what changes an answer: the address and the model.
endpoints.yaml holds keys, limits, prices, concurrency and timeouts. No stage depends on that file,
so it is read only when an endpoint is about to be asked.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BeforeValidator, Field, ValidationInfo

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
from wenmo.core.errors import ParamsError

ENDPOINTS_FILE = Path("endpoints.yaml")
DEFAULTS = "defaults"
RESERVED = ("offline", "none", DEFAULTS)
"""Names with a meaning of their own, which no endpoint may have."""


class Address(Section):
    """An entry of section `endpoints` of params.yaml."""

    base_url: str = Field(pattern=r"^https?://")
    model: str = Field(min_length=1)


class Endpoint(Address):
    """An address with the name of its entry."""

    name: str


class Access(Section):
    """An entry of endpoints.yaml: key, limits, prices, concurrency, timeout and retries."""

    api_key_env: str
    requests_per_minute: PositiveInt
    tokens_per_minute: PositiveInt
    input_price: float = Field(ge=0)
    output_price: float = Field(ge=0)
    concurrency: PositiveInt
    timeout_seconds: PositiveFloat
    max_retries: Count

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The price of these tokens, in the currency of the two prices per million."""
        return (prompt_tokens * self.input_price + completion_tokens * self.output_price) / 1e6


def endpoints(content: Mapping[str, Any], path: Path = PARAMS_FILE) -> dict[str, Endpoint]:
    """The endpoints of a params file's content, by name. Raises ParamsError for a wrong entry."""
    entries = mapping(content, "endpoints", path)
    found: dict[str, Endpoint] = {}
    for name in entries:
        if name in RESERVED:
            raise ParamsError(f"{path}: endpoints.{name}: reserved; choose another name")
        address = section(Address, entries, name, path=path, within="endpoints")
        found[name] = Endpoint(name=str(name), **address.model_dump())
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
            raise ValueError(f"no entry of endpoints; allowed are {', '.join(names)}")
        return known[value]

    return BeforeValidator(find)


def access(name: str, path: Path = ENDPOINTS_FILE) -> Access:
    """How the endpoint `name` is asked: its entry of endpoints.yaml laid over `defaults`.

    A name without an entry has the defaults. Raises ParamsError for a wrong or missing file.
    """
    if not path.exists():
        raise ParamsError(
            f"{path}: no such file; it holds the keys' names and limits of endpoints;"
            " `git checkout endpoints.yaml` brings it back"
        )
    content = read(path)
    defaults = section(Access, content, DEFAULTS, path=path)
    if name not in content:
        return defaults
    own = mapping(content, name, path)
    return section(Access, {name: defaults.model_dump() | dict(own)}, name, path=path)
