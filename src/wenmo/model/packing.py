"""Packing several rows into a sequence, and the models in which they would see each other there."""

from pathlib import Path

from wenmo.core.errors import UserError


def refuse_mixed_rows(base: Path) -> None:
    """Raise UserError if packed rows would not be kept apart in a layer of the model in `base`.

    Positions that begin anew at each row keep attention within it
    (https://huggingface.co/docs/trl/reducing_memory_usage#packing). Layers of another kind, such as
    linear attention, convolution and state spaces, read on from the row before.
    """
    from transformers import AutoConfig

    opened = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    config = opened.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    mixing = {kind for kind in kinds if not kind.endswith("attention") or "linear" in kind}
    if mixing:
        raise UserError(
            "train.packing: packed rows would see each other in layers of type {mixing} of {base};"
            " set it to false",
            mixing=", ".join(sorted(mixing)),
            base=base,
        )
