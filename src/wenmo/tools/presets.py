"""Presets: presets/<name>.yaml, configurations that are laid over params.yaml.

A preset holds only what it changes, and `about`, which tells what it is and is not laid over. The
default holds each key that any preset changes and is laid over params.yaml first, so that nothing
of the preset before remains. Only values change: the comments, the order and the layout of
params.yaml stay.
"""

from difflib import unified_diff
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.tokens import CommentToken

from wenmo.config import all_sections, fairytale, novel, params_file
from wenmo.config.base_model import HUBS, BaseModelParams
from wenmo.config.params_file import PARAMS_FILE, Section, section
from wenmo.core.choices import choices
from wenmo.core.errors import ParamsError, UserError, WrongArgumentsError
from wenmo.core.language import N_, gettext
from wenmo.core.records import write_text
from wenmo.model.hubs import dataset_commit, is_commit, latest_commit

FOLDER = Path("presets")
DEFAULT = "embedded"

HEAD = (
    *(N_("PRESET"), N_("MODEL"), N_("PARAMETERS"), N_("METHOD"), N_("GPU MEMORY"), N_("LICENCE")),
)
"""Titles of the list of presets."""

MEMORY = (N_("none (CPU)"), N_("by the model"))
"""What presets tell of a GPU's memory that is no size."""

DATASET_TASKS: dict[str, type[novel.PrepareParams] | type[fairytale.PrepareParams]] = {
    "novel": novel.PrepareParams,
    "fairytale": fairytale.PrepareParams,
}
"""The tasks that may read a dataset of a hub, with their section `prepare`."""


class About(Section):
    """Section `about` of a preset: the facts that do not follow from its parameters."""

    parameters: str = ""
    memory: str = ""
    licence: str = ""


def names() -> list[str]:
    """The presets, the default first. Raises UserError where there is none."""
    found = sorted((path.stem for path in FOLDER.glob("*.yaml")), key=lambda n: (n != DEFAULT, n))
    if not found:
        raise UserError("{path}: no presets; run in the repository's root", path=FOLDER)
    return found


def table() -> str:
    """A line per preset: model, its parameters, method, memory of a GPU, licence of the model.

    Raises UserError if there are no presets and ParamsError for one that is no preset.
    """
    from rich.cells import cell_len, set_cell_size

    rows = [tuple(map(gettext, HEAD)), *map(_row, names())]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(set_cell_size, row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def apply(name: str) -> str:
    """Lay a preset over params.yaml and return the changes as a unified diff; empty if none.

    What this machine lacks for the preset does not matter: params.yaml may be meant for another.
    Raises UserError for an unknown name and ParamsError for a preset that does not fit the
    parameters; params.yaml is then as it was.
    """
    known = names()
    if name not in known:
        raise WrongArgumentsError(
            "{name!r} is no preset; {choices}", name=name, choices=choices(name, known)
        )
    yaml = _round_trip()
    paths = [FOLDER / f"{each}.yaml" for each in dict.fromkeys((DEFAULT, name))]
    return _change(yaml, [_load(yaml, path) for path in paths], paths[-1])


def kept() -> str:
    """What a preset has left as it was, and which tasks then lack texts, for the reader."""
    found, separator = params_file.read(), gettext(", ")
    told = gettext(
        "data_dir is {folder} as before, and so is all that is not shown above; tasks: {tasks}",
        folder=found["data_dir"],
        tasks=separator.join(found["tasks"]),
    )
    lacking = [task for task in found["tasks"] if not Path(found["data_dir"], task).is_dir()]
    if lacking:
        told += "\n" + gettext(
            "{folder} has no folder for {tasks}: take that out of tasks, or put texts there",
            folder=found["data_dir"],
            tasks=separator.join(lacking),
        )
    return told


def pin() -> str:
    """Enter the commits at which the model and the datasets of params.yaml stand.

    Each is that of its name at its revision, a branch or tag, by default the main branch. A commit
    stays. Returns the change. Raises ParamsError if nothing is from a hub, and UserError if a hub
    does not tell a commit.
    """
    base = BaseModelParams.load("base_model")
    datasets = {
        task: prepare.dataset
        for task, model in DATASET_TASKS.items()
        if (prepare := model.load("prepare", task)).dataset.name
    }
    if base.source not in HUBS and not datasets:
        raise ParamsError(
            "{path}: base_model.source: {source!r}: only a model from {hubs} has a commit to pin",
            path=PARAMS_FILE,
            source=base.source,
            hubs=gettext(" or ").join(HUBS),
        )
    pins = CommentedMap()
    if base.source in HUBS and not is_commit(base.revision):
        commit = latest_commit(base.source, base.name, base.revision)
        pins["base_model"] = CommentedMap(revision=commit)
    for task, dataset in datasets.items():
        if not is_commit(dataset.revision):
            commit = dataset_commit(dataset.name, dataset.revision)
            entry = CommentedMap(dataset=CommentedMap(revision=commit))
            pins[task] = CommentedMap(prepare=entry)
    return _change(_round_trip(), [pins]) if pins else ""


def missing_libraries() -> str:
    """What params.yaml needs for training that is not installed, as an error; empty if nothing."""
    try:
        all_sections.refuse_missing(params_file.read())
    except ParamsError as missing:
        return str(missing)
    return ""


def lay_over(document: CommentedMap, overlay: CommentedMap) -> None:
    """Change `document` in place as `deep_merge` does; its comments stay where they are."""
    for key, new in overlay.items():
        old = document.get(key)
        if isinstance(new, CommentedMap) and isinstance(old, CommentedMap) and old:
            lay_over(old, new)
        else:
            # ruamel.yaml keeps the comment above a key with the last value before it. A list that
            # is replaced would take the next key's comment along.
            comment = _take_comment(document, key if key in document else [*document][-1])
            # The comment above the first line of the old value goes with that value.
            document.ca.items.pop(key, None)
            document[key] = _bare(new)
            _put_comment(document, key, comment)


def _row(name: str) -> tuple[str, ...]:
    default, own = (params_file.read(FOLDER / f"{each}.yaml") for each in (DEFAULT, name))
    about = section(About, {"about": {}} | own, "about", path=FOLDER / f"{name}.yaml")
    whole = params_file.deep_merge(default, own)
    train = whole["train"]
    base, bits = whole["base_model"], train["quantization"].removesuffix("bit")
    model = base["name"] or {"path": gettext("your own")}.get(base["source"], base["source"])
    method = "LoRA" if bits == "none" else gettext("QLoRA, {bits} bits", bits=bits)
    memory = gettext(about.memory) if about.memory else ""
    return name, model, about.parameters, method, memory, about.licence


def _change(yaml: YAML, overlays: list[CommentedMap], preset: Path = PARAMS_FILE) -> str:
    """Lay overlays over params.yaml, write it if it changes, and return the unified diff."""
    document, stream = _load(yaml, PARAMS_FILE), StringIO()
    for overlay in overlays:
        overlay.pop("about", None)
        lay_over(document, overlay)
    yaml.dump(document, stream)
    before, after = PARAMS_FILE.read_text(encoding="utf-8"), stream.getvalue()
    _check(before, after, preset)
    if after != before:
        write_text(PARAMS_FILE, after)
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(unified_diff(*lines, str(PARAMS_FILE), str(PARAMS_FILE)))


def _round_trip() -> YAML:
    """Reader and writer that leave the layout of params.yaml as it is."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _load(yaml: YAML, path: Path) -> CommentedMap:
    params_file.read(path)  # tells what is wrong with it in one line
    content: CommentedMap = yaml.load(path.read_text(encoding="utf-8"))
    return content


def _check(before: str, after: str, preset: Path) -> None:
    try:
        all_sections.check(YAML(typ="safe").load(after), preset)
    except ParamsError:
        # If params.yaml was wrong before, that is the error to report.
        all_sections.check(YAML(typ="safe").load(before))
        raise


def _bare(value: Any) -> Any:
    """A preset's value in block style, without the preset's comments."""
    if isinstance(value, CommentedMap):
        return CommentedMap((key, _bare(each)) for key, each in value.items())
    if isinstance(value, CommentedSeq):
        return CommentedSeq(_bare(each) for each in value)
    return value


def _last_leaf(parent: Any, key: Any) -> tuple[Any, Any]:
    """The container and key of the last scalar, or empty container, that is written for a value."""
    value = parent[key]
    if not isinstance(value, CommentedMap | CommentedSeq) or not value or value.fa.flow_style():
        return parent, key
    return _last_leaf(value, len(value) - 1 if isinstance(value, CommentedSeq) else [*value][-1])


def _take_comment(parent: CommentedMap, key: Any) -> CommentToken | None:
    container, last = _last_leaf(parent, key)
    slots: list[CommentToken | None] = container.ca.items.get(last, [])
    slot = _comment_slot(container)
    if len(slots) <= slot:
        return None
    comment, slots[slot] = slots[slot], None
    return comment


def _put_comment(parent: CommentedMap, key: Any, comment: CommentToken | None) -> None:
    container, last = _last_leaf(parent, key)
    if comment:
        slots = container.ca.items.setdefault(last, [None, None, None, None])
        slots[_comment_slot(container)] = comment


def _comment_slot(container: CommentedMap | CommentedSeq) -> int:
    """Where ruamel.yaml keeps the comment after a value."""
    return 0 if isinstance(container, CommentedSeq) else 2
