"""TRL's GRPOTrainer over the training prompts, worded and read as everywhere else."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from wenmo.config.chat import ChatParams
from wenmo.config.train import TrainParams
from wenmo.core.records import Generation, Row
from wenmo.engines.engine import Prompt, completion
from wenmo.methods.alarm import reward_curve
from wenmo.model.chat import conversation
from wenmo.model.checkpoints import Checkpoints
from wenmo.model.training import machine_arguments, trainable_base
from wenmo.scoring.rewards import Rewards

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl import GRPOConfig, GRPOTrainer


def new_policy_trainer(
    base: Path,
    adapter: Path,
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Row],
    rewards: Rewards,
    params: TrainParams,
    chat: ChatParams,
    checkpoints: Checkpoints,
    seed: int,
) -> "GRPOTrainer":
    """TRL's trainer of the base model with an adapter, which it goes on to train.

    Texts are as long as the longest training answer at most. Their prompts' tokens are the very
    ones of the rows, since TRL would read control tokens that a prompt quotes.
    """
    from datasets import Dataset
    from peft import PeftModel
    from trl import GRPOTrainer

    asked = [conversation(tokenizer, row, chat) for row in rows]

    class PolicyTrainer(GRPOTrainer):  # type: ignore[misc]
        def _tokenize_prompts(
            self, prompts: list[int]
        ) -> tuple[list[list[int]], None, dict[str, Any]]:
            return [asked[at].prompt.tolist() for at in prompts], None, {}

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            # transformers reads the adapters in subfolders alone if there are any, and there is
            # TRL's reference.
            self.model.load_adapter(resume_from_checkpoint, "default", is_trainable=True)

    def reward(
        prompts: list[int], completion_ids: list[list[int]], log_metric: Any, **_: Any
    ) -> list[float]:
        texts = [
            written(rows[at], tokens, ends, tokenizer)
            for at, tokens in zip(prompts, completion_ids, strict=True)
        ]
        found = [rewards.of(text) for text in texts]
        for of_text in found:
            for name, value in of_text.items():
                log_metric(reward_curve(name), value)
        return [rewards.weighted(of_text) for of_text in found]

    model = PeftModel.from_pretrained(trainable_base(base, params), adapter, is_trainable=True)
    longest = max(len(each.answer) for each in asked)
    arguments = policy_arguments(params, checkpoints, longest, seed)
    texts = arguments.generation_batch_size * arguments.max_steps
    trainer = PolicyTrainer(
        model=model,
        args=arguments,
        reward_funcs=reward,
        train_dataset=Dataset.from_dict(
            {"prompt": prompt_order(len(rows), texts // arguments.num_generations, seed)}
        ),
        processing_class=tokenizer,
    )
    ends = frozenset(trainer.eos_token_ids)
    return trainer


def written(
    row: Row, tokens: list[int], ends: frozenset[int], tokenizer: "PreTrainedTokenizerBase"
) -> Generation:
    """The tokens of an answer to a row's prompt, as an engine gives them."""
    found = completion(Prompt([], 0), tokens, tokens[-1] in ends, tokenizer, ())
    return Generation(row.id, row.prompt, row.output, found.text, found.finish_reason, len(tokens))


def prompt_order(rows: int, prompts: int, seed: int) -> list[int]:
    """The rows whose prompts are asked, one after the other: all before any comes again.

    One order for the whole training, since TRL's own sampler of several epochs begins anew when a
    training is resumed.
    """
    draw, order = Random(seed), list[int]()
    while len(order) < prompts:
        order += draw.sample(range(rows), rows)
    return order[:prompts]


def policy_arguments(
    params: TrainParams, checkpoints: Checkpoints, max_completion_length: int, seed: int
) -> "GRPOConfig":
    """Section `train.grpo`, and what it shares with section `train`, in TRL's terms."""
    from trl import GRPOConfig

    ours = {"eval_steps", "learning_rate", "max_loss_rise", "rewards"}
    shared = {
        "gradient_checkpointing",
        "logging_steps",
        "optim",
        "save_steps",
        "save_total_limit",
        "weight_decay",
    }
    return GRPOConfig(
        **params.grpo.model_dump(exclude=ours),
        **params.model_dump(include=shared),
        **machine_arguments(params),
        learning_rate=params.reward_learning_rate,
        lr_scheduler_type="constant_with_warmup",
        # Within a prompt's few texts, trifles weigh as much as faults where all keep the rules.
        scale_rewards="batch",
        max_completion_length=max_completion_length,
        shuffle_dataset=False,
        output_dir=str(checkpoints.folder),
        seed=seed,
        data_seed=seed,
        logging_first_step=True,
    )
