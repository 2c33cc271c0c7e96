"""The prompt writer of the novel challenge's baseline: one call after another, with pauses."""

import time
from collections.abc import Iterable
from typing import Any

from openai import OpenAI

SLEEP = 0.3
"""Seconds after each call."""


def ask_one_by_one(url: str, requests: Iterable[dict[str, Any]]) -> list[str]:
    """The answers to chat-completion requests, in order."""
    client, answers = OpenAI(base_url=url, api_key="none"), []
    for request in requests:
        answer = client.chat.completions.create(**request)
        answers.append(answer.choices[0].message.content or "")
        time.sleep(SLEEP)
    return answers
