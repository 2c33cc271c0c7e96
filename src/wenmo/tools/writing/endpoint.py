"""Any OpenAI-compatible server as a writer, such as `wenmo serve`: what comes is streamed.

What it calls the models, and where its key is, stands in `generate.openai` of params.yaml.
"""

from collections.abc import Sequence

from wenmo.core.errors import ParamsError, UserError
from wenmo.engines.engine import Completion
from wenmo.engines.openai import request
from wenmo.llm.client import api_key
from wenmo.tools.writing.writer import STOPPED, Asked, Hear, ModelName, TaskParams, sure_part

CONNECTING = 10.0
"""Seconds in which a server must take the call; for the text it has `timeout_seconds`."""


class EndpointWriter:
    """The server at `url`; nothing is asked of it twice. Of its weights nothing is known."""

    models = ""

    def __init__(self, url: str, tasks: Sequence[str]) -> None:
        """Nothing is asked yet. Raises UserError for an address that is none or a missing key."""
        from openai import OpenAI, Timeout

        if not url.startswith(("http://", "https://")):
            raise ParamsError(
                f"--endpoint: {url!r}: expected http:// or https://, as in params.yaml"
            )
        self.url, self.tasks = url, tuple(tasks)
        self.params = {task: TaskParams.load(task) for task in tasks}
        access = self.params[tasks[0]].generate.openai.model_copy(update={"base_url": url})
        self.key = api_key(access)
        patience = Timeout(access.timeout_seconds, connect=CONNECTING)
        self.client = OpenAI(
            base_url=url, api_key=self.key or "none", timeout=patience, max_retries=0
        )

    def read(self) -> None:
        """Nothing: the server has the models."""

    def write(self, model: ModelName, asked: Asked, hear: Hear) -> Completion:
        """The whole text; `hear` is told of it whenever more comes."""
        import openai

        params = self.params[asked.task]
        names = params.generate.openai
        prompt = asked.prompt(params.chat)
        body = request(names.base if model == "base" else names.tuned, prompt, asked.sampling)
        text, reason, pieces = "", "length", 0
        try:
            with self.client.chat.completions.create(**body, stream=True) as stream:
                for chunk in stream:
                    for choice in chunk.choices[:1]:
                        text += choice.delta.content or ""
                        pieces += 1
                        reason = choice.finish_reason or reason
                    if not hear(sure_part(text, [])):
                        return Completion(prompt.id, sure_part(text, []), STOPPED, pieces)
        except openai.APIStatusError as error:
            raise UserError(f"{self.url}: {error.status_code}: {self._told(error)}") from None
        except openai.OpenAIError as error:
            raise UserError(f"{self.url}: {self._told(error)} Does the server run?") from None
        return Completion(prompt.id, text.strip(), reason, pieces)

    def _told(self, error: Exception) -> str:
        """A line of what the server said, in which it may have repeated the key."""
        line = " ".join(str(getattr(error, "message", error)).split())[:200]
        return line.replace(self.key, "***") if self.key else line
