"""Parameters on the command line: what sets one for a task, and what does not reach a task."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wenmo.config.params_file import TASKS, read
from wenmo.core.language import gettext

Missing = object()

NO_STRINGS = ("true", "false", "null", "nan", "inf")
"""Words that Hydra's grammar reads as something else unless they are quoted."""


def command(task: str, key: str, value: Any) -> str:
    """The command that sets a parameter of a task, in the task's own section if it stands there.

    Raises ParamsError if params.yaml cannot be read.
    """
    own = f"{task}.{key}"
    is_own = _at(read(), tuple(own.split("."))) is not Missing
    return f"dvc exp run -S {_override(own if is_own else key, value)}"


def committed_params() -> Mapping[str, Any]:
    """params.yaml as git's last commit has it; empty without git, a commit or a readable file."""
    try:
        run = subprocess.run(
            ["git", "show", "HEAD:./params.yaml"],  # noqa: S607
            capture_output=True,
            check=True,
            timeout=30,
        )
        content = YAML(typ="safe").load(run.stdout)
    except (OSError, subprocess.SubprocessError, YAMLError, ValueError):
        return {}
    return content if isinstance(content, Mapping) else {}


def unreached(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A warning for each shared key that has changed, and each task in `tasks` whose own value won.

    Nothing is said of a task whose own value was changed too, or is the new one already. `now` fits
    every section; of `before`, which may be anything, only an empty one says nothing at all.
    """
    if not before:
        return
    for task in (task for task in TASKS if task in now["tasks"]):
        for keys, own in _leaves(now[task]):
            shared = _at(now, keys)
            is_outranked = shared not in (Missing, own, _at(before, keys))
            if is_outranked and _at(before, (task, *keys)) == own:
                key = ".".join(keys)
                own_key = f"{task}.{key}"
                yield gettext(
                    "{key}={value} does not reach {task}, whose {own_key} is {own}; set that: -S"
                    " {override}",
                    key=key,
                    value=_word(shared),
                    task=task,
                    own_key=own_key,
                    own=_word(own),
                    override=_override(own_key, shared),
                )


def _leaves(content: Mapping[str, Any], *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, *above, key)
        else:
            yield (*above, key), value


def _at(content: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if not isinstance(content, Mapping) or key not in content:
            return Missing
        content = content[key]
    return content


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _override(key: str, value: Any) -> str:
    """The assignment for -S, in Hydra's grammar and quoted for the shell.

    https://hydra.cc/docs/advanced/override_grammar/basic/
    """
    return shlex.quote(f"{key}={_in_hydra(value)}")


def _in_hydra(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_in_hydra, value))}]"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if re.fullmatch("[a-z_]+", value) and value not in NO_STRINGS:
        return value
    # A backslash is one by itself unless a quote follows.
    escaped = re.sub(r'(\\+)(?="|$)', r"\1\1", value).replace('"', '\\"')
    return f'"{escaped}"'
