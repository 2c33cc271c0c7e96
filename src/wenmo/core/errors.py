"""Errors that a user can mend: each is one line on stderr and an exit code."""

from wenmo.core.language import gettext


class UserError(Exception):
    """Something outside the code is wrong; the message names the place and the way out.

    It is told in the reader's language, with the values in its placeholders, as by `gettext`.
    """

    exit_code = 1

    def __init__(self, message: str, /, **values: object) -> None:
        super().__init__(gettext(message, **values))


class ParamsError(UserError):
    """params.yaml does not say what it should."""

    exit_code = 2


class WrongArgumentsError(UserError):
    """What a command is asked for cannot be: no fault of the files."""

    exit_code = 2


class StoppedError(UserError):
    """A signal ended the work before its end; what is done is kept."""

    def __init__(self, message: str, signal_number: int, /, **values: object) -> None:
        super().__init__(message, **values)
        self.exit_code = 128 + signal_number
