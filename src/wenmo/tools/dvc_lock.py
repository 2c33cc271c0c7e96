"""dvc.lock: which stage made a file, from which inputs, by which command and parameters.

https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#dvclock-file
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from tqdm import tqdm

from wenmo.config.params_file import PARAMS_FILE, deep_merge
from wenmo.core.errors import UserError
from wenmo.core.language import N_, Message, gettext

LOCK_FILE = Path("dvc.lock")

CHECKED = "data/checked/"
"""What the stage `check` writes: it lets the others start, and nothing of it is in a result."""

# These are gigabytes, which are not read again to tell where a line comes from.
_MODELS = "models/"


@dataclass(frozen=True)
class Stage:
    """A stage as it last ran: paths with their md5, and its sections of params.yaml."""

    name: str
    command: str
    inputs: dict[str, str]
    params: dict[str, Any]
    outputs: dict[str, str]

    @property
    def task(self) -> str:
        """The task that it is for; empty for check and base_model."""
        return self.name.partition("@")[2]

    def section(self, name: str) -> dict[str, Any]:
        """A section of its parameters, the task's own values laid over the shared ones."""
        own = self.params.get(f"{self.task}.{name}") or {}
        return deep_merge(self.params.get(name) or {}, own)

    def dotted_params(self) -> dict[str, Any]:
        """The parameters that it obeyed, dotted: the seed, its own section and the chat's.

        Keys of its own section stand without the section's name, sampling first. What is set for
        engines and sources that were not used is left out.
        """
        name = self.name.partition("@")[0].replace("baseline", "generate")
        own = self.section(name)
        unused = _unused(name, own)
        used = {key: value for key, value in own.items() if key not in unused}
        first = {key: self.params[key] for key in ("seed",) if key in self.params}
        first |= {key: used[key] for key in ("sampling",) if key in used}
        chat = {"chat": self.section("chat")} if "chat" in self.params else {}
        return dict(dotted(first | used | chat))


Lock = Mapping[str, Stage]
"""The stages by name."""


def read_lock(path: Path = LOCK_FILE) -> Lock:
    """The stages of a dvc.lock; none if there is no file. Raises UserError for any other file."""
    if not path.is_file():
        return {}
    try:
        return parse_lock(path.read_text(encoding="utf-8", errors="replace"), str(path))
    except UserError as error:
        raise UserError("{error}; run `git checkout {path}`", error=error, path=path) from None


def parse_lock(text: str, place: str = str(LOCK_FILE)) -> Lock:
    """The stages of a dvc.lock's text. Raises UserError, naming the place, for any other text."""
    try:
        content = YAML(typ="safe").load(text)
        return {
            name: Stage(
                name,
                stage["cmd"],
                {each["path"]: each.get("md5", "") for each in stage.get("deps", ())},
                stage.get("params", {}).get(str(PARAMS_FILE), {}),
                {each["path"]: each.get("md5", "") for each in stage.get("outs", ())},
            )
            for name, stage in content["stages"].items()
        }
    except (YAMLError, TypeError, KeyError, AttributeError):
        raise UserError("{place}: not written by DVC", place=place) from None


def maker(lock: Lock, path: PurePath | str) -> tuple[Stage, str] | None:
    """The stage that made a file, and the output which is or holds the file; None for a source."""
    for stage in lock.values():
        for output in stage.outputs:
            if PurePath(path).is_relative_to(output):
                return stage, output
    return None


def way(lock: Lock, path: PurePath | str, untouched: str = "") -> list[Stage]:
    """The stages that led to a file, the last one first.

    The output `untouched` had no part in the file, though the stage that made it waited for it.
    """
    found: dict[str, Stage] = {}

    def follow(name: PurePath | str) -> None:
        made = maker(lock, name)
        if made and made[0].name not in found:
            stage = made[0]
            for each in stage.inputs:
                if each != untouched and not each.startswith(CHECKED):
                    follow(each)
            found[stage.name] = stage

    follow(path)
    return list(found.values())[::-1]


def raw_folder(lock: Lock, task: str) -> Path | None:
    """The folder in which prepare read a task's raw texts; None if it has not run."""
    stage = lock.get(f"prepare@{task}")
    if stage is None:
        return None
    return next((Path(each) for each in stage.inputs if stage.command.endswith(f" {each}")), None)


def differences(lock: Lock, path: PurePath | str, stages: list[Stage]) -> Iterator[Message]:
    """Sentences: what is not as it was when the stages that led to the file ran.

    Changed code is left to `dvc status`. Models are compared by what dvc.lock says.
    """
    made = maker(lock, path)
    if made is None:
        yield partial(
            gettext,
            N_("dvc.lock does not record {path}, so its origin is not known; run `dvc repro`"),
            path=path,
        )
        return
    stage, output = made
    if md5(Path(output)) != stage.outputs[output]:
        yield partial(
            gettext,
            N_(
                "{output} has changed since {stage} made it; `dvc checkout {output}` brings back"
                " what dvc.lock records, which the rest of this page is about"
            ),
            output=output,
            stage=stage.name,
        )
    told = {output}
    for stage in stages:
        for name, then in stage.inputs.items():
            if name in told or name.startswith(CHECKED):
                continue
            source = maker(lock, name)
            if source and source[0] not in stages:
                continue
            if source and source[0].outputs.get(name, then) != then:
                told.add(name)
                yield partial(
                    gettext,
                    N_("{other} has run since {stage} did: {path} is another one now"),
                    other=source[0].name,
                    stage=stage.name,
                    path=name,
                )
            elif not name.startswith(_MODELS) and Path(name).exists() and md5(Path(name)) != then:
                told.add(name)
                yield partial(
                    gettext,
                    N_("{path} has changed since {stage} read it"),
                    path=name,
                    stage=stage.name,
                )


def md5(path: Path) -> str:
    """The hash of a file or folder as in dvc.lock; empty if there is no such file or folder."""
    # DVC takes a quarter of a second to load, for which no other command should wait.
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    if not path.is_dir():
        return _file_md5(path) if path.is_file() else ""
    tree = Tree()  # type: ignore[no-untyped-call]
    files = sorted(each for each in path.rglob("*") if each.is_file())
    for each in tqdm(files, f"reading {path}", leave=False, delay=2):
        tree.add(each.relative_to(path).parts, None, HashInfo("md5", _file_md5(each)))
    tree.digest()
    return str(tree.oid)


def _file_md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unused(name: str, section: Mapping[str, Any]) -> set[str]:
    """The keys of a stage's section that are set for what it might have used instead."""
    if name == "generate":
        return {"transformers", "vllm", "openai"} - {section.get("engine")}
    if name == "train":
        return {"grpo"} - {section.get("method")}
    if name == "evaluate":
        return {"judge"} if section.get("judge", {}).get("endpoint") == "none" else set()
    if name == "summarize":
        offline = section.get("provider") == "offline"
        return set(section) - {"provider", "max_prompt_chars"} if offline else set()
    if name == "base_model":
        match section.get("source"):
            case "tiny":
                return {"name", "revision"}
            case "embedded" | "path":
                return {"name", "revision", "tiny"}
        return {"path", "tiny"}
    return set()


def dotted(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of nested sections with its dotted key; a list is one value."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
