"""Section `chat`: the messages before a row's prompt."""

from wenmo.config.params_file import Section


class ChatParams(Section):
    """Section `chat`: the system message before a row's prompt."""

    system_prompt: str
