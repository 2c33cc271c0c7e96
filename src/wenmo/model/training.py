"""LoRA training: rows to an adapter, with the loss on the answers alone."""

import json
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from wenmo.errors import UserError
from wenmo.model.chat import ChatParams, Message, answer_messages, prompt_messages
from wenmo.model.curves import curves_callback, keep_curves
from wenmo.model.loading import Precision, load_model, load_tokenizer
from wenmo.params import Count, Fraction, PositiveFloat, PositiveInt, Section
from wenmo.records import Row, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl import SFTConfig, SFTTrainer


def _steps_or_epochs(value: int) -> int:
    if value < 1 and value != -1:
        raise ValueError("expected a number of steps, or -1 to train num_train_epochs")
    return value


class LoraParams(Section):
    """Section `train.lora`; the names are those of peft.LoraConfig."""

    r: PositiveInt
    lora_alpha: PositiveFloat
    lora_dropout: Fraction
    target_modules: list[str] = Field(min_length=1)


class TrainParams(Section):
    """Section `train`; the names are those of trl.SFTConfig where it has them."""

    max_steps: Annotated[int, AfterValidator(_steps_or_epochs)]
    num_train_epochs: PositiveFloat
    max_length: PositiveInt
    per_device_train_batch_size: PositiveInt
    gradient_accumulation_steps: PositiveInt
    learning_rate: PositiveFloat
    lr_scheduler_type: Literal["constant", "linear", "cosine"]
    warmup_steps: Count
    weight_decay: float = Field(ge=0)
    optim: Literal["adamw_torch"]
    precision: Precision
    gradient_checkpointing: bool
    logging_steps: PositiveInt
    eval_steps: PositiveInt
    lora: LoraParams


def train(
    rows: list[Row],
    eval_rows: list[Row],
    base: Path,
    adapter: Path,
    curves: Path,
    params: TrainParams,
    chat: ChatParams,
    seed: int,
) -> dict[str, float]:
    """Fit a LoRA adapter on `rows` and save it as safetensors into `adapter`.

    Loss curves (step, loss) go to `curves`. Rows longer than `max_length` tokens are left out and
    counted, never cut. Returns the ledger: rows, rows left out, steps, trainable parameters, mean
    loss of the last tenth of the logged steps and held-out loss (nats a token).
    Raises UserError if no row fits.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTTrainer

    torch.manual_seed(seed)
    tokenizer = load_tokenizer(base)
    fitting = rows_within(rows, tokenizer, chat, params.max_length)
    fitting_eval = rows_within(eval_rows, tokenizer, chat, params.max_length)
    if not fitting or not fitting_eval:
        raise UserError(
            f"all {len(rows if not fitting else eval_rows)} rows are longer than"
            f" train.max_length ({params.max_length} tokens)"
        )
    with TemporaryDirectory() as scratch:
        trainer = SFTTrainer(
            model=load_model(base, params.precision),
            args=trainer_arguments(params, Path(scratch), seed),
            train_dataset=Dataset.from_list([turns(row, chat) for row in fitting]),
            eval_dataset=Dataset.from_list([turns(row, chat) for row in fitting_eval]),
            processing_class=tokenizer,
            peft_config=LoraConfig(task_type="CAUSAL_LM", **params.lora.model_dump()),
            callbacks=[curves_callback(Path(scratch))],
        )
        trainer.train()
        eval_loss = final_eval_loss(trainer)
        keep_curves(Path(scratch), curves)
    save_adapter(trainer.model, adapter)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {
        "rows": len(fitting),
        "rows_over_length": len(rows) - len(fitting),
        "steps": trainer.state.global_step,
        "trainable_parameters": trainer.model.num_parameters(only_trainable=True),
        "train_loss": round(statistics.fmean(losses[-max(1, len(losses) // 10) :]), 4),
        "eval_loss": round(eval_loss, 4),
    }


def rows_within(
    rows: list[Row], tokenizer: "PreTrainedTokenizerBase", chat: ChatParams, max_length: int
) -> list[Row]:
    """The rows whose whole conversation has at most `max_length` tokens."""

    def tokens(row: Row) -> int:
        said = turns(row, chat)
        return len(tokenizer.apply_chat_template(said["prompt"] + said["completion"])["input_ids"])

    return [row for row in rows if tokens(row) <= max_length]


def turns(row: Row, chat: ChatParams) -> dict[str, list[Message]]:
    """A row as TRL's conversational prompt and completion: the loss covers the completion only."""
    return {
        "prompt": prompt_messages(chat.system_prompt, row.prompt),
        "completion": answer_messages(row.output),
    }


def trainer_arguments(params: TrainParams, output: Path, seed: int) -> "SFTConfig":
    """params.yaml's section in TRL's terms."""
    import torch
    from trl import SFTConfig

    steering = params.model_dump(exclude={"lora", "precision"})
    return SFTConfig(
        **steering,
        output_dir=str(output),
        seed=seed,
        data_seed=seed,
        completion_only_loss=True,
        per_device_eval_batch_size=params.per_device_train_batch_size,
        eval_strategy="steps",
        eval_on_start=True,
        save_strategy="no",
        report_to="none",
        logging_first_step=True,
        use_cpu=not torch.cuda.is_available(),
        bf16=params.precision == "bf16",
        fp16=params.precision == "fp16",
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def final_eval_loss(trainer: "SFTTrainer") -> float:
    """The held-out loss after the last step, from the history if it was measured there."""
    history = trainer.state.log_history
    at_end = [e for e in history if "eval_loss" in e and e["step"] == trainer.state.global_step]
    return float((at_end[-1] if at_end else trainer.evaluate())["eval_loss"])


def save_adapter(model: Any, adapter: Path) -> None:
    """The adapter's config and weights, without peft's model card, which names local paths."""
    model.save_pretrained(adapter)
    (adapter / "README.md").unlink(missing_ok=True)
    # peft keeps the target modules as a set, whose order differs from process to process.
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    write_json(adapter / "adapter_config.json", config)
