"""Code fingerprints: the pinned libraries, and the modules that a stage runs with their digests.

A digest is one of the syntax tree without docstrings, so that neither a comment nor a line break
nor a docstring makes a stage stale. The stage `check` writes the fingerprint of every stage to
data/checked/code; each stage depends on its own there, and looks again when it starts.
"""

import ast
import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError

SOURCE = Path(__file__).parents[2]
STAGES = SOURCE.parent / "stages"
PROJECT = Path("pyproject.toml")
WRITTEN = Path("data/checked/code")

LOADED_BY_NAME = {
    "prepare": "wenmo.tasks",
    "train": "wenmo.methods",
    "baseline": "wenmo.engines",
    "generate": "wenmo.engines",
}
"""The package from which a stage takes a module by a name that stands in params.yaml."""

READ_BY = {
    "wenmo.report.both_languages": "wenmo/locale/zh_CN/LC_MESSAGES/wenmo.po",
    "wenmo.text.patterns": "wenmo/text/data/tunes.txt",
}
"""What a module puts into outputs, though it does not lie beside the module."""

DIGITS = 16
"""Hexadecimal digits of a digest: a fingerprint is read by people too."""


def stage_fingerprint(stage: str, loaded: str = "") -> str:
    """The fingerprint of a stage's script, with the module that it loads by the name `loaded`.

    A line per library, as pyproject.toml pins it, then a line per module, `name digest`, in order
    of name. Raises UserError if there is no list of libraries, or a source is no Python.
    """
    by_name = [f"{LOADED_BY_NAME[stage]}.{loaded}"] if loaded else []
    return _libraries() + module_fingerprint(f"stages.{stage}", *by_name)


def all_fingerprints(loadable: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The fingerprint of every stage but `check`, by a name such as `train` or `generate.vllm`.

    `loadable` has, for the stages of LOADED_BY_NAME, the names that they may load. Raises UserError
    as `stage_fingerprint` does, and if a file was edited meanwhile.
    """
    stages = sorted(script.stem for script in STAGES.glob("*.py") if script.stem != "check")
    found = {
        f"{stage}.{loaded}".rstrip("."): stage_fingerprint(stage, loaded)
        for stage in stages
        for loaded in loadable.get(stage, ("",))
    }
    for path, content in _read.items():
        if not path.is_file() or path.read_bytes() != content:
            raise UserError("{path}: edited meanwhile; run it again", path=path)
    return found


def module_fingerprint(*modules: str) -> str:
    """The fingerprint of modules, by their dotted names, and of all of wenmo that they import."""
    found: dict[str, str] = {}
    waiting = [*modules]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _path(name)
        found[name], imports = _parsed(path, _content(path))
        waiting += [each for each in imports if _path(each).is_file()]
        found |= {
            str(beside.relative_to(SOURCE)): _digest(_content(beside))
            for beside in path.parent.glob("[!.]*.*")
            if beside.suffix not in (".py", ".pyc") and path.is_relative_to(SOURCE)
        }
        if name in READ_BY:
            found[READ_BY[name]] = _digest(_content(SOURCE / READ_BY[name]))
    return "".join(f"{name} {found[name]}\n" for name in sorted(found))


def refuse_changed_code(stage: str, task: str) -> None:
    """Raise UserError if code or libraries are not what `check` has seen, naming what has changed.

    DVC hashes a stage's dependencies after it has run, so that code which is edited meanwhile would
    pass for the code that ran (https://github.com/treeverse/dvc/issues/11058), and `dvc repro
    --single-item` leaves `check` out. A folder in which `check` has not run has nothing to compare.
    """
    of_task = WRITTEN / f"{stage}.{task}.txt"
    written = [of_task] if of_task.is_file() else WRITTEN.glob(f"{stage}.*txt")
    for path in sorted(written):
        loaded = path.name.removeprefix(f"{stage}.").removesuffix("txt").removesuffix(".")
        then = set(path.read_text(encoding="utf-8").splitlines())
        now = set(stage_fingerprint(stage, loaded).splitlines())
        if changed := sorted({line.partition(" ")[0] for line in then ^ now}):
            name = stage if task == "all" else f"{stage}@{task}"
            raise UserError(
                "code or libraries have changed since `check`: {changed}; run `dvc repro {name}`",
                changed=", ".join(changed),
                name=name,
            )


def _path(name: str) -> Path:
    first, *rest = name.split(".")
    folder = STAGES if first == "stages" else SOURCE / first
    return folder.joinpath(*rest).with_suffix(".py")


_read: dict[Path, bytes] = {}


def _content(path: Path) -> bytes:
    if path not in _read:
        _read[path] = path.read_bytes()
    return _read[path]


def _libraries() -> str:
    """The entries of project.dependencies, a line each."""
    try:
        pins = tomllib.loads(_content(PROJECT).decode())["project"]["dependencies"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "{project}: no list project.dependencies in it: {error}", project=PROJECT, error=error
        ) from None
    return "".join(f"{pin}\n" for pin in pins)


@cache
def _parsed(path: Path, content: bytes) -> tuple[str, tuple[str, ...]]:
    """The digest of a source, and the dotted names in wenmo that it imports."""
    try:
        tree = ast.parse(content)
    except SyntaxError as error:
        raise UserError(
            "{place}: {error}", place=f"{path}:{error.lineno}", error=error.msg
        ) from None
    form = json.dumps(_form(tree), separators=(",", ":"))
    return _digest(form.encode()), tuple(_imports(tree.body))


def _form(node: Any) -> Any:
    """A syntax tree as lists, without places, docstrings and what is empty.

    Fields are named and empty ones left out, so that a Python with more fields gives the same form.
    """
    if isinstance(node, ast.AST):
        form: list[Any] = [type(node).__name__]
        for name in node._fields:
            value = getattr(node, name, None)
            if name != "ctx" and value is not None and value != []:
                form += name, _form(value)
        return form
    if isinstance(node, list):
        return [_form(each) for each in node if not _is_text_alone(each)]
    # A number must not look like the text of its digits.
    return node if isinstance(node, str) else [type(node).__name__, repr(node)]


def _is_text_alone(node: ast.AST) -> bool:
    """Whether a statement is a docstring, or a string below a name that explains it."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imports(statements: Iterable[ast.AST]) -> Iterator[str]:
    """The dotted names in wenmo that statements import, less those for type checkers alone."""
    for statement in statements:
        match statement:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.startswith("wenmo."))
            case ast.ImportFrom(module=str(module), names=names):
                if module.split(".")[0] == "wenmo":
                    yield module
                    yield from (f"{module}.{alias.name}" for alias in names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
                yield from _imports(otherwise)
            case _:
                for block in ("body", "orelse", "finalbody", "handlers", "cases"):
                    inner = getattr(statement, block, None)
                    if isinstance(inner, list):
                        yield from _imports(inner)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]
