"""The one reader of params.yaml.

Each section's model stands beside the code that it steers (TrainParams in model/training.py); this
module only finds a section, lays the task's own values over the shared ones and reports what is
wrong in one line. ruamel.yaml reads YAML 1.2, in which 1e-05 is a number.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from wenmo.errors import ParamsError

PARAMS_FILE = Path("params.yaml")

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A section of params.yaml: unknown keys are refused, and no value is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def load(cls, name: str, task: str | None = None, path: Path = PARAMS_FILE) -> Self:
        """Section `name` of params.yaml, with `task`'s own section laid over it where given.

        Raises ParamsError naming file, key, value and what is allowed.
        """
        return section(cls, read(path), name, task, path)


SectionType = TypeVar("SectionType", bound=Section)


def read(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """The whole file as plain dictionaries. Raises ParamsError if it is no YAML mapping."""
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run in the repository's root") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ParamsError(f"{path}:{line}: {error.problem}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: expected sections, found {type(content).__name__}")
    return content


def section(
    model: type[SectionType],
    content: Mapping[str, Any],
    name: str,
    task: str | None = None,
    path: Path = PARAMS_FILE,
) -> SectionType:
    """Validate section `name` of a file's content, as `Section.load` does."""
    shared = _mapping(content, name, path)
    own = _mapping(_mapping(content, task, path), name, path, within=task) if task else {}
    try:
        return model.model_validate(deep_merge(shared, own))
    except ValidationError as error:
        raise ParamsError(_explain(error, model, own, name, task, path)) from None


def value(content: Mapping[str, Any], key: str, kind: type, path: Path = PARAMS_FILE) -> Any:
    """A top-level value such as `seed`. Raises ParamsError if absent or not of that type."""
    found = content.get(key)
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise ParamsError(f"{path}: {key}: {found!r}: expected {kind.__name__}")
    return found


def seed(path: Path = PARAMS_FILE) -> int:
    """The seed that every random draw of the pipeline starts from."""
    return int(value(read(path), "seed", int, path))


def unknown_key(key: str, known: Iterable[str], path: Path = PARAMS_FILE) -> str:
    """The complaint about a key that nothing reads."""
    return f"{path}: {key}: unknown key; known are {', '.join(known)}"


def deep_merge(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` laid over `shared`: mappings are merged key by key, anything else is replaced."""
    merged = dict(shared)
    for key, new in own.items():
        old = merged.get(key)
        both_mappings = isinstance(old, Mapping) and isinstance(new, Mapping)
        merged[key] = deep_merge(old, new) if both_mappings else new  # type: ignore[arg-type]
    return merged


def _mapping(
    content: Mapping[str, Any], name: str, path: Path, within: str | None = None
) -> Mapping[str, Any]:
    key = f"{within}.{name}" if within else name
    if name not in content:
        raise ParamsError(f"{path}: section {key} is missing; write `{name}: {{}}` if it is empty")
    found = content[name]
    if not isinstance(found, Mapping):
        raise ParamsError(f"{path}: {key}: expected a section, found {found!r}")
    return found


def _explain(
    error: ValidationError,
    model: type[Section],
    own: Mapping[str, Any],
    name: str,
    task: str | None,
    path: Path,
) -> str:
    # A mistyped key is both unknown and missing; the unknown one shows the slip.
    found = error.errors(include_url=False)
    first = min(found, key=lambda each: each["type"] != "extra_forbidden")
    keys = [str(part) for part in first["loc"]]
    prefix = f"{task}.{name}" if task and own and _holds(own, keys) else name
    key = ".".join([prefix, *keys])
    if first["type"] == "extra_forbidden":
        return unknown_key(key, _known_keys(model, keys[:-1]), path)
    if first["type"] == "missing":
        return f"{path}: {key}: missing"
    complaint = first["msg"].removeprefix("Value error, ")
    if isinstance(first["input"], Mapping):
        # Values that do not fit each other are named in the complaint; a whole section is no line.
        return f"{path}: {key}: {complaint}"
    return f"{path}: {key}: {first['input']!r}: {complaint}"


def _known_keys(model: type[BaseModel], keys: list[str]) -> list[str]:
    """The keys of the section that lies at `keys` below the model's."""
    for key in keys:
        nested = model.model_fields[key].annotation
        if not (isinstance(nested, type) and issubclass(nested, BaseModel)):
            break
        model = nested
    return list(model.model_fields)


def _holds(own: Mapping[str, Any], keys: list[str]) -> bool:
    """Whether the offending key stands in the task's own section."""
    level: Any = own
    for key in keys:
        if not isinstance(level, Mapping) or key not in level:
            return isinstance(level, list)
        level = level[key]
    return True
