"""The base model that all tasks start from."""

from pathlib import Path

from wenmo.config.base_model import BaseModelParams
from wenmo.core.errors import UserError
from wenmo.model import hubs, tiny
from wenmo.model.folder import count_parameters, place, select
from wenmo.model.provenance import write_record


def provide(output: Path, params: BaseModelParams, seed: int) -> dict[str, float]:
    """Put the base model that `base_model.source` names into `output`, with its wenmo.json.

    Returns its parameter count and, for the tiny one, its last pre-training loss. Raises UserError
    where the source is not to be had or is no model; no half model is left behind.
    """
    match params.source:
        case "tiny":
            return _build_tiny(output, params, seed)
        case "path":
            return _copy_folder(output, Path(params.path))
    fetch = {"huggingface": hubs.from_hugging_face, "modelscope": hubs.from_model_scope}
    snapshot = fetch[params.source](params.name, params.revision)
    parameters = count_parameters(snapshot.folder, params.name)
    place(snapshot.folder, snapshot.names, output, link_weights=True)
    write_record(output, params.source, params.name, params.revision)
    return {"parameters": parameters}


def _build_tiny(output: Path, params: BaseModelParams, seed: int) -> dict[str, float]:
    ledger = tiny.build(Path(params.path), output, params.tiny, seed)
    write_record(output, "tiny")
    return ledger


def _copy_folder(output: Path, folder: Path) -> dict[str, float]:
    origin = f"base_model.path: {folder}"
    if not folder.is_dir():
        raise UserError(f"{origin}: no such folder")
    if folder.resolve() == output.resolve():
        raise UserError(f"{origin}: that is where the copy goes; move your model to another folder")
    names = select((path.name for path in folder.iterdir() if path.is_file()), origin)
    parameters = count_parameters(folder, origin)
    place(folder, names, output, link_weights=False)
    write_record(output, "path", folder.resolve().name)
    return {"parameters": parameters}
