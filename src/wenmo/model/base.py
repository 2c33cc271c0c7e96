"""The base model that all tasks start from."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wenmo.config.base_model import BaseModelParams
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.outside import read_json_object
from wenmo.core.records import write_json, write_text
from wenmo.model import gguf, hubs, tiny
from wenmo.model.contract import Contract, find_contract
from wenmo.model.folder import belongs, of_path, place, refuse_links, select
from wenmo.model.loading import WAY_OUT, open_tokenizer, refuse_unknown_architecture
from wenmo.model.provenance import write_record
from wenmo.model.shapes import Shapes, read_shapes
from wenmo.model.trial import within_limits

FETCH = {"huggingface": hubs.from_hugging_face, "modelscope": hubs.from_model_scope}
FOLDERS = ("embedded", "path")
"""The sources that are a folder on this machine."""


def provide(output: Path, params: BaseModelParams, seed: int) -> dict[str, float]:
    """Put the base model that `base_model.source` names into `output`, with its wenmo.json.

    The folder then says the contract of the chat model to every reader: its chat template asks as
    it teaches, and its generation_config.json names every token that ends an answer. Returns the
    parameter count and, for the tiny model, its last pre-training loss. Raises UserError where the
    source is not to be had, is no model, or has a chat template that cannot be used; no half model
    is left behind.
    """
    origins = {"tiny": gettext("the tiny model")} | dict.fromkeys(FOLDERS, of_path(params.path))
    origin = origins.get(params.source) or hubs.of_hub(params.name, params.revision)
    ledger, shapes = _place(output, params, seed, origin)
    try:
        contract = _settle(output, params, origin)
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)
        raise
    write_record(
        output,
        *identity(params),
        chat={key: value for key, value in asdict(contract).items() if key != "template"},
        shapes=asdict(shapes),
    )
    return {"parameters": shapes.parameters} | ledger


def identity(params: BaseModelParams) -> tuple[str, str, str]:
    """Source, name and revision of the model that the section names, as its record has them."""
    if params.source in FETCH:
        return params.source, params.name, params.revision
    return params.source, Path(params.path).resolve().name if params.source in FOLDERS else "", ""


def _place(
    output: Path, params: BaseModelParams, seed: int, origin: str
) -> tuple[dict[str, float], Shapes]:
    """Put the model's files into `output`, which stays as it is if they are not whole."""
    match params.source:
        case "tiny":
            ledger = tiny.build(Path(params.path), output, params.tiny, seed)
            return ledger, read_shapes(output, origin)
        case "embedded" | "path":
            return {}, _copy_folder(output, Path(params.path), origin)
        case hub:
            snapshot = FETCH[hub](params.name, params.revision)
            refuse_links(snapshot.folder, snapshot.names, origin)
            shapes = read_shapes(snapshot.folder, origin)
            place(snapshot.folder, snapshot.names, output, link_weights=True)
            return {}, shapes


def _copy_folder(output: Path, folder: Path, origin: str) -> Shapes:
    if not folder.is_dir():
        raise UserError("{place}: no such folder", place=origin)
    if folder.resolve() == output.resolve():
        raise UserError(
            "{origin}: that is where the copy goes; move your model to another folder",
            origin=origin,
        )
    if file := gguf.only_file(folder):
        gguf.dequantise(file, output)
        return read_shapes(output, origin)
    found = [path.name for path in folder.iterdir()]
    names = select(found, origin)
    refuse_links(folder, filter(belongs, found), origin)
    shapes = read_shapes(folder, origin)
    place(folder, names, output, link_weights=False)
    return shapes


def _settle(folder: Path, params: BaseModelParams, origin: str) -> Contract:
    """Find the chat model's contract and let the folder's own files say it."""
    # Imported before the fork, which would import it for itself alone.
    import transformers.models.auto.modeling_auto  # noqa: F401

    def find() -> dict[str, Any]:
        _refuse_quantised(folder)
        refuse_unknown_architecture(folder)
        tokenizer = open_tokenizer(folder)
        return asdict(find_contract(tokenizer, _named_ends(folder), params.template_kwargs))

    try:
        contract = Contract(**within_limits(find))
    except UserError as error:
        # The folder is gone by the time that the line is read, and nothing makes it.
        of_folder = gettext("{place}: {error}", place=folder, error="")
        fault = str(error).removeprefix(of_folder).removesuffix(gettext(WAY_OUT))
        raise UserError("{place}: {error}", place=origin, error=fault) from None
    if contract.change:
        _replace_template(folder, contract.template)
    if sorted(_named_ends(folder, "generation_config.json")) != sorted(contract.ends):
        _change(folder / "generation_config.json", eos_token_id=contract.ends)
    return contract


def _refuse_quantised(folder: Path) -> None:
    """Raise UserError if config.json says that the weights have been rounded to fewer bits.

    Most kinds need a GPU or a library of their own to be opened, and an adapter merged into such
    weights would be rounded as they are.
    https://huggingface.co/docs/transformers/quantization/overview
    """
    for each in _with_text_config(folder / "config.json"):
        if quantised := each.get("quantization_config"):
            raise UserError(
                "its weights are quantised ({method}); choose the model that they were made of,"
                " and train.quantization for fewer bits",
                method=_method(quantised),
            )


def _method(quantised: Any) -> str:
    method = isinstance(quantised, dict) and quantised.get("quant_method")
    return str(method or gettext("by any method"))


def _named_ends(folder: Path, *names: str) -> set[int]:
    """The ids that end a text by the model's configuration files."""
    ends: set[int] = set()
    for name in names or ("generation_config.json", "config.json"):
        path = folder / name
        for each in _with_text_config(path) if path.is_file() else ():
            found = each.get("eos_token_id")
            ids = found if isinstance(found, list) else [] if found is None else [found]
            if not all(isinstance(one, int) for one in ids):
                raise UserError(
                    "{path}: eos_token_id is {found}; expected ids",
                    path=path,
                    found=str(found)[:80],
                )
            ends |= set(ids)
    return ends


def _with_text_config(path: Path) -> list[dict[str, Any]]:
    """A configuration, and that of its part for texts if the model also reads other things."""
    content = read_json_object(path)
    text = content.get("text_config")
    return [content, text] if isinstance(text, dict) else [content]


def _replace_template(folder: Path, template: str) -> None:
    """Let a folder have one chat template, which stands where transformers looks first."""
    for path in folder.glob("chat_template.*"):
        path.unlink()
    write_text(folder / "chat_template.jinja", template)
    if (folder / "tokenizer_config.json").is_file():
        _change(folder / "tokenizer_config.json", chat_template=None)


def _change(path: Path, **changes: object) -> None:
    """Set keys of a JSON file; None removes a key, and a null that the file has stays there."""
    content = read_json_object(path) if path.is_file() else {}
    kept = {key: value for key, value in content.items() if key not in changes}
    kept |= {key: value for key, value in changes.items() if value is not None}
    # A second name of a file in a hub's cache must not be written through.
    path.unlink(missing_ok=True)
    write_json(path, kept)
