"""Chat models that are published otherwise than the families of tests/chat_families.py."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chat_families import FAMILIES, Family
from tests.small_models import family_model
from wenmo.config.base_model import BaseModelParams
from wenmo.core.errors import UserError
from wenmo.model.base import provide
from wenmo.model.chat import chat_text, prompt_messages
from wenmo.model.loading import load_tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN = FAMILIES["qwen2"]


class Bench:
    """Makes a model's folder with a chat template, and the base of it."""

    def __init__(self, tiny_model: Path, tiny_params: Any, folder: Path) -> None:
        self.tiny_model, self.tiny_params = tiny_model, tiny_params
        self.own, self.base = folder / "own", folder / "base"

    def publish(self, template: str, family: Family = QWEN) -> None:
        family_model(self.own, family, self.tiny_model)
        (self.own / "chat_template.jinja").write_text(template)

    def edit(self, name: str, **changes: Any) -> None:
        path = self.own / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def provide(self, **template_kwargs: bool | int | str) -> dict[str, Any]:
        """What base_model records of the chat model."""
        params = BaseModelParams(
            source="path",
            name="",
            revision="",
            path=str(self.own),
            template_kwargs=template_kwargs,
            tiny=self.tiny_params,
        )
        provide(self.base, params, seed=1)
        found: dict[str, Any] = json.loads((self.base / "wenmo.json").read_text())["chat"]
        return found


@pytest.fixture
def bench(tiny_model: Path, tiny_params: Any, tmp_path: Path) -> Bench:
    return Bench(tiny_model, tiny_params, tmp_path)


@pytest.mark.parametrize(
    ("fault", "template_kwargs"),
    [
        ("{% if not style is defined %}{{ raise_exception('no style') }}{% endif %}", {"style": 1}),
        ("{{ '' if level > 1 else '' }}", {"level": 2}),
        ("{{ 'a' if style is defined else 'b' }}", {"style": "x", "no-identifier": "x"}),
        ("{% if not messages[0].content %}{{ raise_exception('empty') }}{% endif %}", {}),
    ],
)
def test_a_template_that_fails_without_its_variables_or_a_system_prompt_is_mended(
    bench: Bench, fault: str, template_kwargs: dict[str, Any]
) -> None:
    bench.publish(fault + CHATML)
    assert bench.provide(**template_kwargs)["change"]
    tokenizer = load_tokenizer(bench.base)
    for system in ("系统", ""):
        assert chat_text(tokenizer, prompt_messages(system, "问")).endswith(
            f"{system}<|im_end|>\n<|im_start|>user\n问<|im_end|>\n<|im_start|>assistant\n"
        )


def test_templates_by_name_with_none_for_conversations_are_refused_in_one_line(
    bench: Bench,
) -> None:
    bench.publish(CHATML)
    (bench.own / "chat_template.jinja").unlink()
    named = [{"name": name, "template": CHATML} for name in ("rag", "tool_use")]
    bench.edit("tokenizer_config.json", chat_template=named)
    with pytest.raises(UserError, match=r"several chat templates \(rag, tool_use\), none"):
        bench.provide()
    (bench.own / "chat_template.jinja").write_text(CHATML)
    assert bench.provide()["end"] == "<|im_end|>"
