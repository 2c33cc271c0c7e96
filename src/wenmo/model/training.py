"""LoRA training: rows to an adapter, with the loss on the answers alone."""

import json
import shutil
import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wenmo.config.chat import ChatParams
from wenmo.config.train import TrainParams
from wenmo.core.language import gettext
from wenmo.core.processes import IS_MAIN_PROCESS, PROCESSES
from wenmo.core.records import Row, write_json
from wenmo.model.adapted_layers import Coverage, coverage
from wenmo.model.checkpoints import (
    Checkpoints,
    refuse_if_stopped,
    stopped_by_signals,
    training_digest,
)
from wenmo.model.cost import idle_callback, measured_trainer, training_cost
from wenmo.model.curves import write_curves
from wenmo.model.loading import load_tokenizer, load_trainable, refuse_without_model, resolved
from wenmo.model.lora import (
    adapter_config,
    begin_adapter,
    refusing_unknown_layers,
    write_adapter,
)
from wenmo.model.packing import refuse_mixed_rows
from wenmo.model.tokenized_rows import tokenized

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer
    from trl import SFTConfig, SFTTrainer

INITIAL = "initial-adapter"
"""The folder beside the checkpoints with the adapter's first weights, if they are needed."""


@dataclass(frozen=True)
class Outputs:
    """Folders that training writes: the adapter, its curves, and checkpoints to resume from."""

    adapter: Path
    curves: Path
    checkpoints: Path


def train(
    rows: Iterable[Row],
    eval_rows: Iterable[Row],
    base: Path,
    outputs: Outputs,
    params: TrainParams,
    chat: ChatParams,
    seed: int,
    log: dict[str, Any],
) -> dict[str, float]:
    """Fit a LoRA adapter on `rows` and save it as safetensors into `outputs.adapter`.

    The rows are gone through twice and never held, and their tokens are on disk meanwhile. Loss
    curves (step, loss) go to `outputs.curves`. An interrupted training of the same parameters, rows
    and base goes on from its last checkpoint. The trainer's arguments and what the training cost
    are entered into `log`. Returns the ledger: rows and tokens learnt from and left out, steps,
    trainable parameters, decoder layers with fewer adapters than others, mean loss of the last
    tenth of the logged steps, last, least and first held-out loss (nats per token), and 1 if the
    last one is above the first. The last two faults are told on stderr as well. Raises UserError if
    there is no base, if more rows than `max_truncated` are longer than `max_length` or none is
    left, and StoppedError after a signal.
    """
    refuse_without_model(base)
    if params.packing:
        refuse_mixed_rows(base)
    tokenizer = load_tokenizer(base)
    settings = {
        "train": params.supervised() | {"precision": resolved(params.precision)},
        "chat": chat.model_dump(),
        "seed": seed,
    }
    digest = training_digest(settings, rows, eval_rows, base, __name__)
    checkpoints = Checkpoints(outputs.checkpoints, digest)
    with checkpoints.scratch() as scratch:
        (dataset, learnt), (eval_dataset, held_out) = (
            tokenized(each, tokenizer, chat, params.max_length, params.mask_history, scratch / name)
            for each, name in ((rows, "train"), (eval_rows, "eval"))
        )
        learnt.refuse_if_over(params.max_truncated)
        for lengths in (learnt, held_out):
            lengths.refuse_if_none_fits()
        trainer = new_trainer(base, tokenizer, dataset, eval_dataset, params, seed, checkpoints)
        covered = coverage(trainer.model)
        trainer.add_callback(idle := idle_callback())
        log["arguments"] = trainer.args.to_dict()
        seconds = run(trainer, checkpoints)
        eval_loss = final_eval_loss(trainer)
        log |= training_cost(trainer, seconds, idle.idle)
        initial = checkpoints.folder / INITIAL
        write_adapter(trainer, params.lora, initial, scratch / "adapter")
        if IS_MAIN_PROCESS:
            keep_adapter(scratch / "adapter", outputs.adapter)
            write_curves(trainer.state.log_history, outputs.curves)
    checkpoints.finish()
    history = trainer.state.log_history
    losses = [entry["loss"] for entry in history if "loss" in entry]
    eval_losses = [e["eval_loss"] for e in history if "eval_loss" in e and e["step"]]
    start = next(e["eval_loss"] for e in history if "eval_loss" in e)
    warn(params, covered, start, eval_loss)
    return learnt.ledger() | {
        "eval_rows_over_length": held_out.over.total(),
        "steps": trainer.state.global_step,
        "trainable_parameters": trainer.model.num_parameters(only_trainable=True),
        "layers_short_of_adapters": covered.short,
        "train_loss": round(statistics.fmean(losses[-max(1, len(losses) // 10) :]), 4),
        "eval_loss": round(eval_loss, 4),
        "best_eval_loss": round(min([*eval_losses, eval_loss]), 4),
        "eval_loss_at_start": round(start, 4),
        "eval_loss_rose": int(eval_loss > start),
    }


def warn(params: TrainParams, covered: Coverage, start: float, end: float) -> None:
    """Tell on stderr what the figures show and an exit code of 0 would hide."""
    if not IS_MAIN_PROCESS:
        return
    if covered.short:
        told = gettext(
            "warning: {short} of {layers} layers have fewer adapters than the others;"
            " train.lora.target_modules names none of {missed}, and all-linear takes every linear"
            " layer",
            short=covered.short,
            layers=covered.layers,
            missed=", ".join(covered.missed),
        )
        print(told, file=sys.stderr)
    if end > start:
        told = gettext(
            "warning: the held-out loss rose from {start:.4f} to {end:.4f} nats per token, so the"
            " adapter is worse than none; lower train.learning_rate ({rate:g}) or train.max_steps"
            " ({steps})",
            start=start,
            end=end,
            rate=params.learning_rate,
            steps=params.max_steps,
        )
        print(told, file=sys.stderr)


def new_trainer(
    base: Path,
    tokenizer: "PreTrainedTokenizerBase",
    dataset: "Dataset",
    eval_dataset: "Dataset",
    params: TrainParams,
    seed: int,
    checkpoints: Checkpoints,
) -> "SFTTrainer":
    """TRL's trainer with the base model and a new adapter, both drawn from the seed.

    The data sets are those of `tokenized`. Raises UserError if the base has none of the layers that
    are to get an adapter.
    """
    from transformers import set_seed

    set_seed(seed)
    with refusing_unknown_layers(params.lora, base):
        trainer = measured_trainer()(
            model=trainable_base(base, params),
            args=trainer_arguments(params, checkpoints, seed),
            train_dataset=dataset,
            eval_dataset=eval_dataset,
            processing_class=tokenizer,
            peft_config=adapter_config(params.lora),
        )
    begin_adapter(trainer, params.lora, checkpoints.folder / INITIAL)
    return trainer


def trainable_base(base: Path, params: TrainParams) -> "PreTrainedModel":
    """The base model as section `train` wants it."""
    return load_trainable(
        base,
        resolved(params.precision),
        params.attn_implementation,
        params.use_kernels,
        params.quantization,
        params.bnb_4bit_quant_type,
        params.bnb_4bit_use_double_quant,
    )


def trainer_arguments(params: TrainParams, checkpoints: Checkpoints, seed: int) -> "SFTConfig":
    """params.yaml's section in TRL's terms."""
    from trl import SFTConfig

    ours = {
        "grpo",
        "launcher",
        "mask_history",
        "max_learning_rate",
        "max_truncated",
        "method",
        "precision",
        "quantization",
        "bnb_4bit_quant_type",
        "bnb_4bit_use_double_quant",
        "attn_implementation",
        "use_kernels",
        "lora",
        "neftune_noise_alpha",
        "report_to",
    }
    return SFTConfig(
        **params.model_dump(exclude=ours),
        **machine_arguments(params),
        output_dir=str(checkpoints.folder),
        # Trackers show a run by this name.
        run_name="-".join(checkpoints.folder.parts[-2:]),
        project="wenmo",
        seed=seed,
        data_seed=seed,
        completion_only_loss=True,
        # What TRL would do to each row is done already, but for packing.
        dataset_kwargs=None if params.packing else {"skip_prepare_dataset": True},
        neftune_noise_alpha=params.neftune_noise_alpha or None,
        per_device_eval_batch_size=params.per_device_train_batch_size,
        # A resumed training has measured the start already.
        eval_on_start=checkpoints.latest is None,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_first_step=True,
    )


def machine_arguments(params: TrainParams) -> dict[str, Any]:
    """The arguments of every trainer that follow from this machine, in TRL's terms."""
    import torch

    has_gpu = torch.cuda.is_available()
    precision = resolved(params.precision)
    return {
        "report_to": params.report_to,
        "use_cpu": not has_gpu,
        "ddp_backend": "gloo" if PROCESSES > 1 and not has_gpu else None,
        "ddp_find_unused_parameters": False,
        "bf16": precision == "bf16",
        "fp16": precision == "fp16",
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "dataloader_pin_memory": has_gpu,
    }


def run(trainer: "Trainer", checkpoints: Checkpoints) -> float:
    """Train from the last checkpoint, if there is one, to the end. Returns the seconds it took.

    Raises StoppedError after SIGTERM or Ctrl-C, with a checkpoint written.
    """
    interruptible = checkpoints.callback(trainer)
    trainer.add_callback(interruptible)
    checkpoints.remove_broken(trainer)
    with stopped_by_signals(interruptible):
        result = trainer.train(resume_from_checkpoint=checkpoints.latest)
    refuse_if_stopped(trainer, interruptible)
    return float(result.metrics["train_runtime"])


def final_eval_loss(trainer: "SFTTrainer") -> float:
    """The held-out loss after the last step, from the history if it was measured there."""
    history = trainer.state.log_history
    at_end = [e for e in history if "eval_loss" in e and e["step"] == trainer.state.global_step]
    return float((at_end[-1] if at_end else trainer.evaluate())["eval_loss"])


def keep_adapter(written: Path, adapter: Path) -> None:
    """Keep the config and the weights of an adapter that a trainer wrote, sorted.

    What else is written along (tokenizer, model card, pickled arguments) names local paths.
    """
    adapter.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(written / "adapter_model.safetensors", adapter / "adapter_model.safetensors")
    # peft keeps the target modules as a set, whose order differs from process to process.
    config = json.loads((written / "adapter_config.json").read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    write_json(adapter / "adapter_config.json", config)
