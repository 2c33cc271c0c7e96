"""The adapter of a training: how it begins, how fast its halves learn, how it is written.

LoRA adds B A to a weight W (Hu et al. 2021, https://arxiv.org/abs/2106.09685). PiSSA begins with
the largest singular values of W, which it takes out of the base (Meng et al. 2024,
https://arxiv.org/abs/2404.02948), and EVA with those of the layer's inputs (Paischer et al. 2024,
https://arxiv.org/abs/2410.07170). LoRA+ gives B a higher learning rate than A (Hayou et al. 2024,
https://arxiv.org/abs/2402.12354).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wenmo.config.lora import LoraParams
from wenmo.core.errors import UserError
from wenmo.core.processes import IS_MAIN_PROCESS

if TYPE_CHECKING:
    from peft import LoraConfig
    from trl import SFTTrainer


def adapter_config(params: LoraParams) -> "LoraConfig":
    """Section `train.lora` in peft's terms."""
    from peft import EvaConfig, LoraConfig

    begin = params.init_lora_weights
    return LoraConfig(
        task_type="CAUSAL_LM",
        init_lora_weights=True if begin == "default" else begin,
        # A rho of 1 leaves every layer its rank.
        eva_config=EvaConfig(rho=1.0) if begin == "eva" else None,
        **params.model_dump(exclude={"init_lora_weights", "loraplus_lr_ratio"}),
    )


@contextmanager
def refusing_unknown_layers(params: LoraParams, base: object) -> Iterator[None]:
    """Turn peft's error that `base` has no layer that is to get an adapter into one line."""
    from peft.utils.error import NoMatchingPeftModuleError

    try:
        yield
    except NoMatchingPeftModuleError:
        raise UserError(
            "train.lora.target_modules: {base} has no layers {names}; name others or set it to"
            " all-linear",
            base=base,
            names=params.target_modules,
        ) from None


def begin_adapter(trainer: "SFTTrainer", params: LoraParams, initial: Path) -> None:
    """Give a trainer's new adapter its first weights and its learning rates.

    `initial` is the folder in which PiSSA's first weights are kept for `write_adapter`. A training
    that is resumed begins likewise, before it reads its checkpoint: what PiSSA takes out of the
    base is in no checkpoint.
    """
    if params.init_lora_weights == "eva":
        from peft import initialize_lora_eva_weights

        initialize_lora_eva_weights(trainer.model, trainer.get_train_dataloader())
    if params.init_lora_weights == "pissa" and IS_MAIN_PROCESS:
        trainer.model.save_pretrained(str(initial))
    if params.loraplus_lr_ratio != 1:
        from peft.optimizers import create_loraplus_optimizer

        optimizer, options = trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
        trainer.optimizer = create_loraplus_optimizer(
            trainer.model,
            optimizer,
            loraplus_lr_ratio=params.loraplus_lr_ratio,
            loraplus_weight_decay=trainer.args.weight_decay,
            **options,
        )


def write_adapter(trainer: "SFTTrainer", params: LoraParams, initial: Path, folder: Path) -> None:
    """Write a trained adapter, for the base as it is on disk.

    PiSSA's becomes an ordinary one of twice the rank, since B A - B0 A0 has twice the columns.
    Every process calls this: weights may have to be gathered from all devices.
    """
    if params.init_lora_weights != "pissa":
        trainer.save_model(str(folder))
    elif IS_MAIN_PROCESS:
        trainer.model.save_pretrained(
            str(folder), path_initial_model_for_weight_conversion=str(initial)
        )
