"""An OpenAI-compatible server as a writer, such as `wenmo serve`; its texts are streamed.

The names that it gives the models are those of `generate.openai` in params.yaml. Key, timeout and
the fields of a request are those of the endpoint with the same address, or else the defaults.
"""

from collections.abc import Sequence

from wenmo.config import params_file
from wenmo.config.endpoints import DEFAULTS, Access, Endpoint, access, endpoints
from wenmo.config.generate import GenerateParams
from wenmo.core.errors import ParamsError, UserError
from wenmo.core.language import gettext
from wenmo.engines.engine import Completion, without_cut_character
from wenmo.engines.openai import DEFAULT_FIELDS
from wenmo.engines.openai import request as chat_body
from wenmo.llm.connection import api_key, failure, show_hidden_status_of_stream
from wenmo.llm.faults import one_line
from wenmo.llm.reply import has_thinking, joined
from wenmo.text.thinking import without_thinking
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
        from openai import DefaultHttpxClient, OpenAI, Timeout

        if not url.startswith(("http://", "https://")):
            raise ParamsError(
                "--endpoint: {url!r}: expected http:// or https://, as in params.yaml", url=url
            )
        self.url, self.tasks = url, tuple(tasks)
        self.params = {task: WritingParams.load(task) for task in tasks}
        self.fields = entry_at(url) or DEFAULT_FIELDS
        limits = access_at(url)
        self.key = api_key(url, limits)
        timeout = Timeout(limits.timeout_seconds, connect=CONNECTING)
        self.client = OpenAI(
            base_url=url,
            api_key=self.key or "none",
            timeout=timeout,
            max_retries=0,
            http_client=DefaultHttpxClient(
                event_hooks={"response": [show_hidden_status_of_stream]}
            ),
        )

    def read(self) -> None:
        """Do nothing: the server has the models."""

    def write(self, model: ModelName, request: TextRequest, on_text: OnText) -> Completion:
        """The whole text; `on_text` gets the text so far, without thinking, as it grows."""
        import openai

        if request.verse:
            raise UserError("verse: an endpoint decodes by itself; set it to free")
        params = self.params[request.task]
        names = params.generate.openai
        prompt = request.engine_prompt(params.chat)
        name = names.base if model == "base" else names.tuned
        body = chat_body(name, prompt, request.sampling, self.fields)
        text, reason, pieces, has_thought = "", "length", 0, False
        try:
            with self.client.chat.completions.create(**body, stream=True) as stream:
                for chunk in stream:
                    for choice in chunk.choices[:1]:
                        text += joined(choice.delta.content)
                        pieces += 1
                        has_thought |= has_thinking(choice.delta.model_extra or {})
                        reason = choice.finish_reason or reason
                    if not on_text(stable_prefix(text, [])):
                        return Completion(prompt.id, stable_prefix(text, []), STOPPED, pieces)
        except openai.APIStatusError as error:
            failed = failure(self.url, error, self.key)
            said = str(failed).removeprefix(gettext("{place}: {error}", place=self.url, error=""))
            raise UserError("{place}: {error}", place=self.url, error=said) from None
        except openai.APIConnectionError as error:
            said = one_line(str(error), self.key)
            raise UserError(
                "{url}: {error} Does the endpoint run?", url=self.url, error=said
            ) from None
        except openai.APIError as error:
            # An error that comes within the stream.
            raise UserError(
                "{place}: {error}", place=self.url, error=one_line(error.message, self.key)
            ) from None
        if not pieces:
            raise UserError("{url}: no text came, and no error", url=self.url)
        whole = text if reason == "stop" else without_cut_character(text)
        answer = (without_thinking(whole) or "").strip()
        has_thought |= answer != whole.strip()
        reason = "length" if has_thought and not answer else reason
        return Completion(prompt.id, answer, reason, pieces)


def entry_at(url: str) -> Endpoint | None:
    """The endpoint with an address; with several, that of `generate.openai` comes first."""
    content = params_file.read()
    chosen = GenerateParams.load("generate").openai.endpoint
    known = [chosen, *endpoints(content).values()]
    at = [each for each in known if each.base_url.rstrip("/") == url.rstrip("/")]
    return at[0] if at else None


def access_at(url: str) -> Access:
    """How the endpoint at an address is asked; an address of no endpoint has the defaults."""
    found = entry_at(url)
    return access(found.name if found else DEFAULTS)
