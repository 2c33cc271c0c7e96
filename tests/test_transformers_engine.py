"""The default engine: texts do not depend on the batch; memory and context have limits."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from tests.conftest import make_row, run_python
from tests.small_generation import completions, greedy, prompts, settings
from tests.small_models import random_adapter
from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams
from wenmo.config.merge_weights import MergeWeightsParams
from wenmo.core.errors import UserError
from wenmo.engines import transformers as engine_module
from wenmo.engines.engine import Completion, Model, Prompt, completion, prompt_seed
from wenmo.engines.transformers import TransformersEngine
from wenmo.model.chat import chat_text, prompt_messages
from wenmo.model.loading import load_model, load_tokenizer
from wenmo.model.merge_weights import merge_adapter


def answers(
    model: Path | Model, params: GenerateParams, asked: list[Prompt]
) -> dict[str, Completion]:
    """The completion of each prompt, by the prompts' ids."""
    model = model if isinstance(model, Model) else Model("base", model)
    with TransformersEngine(params) as engine:
        return completions(engine, model, asked, params.sampling)


def test_a_prompt_gets_the_same_text_alone_in_any_batch_and_in_any_order(tiny_model: Path) -> None:
    asked = prompts(40)
    penalty = {"sampling": {"repetition_penalty": 1.2, "max_new_tokens": 32}}
    together = answers(tiny_model, settings(**penalty), asked)
    assert list(together) != [prompt.id for prompt in asked]
    assert set(together) == {prompt.id for prompt in asked}
    assert len({each.text for each in together.values()}) > 35
    few = settings(**penalty, transformers={"batch_size": 7})
    assert answers(tiny_model, few, asked[::-1]) == together
    for prompt in asked[::8]:
        assert answers(tiny_model, few, [prompt]) == {prompt.id: together[prompt.id]}
    for threads in (1, 3):
        shared = settings(**penalty, transformers={"threads": threads})
        assert answers(tiny_model, shared, asked) == together


def test_a_seed_decides_the_text(tiny_model: Path) -> None:
    first, again, other = (
        [each.text for each in answers(tiny_model, settings(), prompts(5, seed)).values()]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_tokens_are_those_of_transformers_generate(small_base: Path, penalty: float) -> None:
    asked = prompts(12)
    params = greedy(sampling={"repetition_penalty": penalty, "max_new_tokens": 40})
    found = answers(small_base, params, asked)
    model, tokenizer = load_model(small_base, "fp32").eval(), load_tokenizer(small_base)
    for prompt in asked:
        text = chat_text(tokenizer, prompt.messages)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        out = model.generate(**ids, do_sample=False, max_new_tokens=40, repetition_penalty=penalty)[
            0, ids["input_ids"].shape[1] :
        ]
        assert found[prompt.id].text == tokenizer.decode(out, skip_special_tokens=True).strip()
        assert found[prompt.id].tokens == len(out)


def test_sampling_comes_from_params_alone(tiny_model: Path, tmp_path: Path) -> None:
    """A published model's generation_config.json has settings too, which must not count."""
    shutil.copytree(tiny_model, tmp_path / "published")
    config = tmp_path / "published/generation_config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"repetition_penalty": 5.0, "top_k": 1})
    )
    assert answers(tmp_path / "published", settings(), prompts(6)) == answers(
        tiny_model, settings(), prompts(6)
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_tokens_are_told_as_they_are_written(tiny_model: Path, threads: int) -> None:
    params, told = settings(transformers={"threads": threads}), list[int]()
    with TransformersEngine(params) as engine:
        asked = Model("base", tiny_model), prompts(20), params.sampling
        texts = engine.generate(*asked, on_tokens=told.append)
        first = next(texts)
        assert sum(told) > first.tokens
        written = first.tokens + sum(each.tokens for each in texts)
    assert sum(told) == written


def test_a_text_of_the_longest_length_has_the_reason_length(tiny_model: Path) -> None:
    for each in answers(tiny_model, settings(), prompts(20)).values():
        assert each.tokens <= 24
        assert (each.finish_reason == "length") == (each.tokens == 24)
        assert "<|im_end|>" not in each.text


def byte_fallback() -> PreTrainedTokenizerFast:
    """A tokenizer as of Llama 2 and Gemma, which spells characters that it lacks in bytes."""
    vocabulary = {"<unk>": 0} | {f"<0x{byte:02X}>": byte + 1 for byte in range(256)} | {"山": 257}
    bpe = models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(bpe)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


@pytest.fixture(scope="module", params=["byte-level", "byte-fallback"])
def byte_tokenizer(request: pytest.FixtureRequest, tiny_model: Path) -> Any:
    return byte_fallback() if request.param == "byte-fallback" else load_tokenizer(tiny_model)


@given(st.text("山雪饕é😀", max_size=8), st.data())
def test_an_answer_cut_anywhere_ends_with_its_last_whole_character(
    byte_tokenizer: Any, text: str, data: st.DataObject
) -> None:
    tokens = byte_tokenizer.encode(text, add_special_tokens=False)
    kept = tokens[: data.draw(st.integers(0, len(tokens)))]
    prompt, starts = prompts(1)[0], [text[:end] for end in range(len(text) + 1)]
    counts = [len(byte_tokenizer.encode(each, add_special_tokens=False)) for each in starts]
    whole = [each for each, count in zip(starts, counts, strict=True) if count <= len(kept)][-1]
    assert completion(prompt, kept, False, byte_tokenizer, []).text == whole
    assert completion(prompt, tokens, True, byte_tokenizer, []).text == text


@pytest.mark.parametrize(
    ("written", "text", "finish_reason"),
    [
        ("<think>先想格律。</think>\n\n雪落千山静。", "雪落千山静。", "stop"),
        # The prompt of a thinking model may end with the opening tag.
        ("先想格律。\n</think>\n\n雪落千山静。", "雪落千山静。", "stop"),
        ("<think>先想格律，再想", "", "length"),
    ],
)
def test_what_a_model_thinks_is_no_part_of_its_text(
    tiny_model: Path, written: str, text: str, finish_reason: str
) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokens = tokenizer.encode(written, add_special_tokens=False)
    found = completion(prompts(1)[0], tokens, True, tokenizer, [])
    assert (found.text, found.finish_reason) == (text, finish_reason)


def test_no_text_of_the_longest_length_ends_in_a_part_of_a_character(tiny_model: Path) -> None:
    params = settings(sampling={"temperature": 5.0, "top_p": 1.0, "top_k": 0})
    texts = answers(tiny_model, params, prompts(40)).values()
    cut = [each.text for each in texts if each.finish_reason == "length"]
    assert any("\ufffd" in text for text in cut)  # a part of a character within a text stays
    assert not any(text.endswith("\ufffd") for text in cut)


def test_a_text_ends_before_the_first_stop_string(small_base: Path) -> None:
    """The stop strings come from the longest text: one of one token and one of two."""
    asked = prompts(10)
    whole = answers(small_base, settings(sampling={"max_new_tokens": 60}), asked)
    longest = max(whole.values(), key=lambda each: len(each.text))
    for stop in (longest.text[10], longest.text[10:12]):
        params = settings(sampling={"max_new_tokens": 60, "stop": [stop, "没有这一句"]})
        found = answers(small_base, params, asked)
        for prompt_id, each in found.items():
            assert each.text == whole[prompt_id].text.partition(stop)[0].strip()
        assert found[longest.id].finish_reason == "stop"
        assert found[longest.id].tokens < longest.tokens


def test_an_adapter_over_the_base_writes_what_merged_weights_write(
    small_base: Path, tmp_path: Path
) -> None:
    adapter, merged = random_adapter(small_base, tmp_path / "adapter"), tmp_path / "merged"
    how = MergeWeightsParams(precision="fp32", max_shard_size="1GB", compared_rows=1)
    merge_adapter(
        small_base, adapter, merged, [make_row()], how, ChatParams(system_prompt="你是诗人。")
    )
    params, asked = greedy(), prompts(20)
    base = Model("base", small_base)
    expected = {base: answers(base, params, asked)}
    adapted = Model("tuned", small_base, adapter)
    expected[adapted] = answers(merged, params, asked)
    assert expected[adapted] != expected[base]
    with TransformersEngine(params) as engine:
        for model in (base, adapted, base):
            assert completions(engine, model, asked, params.sampling) == expected[model]


def test_a_context_that_is_too_small_is_one_line(tiny_model: Path) -> None:
    long = Prompt(prompt_messages("你是一位诗人。", "长" * 500), prompt_seed(1, "long"))
    expected = r"^'长+': 5\d\d tokens and generate.sampling.max_new_tokens \(24\) .* context of 512"
    with pytest.raises(UserError, match=expected):
        answers(tiny_model, settings(), [*prompts(3), long])


OUT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import wenmo.core.stage
from tests.small_generation import greedy, prompts
from wenmo.engines.engine import Model
from wenmo.engines.transformers import TransformersEngine

folder, room = Path(sys.argv[1]), int(sys.argv[2])
sizes = {"batch_size": 1024, "threads": 1}
params = greedy(sampling={"max_new_tokens": 3}, transformers=sizes)
asked = prompts(1024)
with TransformersEngine(params) as engine:
    model = Model("base", folder)
    list(engine.generate(model, asked[:8], params.sampling))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, -1))
    found = {each.id: each.text for each in engine.generate(model, asked, params.sampling)}
print(len(found), hash(tuple(sorted(found.items()))))
"""


def test_out_of_memory_makes_the_batch_smaller_and_goes_on(tiny_model: Path) -> None:
    """The process's memory is limited, so that an allocation really fails.

    With one thread, since another would need some of that memory to start. glibc would otherwise
    keep freed memory for the next allocation, outside of what is limited.
    """
    root = Path(__file__).parents[1]
    environment = {"PYTHONPATH": f"{root}:{root / 'src'}", "PYTHONHASHSEED": "0"}
    environment["MALLOC_MMAP_THRESHOLD_"] = "65536"
    free, tight = (
        run_python("-c", OUT_OF_MEMORY, tiny_model, str(room), environment=environment)
        for room in (2**40, 2**20)
    )
    assert "out of memory" not in free.stdout + free.stderr
    said = re.search(r"out of memory with (\d+) prompts; going on with (\d+)", tight.stderr)
    assert said, tight.stderr[-2000:]
    assert int(said[2]) == int(said[1]) // 2
    assert tight.stdout.splitlines()[-1] == free.stdout.splitlines()[-1]


def test_each_thread_makes_its_batches_smaller(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for memory that holds 16 prompts per thread."""
    asked, decode, sizes = prompts(100), engine_module.decode, []
    whole = answers(tiny_model, settings(), asked)

    def bounded(model: Any, batch: list[list[int]], *rest: Any) -> Iterator[tuple[int, list[int]]]:
        sizes.append(len(batch))
        if len(batch) > 16:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return decode(model, batch, *rest)

    monkeypatch.setattr(engine_module, "decode", bounded)
    assert answers(tiny_model, settings(transformers={"threads": 2}), asked) == whole
    assert max(sizes) > 16


def test_too_little_memory_for_the_smallest_batch_is_one_line(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in, since no real limit fits the model but not a few prompts."""
    sizes = []

    def fail(_model: Any, batch: list[list[int]], *_: Any) -> None:
        sizes.append(len(batch))
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(engine_module, "decode", fail)
    with pytest.raises(
        UserError, match=r"^out of memory with the smallest batch \(12\); lower"
    ) as line:
        answers(tiny_model, settings(transformers={"threads": 1}), [prompts(1)[0]] * 36)
    assert sizes == [36, 18, 12]
    assert "\n" not in str(line.value)


def test_a_batch_has_only_as_many_rows_as_fit_into_memory(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(tiny_model, "fp32")
    heads_and_layers = 2 * 2 * 32 * 4  # keys and values, layers, hidden size, bytes
    row = heads_and_layers * 100 + 5 * 8 * model.config.vocab_size
    memory = type("Memory", (), {"available": 2 * 30 * row + 1})
    monkeypatch.setattr(engine_module.psutil, "virtual_memory", lambda: memory)
    assert engine_module.rows_that_fit(model, 100) == 24
    assert engine_module.rows_that_fit(model, 10**9) == 12
