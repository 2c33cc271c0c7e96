"""An OpenAI-compatible server as a writer, such as `wenmo serve`; its texts are streamed.

The names that it gives the models are those of `generate.openai` in params.yaml. Key and timeout
are those of the endpoint with the same address, or else the defaults of endpoints.yaml.
"""

from collections.abc import Sequence

from wenmo.config import params_file
from wenmo.config.endpoints import DEFAULTS, Access, access, endpoints
from wenmo.core.errors import ParamsError, UserError
from wenmo.engines.engine import Completion
from wenmo.engines.openai import request as chat_body
from wenmo.llm.client import api_key
from wenmo.tools.writing.writer import (
    STOPPED,
    ModelName,
    OnText,
    TextRequest,
    WritingParams,
    stable_prefix,
)

CONNECTING = 10.0
"""Longest wait for a connection (seconds); the text has `timeout_seconds`."""


class EndpointWriter:
    """The server at `url`; no request is retried. Its weights are unknown."""

    weights_digest = ""

    def __init__(self, url: str, tasks: Sequence[str]) -> None:
        """Sends no request. Raises UserError for a wrong address or a missing key."""
        from openai import OpenAI, Timeout

        if not url.startswith(("http://", "https://")):
            raise ParamsError(
                f"--endpoint: {url!r}: expected http:// or https://, as in params.yaml"
            )
        self.url, self.tasks = url, tuple(tasks)
        self.params = {task: WritingParams.load(task) for task in tasks}
        limits = access_at(url)
        self.key = api_key(url, limits)
        timeout = Timeout(limits.timeout_seconds, connect=CONNECTING)
        self.client = OpenAI(
            base_url=url, api_key=self.key or "none", timeout=timeout, max_retries=0
        )

    def read(self) -> None:
        """Do nothing: the server has the models."""

    def write(self, model: ModelName, request: TextRequest, on_text: OnText) -> Completion:
        """The whole text; `on_text` gets the text so far whenever it has grown."""
        import openai

        params = self.params[request.task]
        names = params.generate.openai
        prompt = request.engine_prompt(params.chat)
        name = names.base if model == "base" else names.tuned
        body = chat_body(name, prompt, request.sampling)
        text, reason, pieces = "", "length", 0
        try:
            with self.client.chat.completions.create(**body, stream=True) as stream:
                for chunk in stream:
                    for choice in chunk.choices[:1]:
                        text += choice.delta.content or ""
                        pieces += 1
                        reason = choice.finish_reason or reason
                    if not on_text(stable_prefix(text, [])):
                        return Completion(prompt.id, stable_prefix(text, []), STOPPED, pieces)
        except openai.APIStatusError as error:
            raise UserError(f"{self.url}: {error.status_code}: {self._message(error)}") from None
        except openai.OpenAIError as error:
            raise UserError(f"{self.url}: {self._message(error)} Does the server run?") from None
        return Completion(prompt.id, text.strip(), reason, pieces)

    def _message(self, error: Exception) -> str:
        """One line of the server's message, with the key removed, which a server may repeat."""
        line = " ".join(str(getattr(error, "message", error)).split())[:200]
        return line.replace(self.key, "***") if self.key else line


def access_at(url: str) -> Access:
    """How the endpoint at an address is asked; an address of no endpoint has the defaults."""
    known = endpoints(params_file.read()).values()
    names = [each.name for each in known if each.base_url.rstrip("/") == url.rstrip("/")]
    return access(names[0] if names else DEFAULTS)
