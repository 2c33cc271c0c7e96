"""Section `chat`: what is said to the model around a row's prompt."""

from wenmo.config.params_file import Section


class ChatParams(Section):
    """Section `chat`: what is said to the model around a row's prompt."""

    system_prompt: str
