"""The only reader of params.yaml and endpoints.yaml.

Each section's model is the module beside this one that has the section's name. This module finds a
section, lays the task's own values over the shared ones and reports what is wrong in one line.
ruamel.yaml reads YAML 1.2, in which 1e-05 is a number.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from wenmo.config.complaints import complaint_about
from wenmo.core.choices import choices
from wenmo.core.errors import ParamsError
from wenmo.core.language import N_, gettext
from wenmo.core.system_words import system_words

TASKS = ("novel", "fairytale", "poetry")
"""The tasks. Each has a section of its own, whose values replace the shared ones."""

PARAMS_FILE = Path("params.yaml")

EXPECTED = {
    int: N_("expected int"),
    str: N_("expected str"),
    list: N_("expected a list, such as [poetry]"),
}
"""What is said of a top-level value of another type."""

# A key with a colon of full width, or without a space after it.
_NO_COLON = re.compile(r"\s*(- )?\w+\s*(：|:[^\s:])")

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Precision = Literal["fp32", "bf16", "fp16"]


class Section(BaseModel):
    """A section of a YAML file: unknown keys are refused, and no value is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def load(cls, name: str, task: str | None = None, path: Path = PARAMS_FILE) -> Self:
        """Section `name` of params.yaml; values of `task`'s own section replace the shared ones.

        Raises ParamsError naming file, key, value and what is allowed.
        """
        return section(cls, read(path), name, task, path)


SectionType = TypeVar("SectionType", bound=Section)


def read(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """The whole file as plain dictionaries. Raises ParamsError if it is no YAML mapping."""
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError("{path}: no such file; run in the repository's root", path=path) from None
    except MarkedYAMLError as error:
        raise _no_yaml(error, path) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ParamsError(
            "{path}:{line}: not UTF-8: {reason}", path=path, line=line, reason=gettext(error.reason)
        ) from None
    except OSError as error:
        raise ParamsError("{place}: {error}", place=path, error=system_words(error)) from None
    except (YAMLError, ValueError) as error:
        # YAML does not allow this character, or the value looks like a date but is none.
        raise ParamsError(
            "{path}: not YAML: {reason}", path=path, reason=str(error).splitlines()[0]
        ) from None
    if not isinstance(content, dict):
        raise ParamsError(
            "{path}: expected sections, found {kind}", path=path, kind=type(content).__name__
        )
    return content


def section(
    model: type[SectionType],
    content: Mapping[str, Any],
    name: str,
    task: str | None = None,
    path: Path = PARAMS_FILE,
    within: str = "",
) -> SectionType:
    """Validate section `name` of a file's content, as `Section.load` does.

    `within` names the section that `content` is, if it is not the whole file. The validation
    context is the content and the path, for values that name an entry of another section.
    """
    shared = mapping(content, name, path, within)
    if task and task not in content:
        raise ParamsError(
            "{path}: section {task} is missing; it holds the task's own values",
            path=path,
            task=task,
        )
    own = mapping(mapping(content, task, path), name, path, within=task) if task else {}
    try:
        return model.model_validate(deep_merge(shared, own), context=(content, path))
    except ValidationError as error:
        raise _explained(error, model, own, name, task or "", path, within) from None


def value(content: Mapping[str, Any], key: str, kind: type, path: Path = PARAMS_FILE) -> Any:
    """A top-level value such as `seed`. Raises ParamsError if it is missing or of another type."""
    found = content.get(key)
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise ParamsError(
            "{path}: {key}: {value!r}: {complaint}",
            path=path,
            key=key,
            value=found,
            complaint=gettext(EXPECTED[kind]),
        )
    return found


def seed(path: Path = PARAMS_FILE) -> int:
    """The seed of all random numbers in the pipeline."""
    return int(value(read(path), "seed", int, path))


def unknown_key(key: str, known: Collection[str], path: Path = PARAMS_FILE) -> ParamsError:
    """The error about a key that nothing reads."""
    return ParamsError(
        "{path}: {key}: unknown key; {choices}",
        path=path,
        key=key,
        choices=choices(key.rpartition(".")[2], known),
    )


def deep_merge(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` laid over `shared`: mappings are merged key by key, other values are replaced."""
    merged = dict(shared)
    for key, new in own.items():
        old = merged.get(key)
        both_mappings = isinstance(old, Mapping) and isinstance(new, Mapping)
        merged[key] = deep_merge(old, new) if both_mappings else new  # type: ignore[arg-type]
    return merged


def mapping(
    content: Mapping[str, Any], name: str, path: Path, within: str = ""
) -> Mapping[str, Any]:
    """Section `name`, not validated yet. Raises ParamsError if it is missing or no section."""
    key = f"{within}.{name}" if within else name
    if name not in content:
        raise ParamsError(
            "{path}: section {key} is missing; write `{name}: {{}}` if it is empty",
            path=path,
            key=key,
            name=name,
        )
    found = content[name]
    if not isinstance(found, Mapping):
        raise ParamsError(
            "{path}: {key}: expected a section, found {found!r}", path=path, key=key, found=found
        )
    return found


def _no_yaml(error: MarkedYAMLError, path: Path) -> ParamsError:
    """The error about wrong syntax, at the line of the slip, which YAML finds a line later."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = error.problem_mark.line if error.problem_mark else 0
    for at in (error.context_mark.line if error.context_mark else found, found - 1, found):
        if 0 <= at < len(lines) and _NO_COLON.match(lines[at]):
            return ParamsError(
                "{path}:{line}: {text!r}: expected a half-width colon and a space after the key",
                path=path,
                line=at + 1,
                text=lines[at].strip(),
            )
    told = gettext(error.problem or str(error))
    return ParamsError("{place}: {error}", place=f"{path}:{found + 1}", error=told)


def _explained(
    error: ValidationError,
    model: type[Section],
    own: Mapping[str, Any],
    name: str,
    task: str,
    path: Path,
    within: str,
) -> ParamsError:
    """The first error in one line: file, key, value and what is allowed."""
    # A mistyped key is both unknown and missing; the unknown one shows the slip.
    found = error.errors(include_url=False)
    first = min(found, key=lambda each: each["type"] != "extra_forbidden")
    keys = _keys(first["loc"])
    above = task if own and _holds(own, keys) else within
    key = ".".join([*([above] if above else []), name, *keys])
    if first["type"] == "extra_forbidden":
        return unknown_key(key, _known_keys(model, keys[:-1]), path)
    if first["type"] == "missing":
        return ParamsError("{path}: {key}: missing", path=path, key=key)
    # A value that may have several types has one complaint per type.
    complaints = [
        complaint_about(each) for each in found if _keys(each["loc"])[: len(keys)] == keys
    ]
    told = gettext(", or ").join(dict.fromkeys(complaints))
    if isinstance(first["input"], Mapping):
        # The complaint names the values that do not fit each other; a whole section is too long.
        return ParamsError("{path}: {key}: {complaint}", path=path, key=key, complaint=told)
    return ParamsError(
        "{path}: {key}: {value!r}: {complaint}",
        path=path,
        key=key,
        value=first["input"],
        complaint=told,
    )


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that lead to a value, without the types that pydantic tried, such as list[str]."""
    return [str(part) for part in location if "[" not in str(part)]


def _known_keys(model: type[BaseModel], keys: list[str]) -> list[str]:
    """The keys of the section at `keys` below the model's."""
    level: Any = model
    for key in keys:
        if isinstance(level, type) and issubclass(level, BaseModel):
            level = level.model_fields[key].annotation
        else:
            # The key is the index of a list or the name of an entry.
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
