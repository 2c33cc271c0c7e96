"""One revision's parameters, scores and texts: an experiment, branch, tag, commit or the workspace.

Files are read through dvc.api, which takes them from git or from DVC's cache or remote, so that
nothing is checked out (https://doc.dvc.org/api-reference/dvcfilesystem).
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from wenmo.config.params_file import TASKS, deep_merge
from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext
from wenmo.core.records import Generation
from wenmo.tools.dvc_lock import CHECKED, Lock, Stage, dotted, maker, parse_lock

WORKSPACE = "workspace"
"""The revision's name of the working tree."""


@dataclass(frozen=True)
class ScoredRow:
    """A line of reports/<task>.jsonl: a held-out row's own scores of base and tuned."""

    id: str
    source: str
    prompt: str
    base: dict[str, float]
    tuned: dict[str, float]


Line = TypeVar("Line", ScoredRow, Generation)


class Revision:
    """The files of one revision; each error names the revision, the file and the way out."""

    def __init__(self, name: str) -> None:
        """`name` is any name that DVC knows. Raises UserError if it knows none such."""
        # This import takes 0.3 s, for which no other command should wait.
        from dvc.api import DVCFileSystem
        from dvc.exceptions import DvcException
        from scmrepo.exceptions import SCMError

        self.name = name
        try:
            self._files = DVCFileSystem(rev=None if name == WORKSPACE else _unambiguous(name))
            self.commit = "" if name == WORKSPACE else str(self._files.repo.get_rev())
        except AttributeError:
            # DVC treats whatever git finds by that name as a commit.
            raise UserError("{name}: it names no commit", name=name) from None
        except (DvcException, SCMError) as error:
            raise UserError(
                "{name}: {error}; `dvc exp list --all-commits` and `git branch --all` list the"
                " names, and {workspace} is the working tree",
                name=name,
                error=error,
                workspace=WORKSPACE,
            ) from None

    @property
    def root(self) -> Path:
        """The repository's folder, which is the same for all revisions."""
        from dvc.repo import Repo

        return Path(Repo.find_root())

    @cached_property
    def params(self) -> dict[str, Any]:
        """The content of params.yaml."""
        try:
            content = YAML(typ="safe").load(self._text("params.yaml"))
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UserError(
                "{revision}: {place}: {error}",
                revision=self.name,
                place=f"params.yaml:{line}",
                error=error.problem,
            ) from None
        if not isinstance(content, dict) or not isinstance(content.get("tasks"), list):
            raise UserError(
                "{revision}: params.yaml: no list of tasks, so nothing to compare",
                revision=self.name,
            )
        return content

    @property
    def tasks(self) -> list[str]:
        """The tasks of params.yaml."""
        return [task for task in TASKS if task in self.params["tasks"]]

    @cached_property
    def libraries(self) -> dict[str, str]:
        """The version of each library in pyproject.toml; empty if there is no such file."""
        if not self._files.exists("/pyproject.toml"):
            return {}
        try:
            project = tomllib.loads(self._text("pyproject.toml"))["project"]
            pins = [pin.partition("==") for pin in project["dependencies"]]
        except (tomllib.TOMLDecodeError, KeyError) as error:
            raise UserError(
                "{revision}: {place}: {error}",
                revision=self.name,
                place="pyproject.toml",
                error=error,
            ) from None
        return {name.strip(): version for name, _, version in pins}

    def resamples(self, task: str) -> int:
        """`evaluate.resamples`, the task's own before the shared one."""
        own = self.params.get(task) or {}
        section = deep_merge(self.params.get("evaluate") or {}, own.get("evaluate") or {})
        if "resamples" not in section:
            raise UserError(
                "{revision}: params.yaml: evaluate.resamples is missing", revision=self.name
            )
        return int(section["resamples"])

    def tuned_scores(self, task: str) -> dict[str, float]:
        """The scores of tuned in metrics/evaluate/<task>.json, over all held-out rows."""
        path = f"metrics/evaluate/{task}.json"
        try:
            scores = json.loads(self._text(path, task))["tuned"]
            return {key: float(value) for key, value in scores.items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise UserError(
                "{revision}: {path}: no scores of tuned; `dvc repro evaluate@{task}` with the code"
                " of today writes them",
                revision=self.name,
                path=path,
                task=task,
            ) from None

    def scored_rows(self, task: str) -> list[ScoredRow]:
        """The held-out rows with their scores, in the order of the file."""
        return list(self._lines(ScoredRow, f"reports/{task}.jsonl", task))

    def generations(self, task: str, model: str) -> dict[str, list[Generation]]:
        """The texts of base or tuned by the id of the row; a row may have several."""
        texts: dict[str, list[Generation]] = {}
        for each in self._lines(Generation, f"outputs/{task}/eval.{model}.jsonl", task):
            texts.setdefault(each.id, []).append(each)
        return texts

    def changed_since_built(self, task: str) -> list[str]:
        """Keys of params.yaml whose value is not the one that dvc.lock records for the task.

        They have changed by an edit, or in an experiment that ran other tasks alone.
        """
        found = set()
        for stage in self._locked_stages(task).values():
            for section, value in stage.params.items():
                now: Any = self.params
                for part in section.split("."):
                    now = now.get(part, {}) if isinstance(now, Mapping) else {}
                found.update(differing(flatten({section: value}), flatten({section: now})))
        return sorted(found)

    def made_since_read(self, task: str) -> list[tuple[str, str, str]]:
        """The reading stage, the writing stage and the path of each file that was written since.

        A file of a folder is left out if DVC has no listing of the folder.
        """
        found = []
        for name, stage in self._locked_stages(task).items():
            others = {other: each for other, each in self._lock.items() if other != name}
            found += [
                (name, made[0].name, path)
                for path, then in stage.inputs.items()
                if then and (made := maker(others, path))
                if self._made_md5(path, *made) not in ("", then)
            ]
        return found

    def _made_md5(self, path: str, stage: Stage, output: str) -> str:
        """The md5 of an output or of a file of its folder; empty if it is not known."""
        from dvc_data.index import DataIndexDirError

        if path == output:
            return stage.outputs[output]
        try:
            # This is the md5 that DVC records, whatever lies in the workspace.
            return str(self._files.info(f"/{path}").get("dvc_info", {}).get("md5", ""))
        except (FileNotFoundError, DataIndexDirError):
            return ""

    def inputs(self, task: str) -> dict[str, str]:
        """The md5, by dvc.lock, of each file that the task was built from: code and data."""
        return {
            path: md5
            for stage in self._locked_stages(task).values()
            for path, md5 in stage.inputs.items()
            if path.startswith(f"{CHECKED}code/") or not maker(self._lock, path)
        }

    def _locked_stages(self, task: str) -> Lock:
        return {
            name: stage
            for name, stage in self._lock.items()
            if name == "base_model" or name.endswith(f"@{task}")
        }

    @cached_property
    def _lock(self) -> Lock:
        if not self._files.exists("/dvc.lock"):
            return {}
        return parse_lock(self._text("dvc.lock"), f"{self.name}: dvc.lock")

    def _lines(self, kind: type[Line], path: str, task: str) -> Iterator[Line]:
        # What an older revision's rows lack has its default.
        names = {field.name for field in fields(kind)}
        wanted = [field.name for field in fields(kind) if field.default is MISSING]
        # splitlines would also break at characters that may stand within a text.
        for number, line in enumerate(self._text(path, task).split("\n"), start=1):
            if not line.strip():
                continue
            place = f"{self.name}: {path}:{number}"
            try:
                content = json.loads(line)
                yield kind(**{key: content[key] for key in names & content.keys()})
            except json.JSONDecodeError as error:
                raise UserError(
                    "{place}: not JSON: {reason}", place=place, reason=gettext(error.msg)
                ) from None
            except (AttributeError, TypeError):
                raise UserError(
                    "{place}: expected the keys {wanted}", place=place, wanted=", ".join(wanted)
                ) from None

    def _text(self, path: str, task: str = "") -> str:
        from dvc.exceptions import DvcException
        from dvc_data.index import DataIndexDirError

        try:
            return str(self._files.read_text(f"/{path}", encoding="utf-8"))
        except (FileNotFoundError, DataIndexDirError):
            raise self._missing(path, task) from None
        except UnicodeDecodeError as error:
            raise UserError(
                "{revision}: {path}: not UTF-8: {reason}",
                revision=self.name,
                path=path,
                reason=gettext(error.reason),
            ) from None
        except (DvcException, OSError) as error:
            raise UserError(
                "{revision}: {place}: {error}", revision=self.name, place=path, error=error
            ) from None

    def _missing(self, path: str, task: str) -> UserError:
        """The error about a file that the revision does not know, never built or cannot fetch."""
        if not task:
            return UserError(
                "{revision}: {path}: no such file; run in the repository of the pipeline",
                revision=self.name,
                path=path,
            )
        # The folder comes first: if it is an output without listing, its files are unknown to DVC.
        places = (f"/{path.rpartition('/')[0]}", f"/{path}")
        info = next((self._files.info(place) for place in places if self._files.isdvc(place)), None)
        if info is None:
            return UserError(
                "{revision}: {path}: its dvc.yaml does not make this file; build it again with the"
                " code of today",
                revision=self.name,
                path=path,
            )
        build = f"`dvc repro evaluate@{task}`"
        if self.name != WORKSPACE:
            build = gettext(
                "`dvc exp apply {revision}` (of a commit: `git switch --detach {revision}`) and"
                " {build}",
                revision=self.name,
                build=build,
            )
        complaint = N_(
            "{revision}: {path}: neither in the cache nor in the remote; run `dvc push`"
            " (`dvc exp push`) where it was built, or {build} builds it again"
        )
        if "md5" not in info:
            complaint = N_(
                "{revision}: {path}: not built; {build} builds it (--task leaves other tasks out)"
            )
        return UserError(complaint, revision=self.name, path=path, build=build)


def _unambiguous(name: str) -> str:
    """The name, or the commit of the one experiment of this name that is on the current branch.

    Raises UserError if several experiments have the name and not exactly one is on the branch.
    """
    from dvc.exceptions import DvcException
    from dvc.repo.experiments.utils import exp_refs_by_names
    from dvc.scm import SCM, resolve_rev

    scm = SCM(os.curdir)
    try:
        resolve_rev(scm, name)
    except DvcException:
        found = exp_refs_by_names(scm, {name})[name]
        if len(found) < 2:
            raise
    else:
        return name
    repo = scm.pygit2.repo
    head = scm.get_rev()
    here = [each for each in found if repo.merge_base(head, each.baseline_sha) == each.baseline_sha]
    if len(here) == 1:
        return str(scm.get_ref(str(here[0])))
    each_on = ", ".join(
        gettext(
            "{experiment} on {commit}",
            experiment=scm.get_ref(str(each))[:7],
            commit=each.baseline_sha[:7],
        )
        for each in sorted(found, key=str)
    )
    raise UserError(
        "{name}: {count} experiments have this name: {each_on}; name one by its hash",
        name=name,
        count=len(found),
        each_on=each_on,
    )


def flatten(content: Mapping[str, Any]) -> dict[str, str]:
    """Dotted keys and their values as JSON."""
    return {
        key: json.dumps(value, ensure_ascii=False, default=str) for key, value in dotted(content)
    }


def differing(*flats: Mapping[str, str]) -> list[str]:
    """The keys whose values are not all the same, in the order of their first appearance."""
    keys = dict.fromkeys(key for flat in flats for key in flat)
    return [key for key in keys if len({flat.get(key) for flat in flats}) > 1]
