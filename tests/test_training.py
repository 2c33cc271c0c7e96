"""Training in miniature: what it leaves, what it refuses, and every way to fit an adapter."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.data_loader import SeedableRandomSampler
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from pydantic import ValidationError
from safetensors.torch import load_file

from tests.conftest import digests, make_row
from tests.small_training import CHAT, ROWS, fit, settings
from wenmo.config import train as train_params
from wenmo.config.params_file import deep_merge
from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.model.adapted_layers import Coverage, coverage
from wenmo.model.checkpoints import Checkpoints
from wenmo.model.lengths import Lengths
from wenmo.model.loading import load_model, load_tokenizer, resolved
from wenmo.model.loss import held_out_losses
from wenmo.model.row_order import RowOrder
from wenmo.model.tokenized_rows import conversations, labelled, tokenized
from wenmo.model.training import Outputs, new_trainer, train

LONG = make_row(9, "雪" * 500)


@pytest.fixture(scope="module")
def trained(
    small_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, float], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, *fit(small_base, folder)


def test_training_leaves_an_adapter_and_curves_and_nothing_else(trained: tuple) -> None:
    folder, ledger, _ = trained
    assert sorted(digests(folder / "adapter")) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert sorted(digests(folder / "curves")) == [
        "eval/loss.tsv",
        "grad_norm.tsv",
        "learning_rate.tsv",
        "loss.tsv",
    ]
    lines = (folder / "curves/loss.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["step", "1", "2", "3"]
    assert ledger["rows"] == 4
    assert ledger["steps"] == 3


def test_training_again_gives_the_same_bytes_afresh_and_replaces_what_it_left(
    trained: tuple, small_base: Path, tmp_path: Path
) -> None:
    folder, ledger, first_log = trained
    for _ in range(2):
        again, log = fit(small_base, tmp_path)
        assert again == ledger
        assert log["arguments"]["eval_on_start"] is first_log["arguments"]["eval_on_start"] is True
        assert digests(tmp_path / "adapter") == digests(folder / "adapter")
        assert digests(tmp_path / "curves") == digests(folder / "curves")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["finished"]


def test_no_output_names_a_path_of_this_machine(trained: tuple, small_base: Path) -> None:
    folder, _, _ = trained
    for path in [*(folder / "adapter").rglob("*.json"), *(folder / "curves").rglob("*.tsv")]:
        content = path.read_text().replace(str(small_base), "models/base")
        assert str(Path.home()) not in content
        assert str(folder) not in content


def test_what_it_cost_is_logged_and_kept_out_of_the_ledger(trained: tuple) -> None:
    _, ledger, log = trained
    assert log["tokens_per_second"] > 0
    assert 0 < log["utilisation"] < 1
    assert log["devices"] == 1
    assert log["hardware"]
    assert log["arguments"]["max_steps"] == 3
    assert not {"tokens_per_second", "utilisation", "hardware"} & ledger.keys()


def test_the_answers_of_a_history_are_learnt_unless_they_are_masked(
    small_base: Path, tmp_path: Path
) -> None:
    rows = [replace(row, history=(("写山。", "山" * 9),)) for row in ROWS]
    every, _ = fit(small_base, tmp_path / "every", rows, mask_history=False)
    last, _ = fit(small_base, tmp_path / "last", rows, mask_history=True)
    assert (every["rows"], every["tokens"]) == (last["rows"], last["tokens"])
    # A text of one character nine times over is soon learnt.
    assert every["eval_loss"] < last["eval_loss"]


def test_a_held_out_loss_that_rose_is_told(
    small_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, _ = fit(small_base, tmp_path / "sane", learning_rate=1e-4)
    assert ledger["eval_loss_rose"] == 0
    assert ledger["eval_loss"] < ledger["eval_loss_at_start"]
    assert "warning" not in capsys.readouterr().err
    ledger, _ = fit(small_base, tmp_path / "ruinous", learning_rate=1.0)
    assert ledger["eval_loss_rose"] == 1
    start, end = ledger["eval_loss_at_start"], ledger["eval_loss"]
    told = f"the held-out loss rose from {start:.4f} to {end:.4f}"
    assert told in capsys.readouterr().err


MIXERS = {"a": ["q_proj", "o_proj"], "d": ["in_proj_qkv", "in_proj_z", "out_proj"]}
EVERY_LINEAR = [*MIXERS["a"], *MIXERS["d"], "up_proj", "down_proj"]


class Mixed(torch.nn.Module):
    """Decoder layers of two kinds, as in Qwen3.5: attention, and a gated delta rule."""

    def __init__(self, kinds: str) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(
            torch.nn.ModuleDict(
                {name: torch.nn.Linear(4, 4) for name in [*MIXERS[kind], "up_proj", "down_proj"]}
            )
            for kind in kinds
        )


@pytest.mark.parametrize(
    ("kinds", "targets", "short", "missed"),
    [
        ("aaaa", ["q_proj", "o_proj", "up_proj", "down_proj"], 0, []),
        # Attention alone, in every layer: a choice, and no oversight.
        ("aaaa", ["q_proj", "o_proj"], 0, []),
        (
            "ddda",
            ["q_proj", "o_proj", "up_proj", "down_proj"],
            3,
            ["in_proj_qkv", "in_proj_z", "out_proj"],
        ),
        ("ddda", ["q_proj", "o_proj"], 3, ["in_proj_qkv", "in_proj_z", "out_proj"]),
        ("ddda", ["q_proj", "o_proj", "in_proj_qkv", "out_proj"], 0, []),
        ("ddda", ["in_proj_qkv", "out_proj", "up_proj"], 1, ["o_proj", "q_proj"]),
        # Every linear layer, of which one kind has more than the other.
        ("ddda", EVERY_LINEAR, 0, []),
    ],
)
def test_layers_that_get_fewer_adapters_than_others_are_counted_and_what_they_lack_is_named(
    kinds: str, targets: list[str], short: int, missed: list[str]
) -> None:
    model = get_peft_model(Mixed(kinds), LoraConfig(r=2, target_modules=targets))
    assert coverage(model) == Coverage(len(kinds), short, missed)


# Length

CHARACTERS = {10: 1, 20: 3, 40: 1}


def rows_of_lengths() -> list[Row]:
    return [make_row(n, "雪" * c) for c, count in CHARACTERS.items() for n in range(count)]


def measured(base: Path, folder: Path, max_length: int) -> tuple[Dataset, Lengths]:
    """The rows of these lengths, tokenized, and what is counted of them."""
    rows, tokenizer = rows_of_lengths(), load_tokenizer(base)
    return tokenized(rows, tokenizer, CHAT, max_length, True, folder / f"rows-{max_length}")


def test_every_row_and_token_is_learnt_from_or_counted_as_left_out(
    small_base: Path, tmp_path: Path
) -> None:
    everything, lengths = measured(small_base, tmp_path, 1000)
    frame = min(lengths.counts) - 10
    assert lengths.counts == {frame + c: count for c, count in CHARACTERS.items()}
    assert [len(each) - frame for each in everything["input_ids"]] == [10, 20, 20, 20, 40]
    limited, lengths = measured(small_base, tmp_path, frame + 20)
    assert lengths.ledger() == {
        "rows": 4,
        "tokens": 4 * frame + 70,
        "rows_over_length": 1,
        "tokens_over_length": 20,
        "truncated_share": 0.2,
        "longest_row_tokens": frame + 40,
    }
    assert [len(each) - frame for each in limited["input_ids"]] == [10, 20, 20, 20]


@pytest.mark.parametrize("max_truncated", [0.0, 0.2, 0.5])
def test_the_length_that_is_advised_will_do_and_one_token_less_will_not(
    small_base: Path, tmp_path: Path, max_truncated: float
) -> None:
    _, lengths = measured(small_base, tmp_path, 1)
    with pytest.raises(UserError, match=r"5 of 5 rows \(100\.0%\) are longer") as caught:
        lengths.refuse_if_over(max_truncated)
    advised = int(re.search(r"train\.max_length (\d+) would do", str(caught.value))[1])
    replace(lengths, max_length=advised).refuse_if_over(max_truncated)
    with pytest.raises(UserError):
        replace(lengths, max_length=advised - 1).refuse_if_over(max_truncated)


def test_overlong_rows_are_left_out_whole_where_that_is_allowed(
    small_base: Path, tmp_path: Path
) -> None:
    rows = [LONG, *ROWS]
    ledger, _ = fit(small_base, tmp_path, rows, max_truncated=0.2)
    assert (ledger["rows"], ledger["rows_over_length"], ledger["truncated_share"]) == (4, 1, 0.2)


def test_too_many_overlong_rows_stop_the_training_before_it_starts(
    small_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"1 of 5 rows \(20\.0%\) are longer than train\.max_len"):
        fit(small_base, tmp_path, [LONG, *ROWS], max_truncated=0.19)
    with pytest.raises(UserError, match=r"all 2 rows are longer than train\.max_length \(128"):
        fit(small_base, tmp_path, [*ROWS, LONG, LONG])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("units", "precision"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, "fp32"),
        ({"neon": True}, "fp32"),
    ],
)
def test_auto_takes_bf16_on_a_cpu_that_has_units_for_it(
    units: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the processor."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    assert resolved("auto") == precision
    assert resolved("fp32") == "fp32"


# Ways to fit an adapter

SLOW = {"PiSSA in bf16", "8bit", "4bit nf4"}
"""What has a part in other ways as well, and takes long on a CPU without units for bf16."""

WAYS: dict[str, dict[str, Any]] = {
    "rsLoRA": {"lora": {"use_rslora": True}},
    "DoRA": {"lora": {"use_dora": True}},
    "all-linear": {"lora": {"target_modules": "all-linear"}},
    "LoRA+": {"lora": {"loraplus_lr_ratio": 4.0}},
    "LoRA+ with adamw_8bit": {"lora": {"loraplus_lr_ratio": 4.0}, "optim": "adamw_8bit"},
    "PiSSA": {"lora": {"init_lora_weights": "pissa"}},
    "PiSSA in bf16": {"lora": {"init_lora_weights": "pissa"}, "precision": "bf16"},
    "EVA": {"lora": {"init_lora_weights": "eva"}, "learning_rate": 1e-2},
    "EVA, packed": {
        "lora": {"init_lora_weights": "eva"},
        "learning_rate": 1e-2,
        "packing": True,
    },
    "4bit EVA": {"lora": {"init_lora_weights": "eva"}, "quantization": "4bit"},
    "NEFTune": {"neftune_noise_alpha": 1.0},
    "bf16": {"precision": "bf16"},
    "auto": {"precision": "auto"},
    "8bit": {"quantization": "8bit", "precision": "bf16"},
    "4bit nf4": {"quantization": "4bit", "precision": "bf16"},
    "4bit fp4, single": {
        "quantization": "4bit",
        "bnb_4bit_quant_type": "fp4",
        "bnb_4bit_use_double_quant": False,
    },
    "4bit DoRA": {"quantization": "4bit", "lora": {"use_dora": True}},
    "paged_adamw_8bit": {"optim": "paged_adamw_8bit"},
    "adamw_8bit": {"optim": "adamw_8bit"},
    "adamw_torch_fused": {"optim": "adamw_torch_fused"},
    "activation checkpointing": {"gradient_checkpointing": True},
    "QLoRA with all savings": {
        "quantization": "4bit",
        "precision": "bf16",
        "optim": "paged_adamw_8bit",
        "gradient_checkpointing": True,
        "gradient_accumulation_steps": 2,
    },
    "packing": {"packing": True},
    "eager": {"attn_implementation": "eager"},
    "epochs": {"max_steps": -1, "num_train_epochs": 2.0},
    "a checkpoint an epoch": {
        "save_strategy": "epoch",
        "eval_strategy": "epoch",
        "load_best_model_at_end": True,
    },
}


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=pytest.mark.full if way in SLOW else ()) for way in WAYS]
)
def test_every_way_to_train_learns_the_rows(small_base: Path, tmp_path: Path, way: str) -> None:
    """On the rows themselves, so that only learning can lower the loss."""
    update = deep_merge({"max_steps": 20, "learning_rate": 5e-2}, WAYS[way])
    log: dict[str, Any] = {}
    outputs = Outputs(tmp_path / "adapter", tmp_path / "curves", tmp_path / "checkpoints")
    ledger = train(ROWS, ROWS, small_base, outputs, settings(**update), CHAT, 1, log)
    first = float((tmp_path / "curves/eval/loss.tsv").read_text().splitlines()[1].split("\t")[1])
    assert ledger["eval_loss"] < first - 0.03
    assert all(torch.isfinite(w).all() for w in adapter_weights(tmp_path).values())


def adapter_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter/adapter_model.safetensors")


def test_a_quantised_base_holds_its_weights_in_few_bits(small_base: Path, tmp_path: Path) -> None:
    kinds = {}
    for quantization in ("none", "8bit", "4bit"):
        params = settings(quantization=quantization)
        checkpoints = Checkpoints(tmp_path, quantization)
        tokenizer = load_tokenizer(small_base)
        rows = labelled(conversations(ROWS, tokenizer, CHAT), tmp_path / f"rows-{quantization}")
        trainer = new_trainer(small_base, tokenizer, rows, rows, params, 1, checkpoints)
        layer = trainer.model.base_model.model.model.layers[0].self_attn.q_proj.base_layer
        kinds[quantization] = (type(layer).__name__, layer.weight.dtype)
    assert kinds == {
        "none": ("Linear", torch.float32),
        "8bit": ("Linear8bitLt", torch.int8),
        "4bit": ("Linear4bit", torch.uint8),
    }


def test_rows_are_written_in_pieces_of_as_many_tokens_whatever_their_lengths(
    small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece costs memory when the file is opened, and is in memory before it is written."""
    monkeypatch.setattr("wenmo.model.tokenized_rows.TOGETHER", 300)
    told = [make_row(n, "雪落千山静" * (1 if n < 30 else 20)) for n in range(40)]
    rows = labelled(conversations(told, load_tokenizer(small_base), CHAT), tmp_path / "rows")
    pieces = [
        [len(ids) for ids in piece.to_pylist()] for piece in rows.data.column("input_ids").chunks
    ]
    assert sum(map(len, pieces)) == 40
    assert all(sum(piece) >= 300 > sum(piece[:-1]) for piece in pieces[:-1])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_rows_do_not_see_each_other(
    small_base: Path, tmp_path: Path, attention: str
) -> None:
    """The loss of several rows in one sequence is that of the rows one beside the other."""
    tokenizer = load_tokenizer(small_base)
    told = [make_row(n, "雪落千山静" * (n + 1)) for n in range(4)]
    rows = labelled(conversations(told, tokenizer, CHAT), tmp_path / "rows")

    def loss(packing: bool) -> float:
        params = settings(
            packing=packing,
            attn_implementation=attention,
            max_length=256,
            per_device_train_batch_size=1 if packing else 4,
        )
        checkpoints = Checkpoints(tmp_path, str(packing))
        trainer = new_trainer(small_base, tokenizer, rows, rows, params, 1, checkpoints)
        batches = list(trainer.get_train_dataloader())
        assert len(batches) == 1
        assert batches[0]["input_ids"].shape[0] == (1 if packing else 4)
        with torch.no_grad():
            return trainer.compute_loss(trainer.model.eval(), batches[0]).item()

    assert loss(packing=True) == pytest.approx(loss(packing=False), rel=1e-6)


def test_the_best_checkpoint_is_kept_where_asked(small_base: Path, tmp_path: Path) -> None:
    """At so high a rate, the held-out loss goes up and down."""
    rows = [ROWS[0]] * 4 + [make_row(n, "他把灯拧亮，问你去了哪里。") for n in range(2)]
    update = {"max_steps": 10, "learning_rate": 0.15, "eval_steps": 2, "save_total_limit": 1}
    last, _ = fit(small_base, tmp_path / "last", rows, **update)
    best, _ = fit(small_base, tmp_path / "best", rows, load_best_model_at_end=True, **update)
    assert last["eval_loss"] > last["best_eval_loss"] + 0.05
    assert best["best_eval_loss"] == last["best_eval_loss"]
    assert digests(tmp_path / "best/adapter") != digests(tmp_path / "last/adapter")
    kept = sorted(path.name for path in (tmp_path / "best/checkpoints/finished").glob("check*"))
    assert kept == ["checkpoint-8"]


IMPOSSIBLE = {
    "4bit, sharded": (
        {"quantization": "4bit", "launcher": "accelerate launch --config_file configs/fsdp.yaml"},
        "quantization 4bit cannot be sharded by 'accelerate launch",
    ),
    "8-bit optimizer, sharded": (
        {
            "optim": "paged_adamw_8bit",
            "launcher": "accelerate launch --config_file configs/fsdp.yaml",
        },
        "optim paged_adamw_8bit cannot be sharded by 'accelerate launch",
    ),
    "best of epochs, measured by steps": (
        {"load_best_model_at_end": True, "save_strategy": "epoch"},
        "set save_strategy and eval_strategy alike",
    ),
    "best of steps that are not measured": (
        {"load_best_model_at_end": True, "save_steps": 3},
        "save_steps (3) is no multiple of eval_steps (2)",
    ),
    "an unknown launcher": ({"launcher": "sh -c"}, "String should match pattern"),
    "trainings side by side": (
        {"launcher": "srun --ntasks=2 python"},
        "String should match pattern",
    ),
    "an attention that is not known to part packed rows": (
        {"packing": True, "attn_implementation": "flex_attention"},
        "expected sdpa, eager, flash_attention_2, or a build of the Hugging Face Hub",
    ),
    "a kernel that anybody may have published": (
        {"attn_implementation": "somebody/flash-attn2"},
        "expected sdpa, eager, flash_attention_2, or a build of the Hugging Face Hub",
    ),
    "PiSSA of rounded weights": (
        {"quantization": "4bit", "lora": {"init_lora_weights": "pissa"}},
        "init_lora_weights pissa decomposes the base's weights, which quantization 4bit has",
    ),
    "PiSSA and DoRA": (
        {"lora": {"init_lora_weights": "pissa", "use_dora": True}},
        "set use_dora to false or init_lora_weights to default",
    ),
    "EVA, sharded": (
        {
            "lora": {"init_lora_weights": "eva"},
            "launcher": "accelerate launch --config_file configs/fsdp.yaml",
        },
        "lora.init_lora_weights eva needs whole weights on each device",
    ),
    "LoRA+, sharded": (
        {
            "lora": {"loraplus_lr_ratio": 16},
            "launcher": "accelerate launch --config_file configs/fsdp.yaml",
        },
        "lora.loraplus_lr_ratio 16 needs whole weights on each device",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_cannot_work_is_refused_with_the_reason(case: str) -> None:
    update, reason = IMPOSSIBLE[case]
    with pytest.raises(ValidationError, match=re.escape(reason)):
        settings(**update)


@pytest.mark.parametrize(
    "launcher",
    [
        "python",
        "torchrun --nproc_per_node=2",
        "srun --nodes=2 --ntasks-per-node=1 torchrun --nnodes=2 --nproc_per_node=8",
        "srun --nodes=2 accelerate launch --config_file configs/fsdp_multi_node.yaml",
    ],
)
def test_a_launcher_may_be_started_on_each_machine_of_a_job(launcher: str) -> None:
    assert settings(launcher=launcher).launcher == launcher


MISSING = {
    "bitsandbytes": (
        {"quantization": "4bit"},
        "quantization 4bit needs bitsandbytes, which is not installed here; pip install -c",
    ),
    "bitsandbytes for AdamW": ({"optim": "adamw_8bit"}, "optim adamw_8bit needs bitsandbytes"),
    "bitsandbytes for paged AdamW": ({"optim": "paged_adamw_8bit"}, "needs bitsandbytes"),
    "flash-attn": (
        {"attn_implementation": "flash_attention_2"},
        "flash_attention_2 needs flash_attn, which is not installed here; pip install flash-attn",
    ),
    "kernels": (
        {"attn_implementation": "kernels-community/flash-attn3"},
        "kernels-community/flash-attn3 needs kernels, which is not installed here; pip install -c",
    ),
    "kernels for layers": ({"use_kernels": True}, "use_kernels needs kernels, which is not"),
    "deepspeed": (
        {"launcher": "accelerate launch --config_file configs/deepspeed_zero3.yaml"},
        "needs deepspeed, which is not installed here; pip install deepspeed",
    ),
    "a tracker": ({"report_to": "swanlab"}, "report_to swanlab needs swanlab, which is not"),
}


@pytest.mark.parametrize("case", MISSING)
def test_a_package_that_is_not_there_is_told_with_the_way_out(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_params, "find_spec", lambda _: None)
    update, reason = MISSING[case]
    assert reason in train_params.missing_here(settings(**update))
    assert train_params.missing_here(settings()) == ""


@pytest.mark.parametrize("package", ["tensorboard", "tensorboardX"])
def test_either_package_of_tensorboard_will_do(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_params, "find_spec", lambda name: name == package or None)
    assert train_params.missing_here(settings(report_to="tensorboard")) == ""
    monkeypatch.setattr(train_params, "find_spec", lambda _: None)
    assert "needs tensorboardX" in train_params.missing_here(settings(report_to="tensorboard"))


FOR_GPUS = {
    "fp16": ({"precision": "fp16"}, "precision fp16 needs a GPU"),
    "flash-attn": ({"attn_implementation": "flash_attention_2"}, "flash_attention_2 needs a GPU"),
    "a build of the hub": (
        {"attn_implementation": "kernels-community/flash-attn2"},
        "attn_implementation kernels-community/flash-attn2 needs a GPU",
    ),
    "fused layers": ({"use_kernels": True}, "use_kernels needs a GPU"),
    "a compiled model": ({"torch_compile": True}, "torch_compile needs a GPU"),
    "activations on the host": (
        {"activation_offloading": True},
        "activation_offloading needs a GPU",
    ),
}


@pytest.mark.parametrize("case", FOR_GPUS)
def test_what_needs_a_gpu_is_refused_without_one(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_params, "find_spec", lambda _: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    update, reason = FOR_GPUS[case]
    assert reason in train_params.missing_here(settings(**update))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert train_params.missing_here(settings(**update)) == ""


def test_held_out_loss_counts_the_answer_alone(small_base: Path, trained: tuple) -> None:
    folder, _, _ = trained
    from peft import PeftModel

    merged = PeftModel.from_pretrained(load_model(small_base, "fp32"), folder / "adapter")
    merged.merge_and_unload().save_pretrained(folder / "merged")
    load_tokenizer(small_base).save_pretrained(folder / "merged")
    before = [
        each.loss_per_character
        for each in held_out_losses(small_base, ROWS[4:], CHAT, "fp32", "base")
    ]
    tuned = [
        each.loss_per_character
        for each in held_out_losses(folder / "merged", ROWS[4:], CHAT, "fp32", "tuned")
    ]
    assert all(after < loss for loss, after in zip(before, tuned, strict=True))


def test_the_adapter_is_for_the_layers_that_were_named(small_base: Path, tmp_path: Path) -> None:
    fit(small_base, tmp_path, lora={"r": 2, "target_modules": ["q_proj", "v_proj"]})
    weights = adapter_weights(tmp_path)
    assert all("q_proj" in name or "v_proj" in name for name in weights)
    assert {min(weight.shape) for weight in weights.values()} == {2}
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["target_modules"] == ["q_proj", "v_proj"]


@pytest.mark.parametrize(("count", "seed", "epoch"), [(1, 0, 0), (314, 0, 1), (1000, 7, 3)])
def test_rows_come_in_the_order_of_accelerates_sampler(count: int, seed: int, epoch: int) -> None:
    theirs, ours = SeedableRandomSampler(range(count), data_seed=seed), RowOrder(count, seed)
    for each in (theirs, ours):
        each.set_epoch(epoch)
    assert [*ours] == [*theirs]
