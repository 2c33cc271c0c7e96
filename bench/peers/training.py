"""LoRA training by the novel challenge's baseline: transformers' Trainer on padded batches.

python -m bench.peers.training BASE ROWS OUTPUT_FOLDER LENGTH

4 rows per batch, padded to the longest, 4 batches per step, activation checkpointing, one epoch, on
the machine's own code path.
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
)

from wenmo.core.records import read_json_lines
from wenmo.model.cost import peak_device_mebibytes

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def encoded(row: dict[str, str], tokenizer: AutoTokenizer, length: int) -> dict[str, list[int]]:
    """A row's first `length` tokens; the loss is on the completion alone."""
    asked = tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
    answer = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
    ids = (asked + answer)[:length]
    labels = ([-100] * len(asked) + answer)[:length]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}


if __name__ == "__main__":
    base, rows, output = map(Path, sys.argv[1:4])
    length = int(sys.argv[4])
    has_gpu = torch.cuda.is_available()
    tokenizer = AutoTokenizer.from_pretrained(base)
    dtype = torch.bfloat16 if has_gpu else torch.float32
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    model.enable_input_require_grads()
    adapter = {"r": 8, "lora_alpha": 32, "lora_dropout": 0.1, "target_modules": MODULES}
    arguments = TrainingArguments(
        output_dir=str(output),
        num_train_epochs=1,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=4,
        gradient_checkpointing=True,
        learning_rate=1e-4,
        bf16=has_gpu,
        use_cpu=not has_gpu,
        save_strategy="no",
        report_to="none",
    )
    trainer = Trainer(
        model=get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **adapter)),
        args=arguments,
        train_dataset=[encoded(row, tokenizer, length) for _, row in read_json_lines(rows)],
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
    )
    seconds = trainer.train().metrics["train_runtime"]
    print(json.dumps({"seconds": seconds, "peak_mebibytes": peak_device_mebibytes()}))
