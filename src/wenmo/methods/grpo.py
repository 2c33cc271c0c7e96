"""Method grpo: supervised fine-tuning, then reinforcement by rewards with TRL's GRPOTrainer.

GRPO samples several texts per prompt and makes those likelier whose reward is above their mean
(Shao et al. 2024, https://arxiv.org/abs/2402.03300).
"""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from wenmo.config.chat import ChatParams
from wenmo.config.train import TrainParams
from wenmo.core.processes import IS_MAIN_PROCESS
from wenmo.core.records import Row, write_json
from wenmo.methods.alarm import Passed, alarm_callback, reward_curve
from wenmo.methods.policy import new_policy_trainer
from wenmo.model.chat import conversation
from wenmo.model.checkpoints import Checkpoints, training_digest
from wenmo.model.curves import write_curves
from wenmo.model.loading import load_tokenizer, refuse_without_model, resolved
from wenmo.model.loss import losses
from wenmo.model.training import Outputs, keep_adapter, run, train
from wenmo.scoring.rewards import rewards_of

if TYPE_CHECKING:
    from trl import GRPOTrainer

SUPERVISED = "sft"
CURVES = frozenset({"reward", "eval_loss", "kl", "learning_rate", "grad_norm"})


def fit(
    task: str,
    rows: Iterable[Row],
    eval_rows: Iterable[Row],
    base: Path,
    outputs: Outputs,
    params: TrainParams,
    chat: ChatParams,
    seed: int,
    log: dict[str, Any],
) -> dict[str, Any]:
    """Fit an adapter to `rows`, then train it by rewards on their prompts.

    Curves of the second training (reward, each reward by name, held-out loss, KL divergence) go to
    the folder grpo of `outputs.curves`. Interrupted at any moment, the same command goes on from
    there. Returns the ledger of `wenmo.model.training.train` with that of the second training as
    `grpo`. Raises what `train` raises.
    """
    refuse_without_model(base)
    settings = {
        "train": params.in_use() | {"precision": resolved(params.precision)},
        "task": task,
        "chat": chat.model_dump(),
        "seed": seed,
    }
    digest = training_digest(settings, rows, eval_rows, base, __name__)
    checkpoints = Checkpoints(outputs.checkpoints, digest)
    supervised = Outputs(
        adapter=checkpoints.folder / SUPERVISED / "adapter",
        curves=checkpoints.folder / SUPERVISED / "curves",
        checkpoints=outputs.checkpoints,
    )
    tokenizer = load_tokenizer(base)
    learnt, held_out = (
        [row for row in each if len(conversation(tokenizer, row, chat)) <= params.max_length]
        for each in (rows, eval_rows)
    )
    ledger = _once(
        checkpoints.folder / SUPERVISED / "ledger.json",
        lambda: train(rows, eval_rows, base, supervised, params, chat, seed, log),
    )

    rewards = rewards_of(task, (row.output for row in rows), params.grpo.rewards)
    trainer = new_policy_trainer(
        base, supervised.adapter, tokenizer, learnt, rewards, params, chat, checkpoints, seed
    )
    alarm = alarm_callback(
        trainer,
        lambda: fmean(losses(trainer.model, tokenizer, held_out, chat)),
        Passed(checkpoints.folder, supervised.adapter),
        rewards.floors,
        params.grpo.eval_steps,
        params.grpo.max_loss_rise,
    )
    with checkpoints.scratch() as scratch:
        trainer.add_callback(alarm)
        seconds = run(trainer, checkpoints)
        log["grpo"] = {"arguments": trainer.args.to_dict(), "train_seconds": round(seconds, 2)}
        # On every process, since it gathers the adapter from all devices.
        trainer.save_model(str(scratch / "adapter"))
        alarm.tell()
        if IS_MAIN_PROCESS:
            keep_adapter(alarm.kept[1] if alarm.kept else scratch / "adapter", outputs.adapter)
            shutil.rmtree(outputs.curves, ignore_errors=True)
            shutil.copytree(supervised.curves, outputs.curves)
            names = CURVES | {reward_curve(name) for name in rewards.scorers}
            write_curves(trainer.state.log_history, outputs.curves / "grpo", names)
    checkpoints.finish()
    return ledger | {"grpo": _ledger(trainer, alarm)}


def _once(ledger: Path, training: Callable[[], dict[str, float]]) -> dict[str, Any]:
    """The ledger of a training, which is not done again once it has come to its end."""
    from accelerate import PartialState

    if not ledger.is_file():
        found = training()
        if IS_MAIN_PROCESS:
            write_json(ledger, found)
        PartialState().wait_for_everyone()
    return dict(json.loads(ledger.read_text(encoding="utf-8")))


def _ledger(trainer: "GRPOTrainer", alarm: Any) -> dict[str, float]:
    """What training by rewards did, rewards being means of the texts of a point of the curve."""
    history = trainer.state.log_history
    rewards = [each["reward"] for each in history if "reward" in each]
    held_out = {each["step"]: each["eval_loss"] for each in history if "eval_loss" in each}
    kept = alarm.kept[0] if alarm.kept else trainer.state.global_step
    return {
        "steps": trainer.state.global_step,
        "kept_step": kept,
        "reward_at_start": round(rewards[0], 4),
        "reward": round(rewards[-1], 4),
        "loss_per_character_at_start": round(held_out[0], 4),
        "loss_per_character": round(held_out[kept], 4),
        "stopped_early": int(alarm.kept is not None),
    }
