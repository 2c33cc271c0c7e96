"""The one reader of params.yaml.

Each section's model is a module beside this one, by the section's name. This module finds a
section, lays the task's own values over the shared ones and reports what is wrong in one line.
ruamel.yaml reads YAML 1.2, in which 1e-05 is a number.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from wenmo.core.errors import ParamsError

TASKS = ("novel", "fairytale", "poetry")
"""Each has a section of its own, laid over the shared ones."""

PARAMS_FILE = Path("params.yaml")

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Precision = Literal["fp32", "bf16", "fp16"]


class Section(BaseModel):
    """A section of params.yaml: unknown keys are refused, and no value is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

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
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ParamsError(f"{path}:{line}: not UTF-8: {error.reason}") from None
    except OSError as error:
        raise ParamsError(f"{path}: {error.strerror}") from None
    except (YAMLError, ValueError) as error:
        # A character that YAML does not allow, or what it takes for a date that there is not.
        raise ParamsError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
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
    if task and task not in content:
        raise ParamsError(f"{path}: section {task} is missing; it holds what that task has alone")
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
    keys = _keys(first["loc"])
    prefix = f"{task}.{name}" if task and own and _holds(own, keys) else name
    key = ".".join([prefix, *keys])
    if first["type"] == "extra_forbidden":
        return unknown_key(key, _known_keys(model, keys[:-1]), path)
    if first["type"] == "missing":
        return f"{path}: {key}: missing"
    # Of a value that may be of several types, each has its own complaint.
    complaints = [each["msg"] for each in found if _keys(each["loc"])[: len(keys)] == keys]
    complaint = ", or ".join(dict.fromkeys(complaints)).removeprefix("Value error, ")
    if isinstance(first["input"], Mapping):
        # Values that do not fit each other are named in the complaint; a whole section is no line.
        return f"{path}: {key}: {complaint}"
    return f"{path}: {key}: {first['input']!r}: {complaint}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """Where a value stands in the file, without the type that pydantic tried it as (list[str])."""
    return [str(part) for part in location if "[" not in str(part)]


def _known_keys(model: type[BaseModel], keys: list[str]) -> list[str]:
    """The keys of the section that lies at `keys` below the model's."""
    level: Any = model
    for key in keys:
        if isinstance(level, type) and issubclass(level, BaseModel):
            level = level.model_fields[key].annotation
        else:
            # An entry of a list, or of a mapping by name.
            level = get_args(level)[-1]
    return list(level.model_fields)


def _holds(own: Mapping[str, Any], keys: list[str]) -> bool:
    """Whether the offending key stands in the task's own section."""
    level: Any = own
    for key in keys:
        if not isinstance(level, Mapping) or key not in level:
            return isinstance(level, list)
        level = level[key]
    return True
