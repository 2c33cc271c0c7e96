"""What Python and the system say of files, marked for the catalogue.

`gettext` translates it where an error of theirs is told; any other words stay English.
"""

from wenmo.core.language import N_, gettext

BY_THE_SYSTEM = (
    N_("No such file or directory"),
    N_("Permission denied"),
    N_("File exists"),
    N_("Not a directory"),
    N_("Is a directory"),
    N_("File name too long"),
    N_("No space left on device"),
    N_("Disk quota exceeded"),
    N_("Read-only file system"),
    N_("Too many open files"),
    N_("Input/output error"),
    N_("Address already in use"),
    N_("Cannot assign requested address"),
    N_("Connection refused"),
    N_("Name or service not known"),
)
BY_JSON = (
    N_("Expecting value"),
    N_("Expecting property name enclosed in double quotes"),
    N_("Expecting ':' delimiter"),
    N_("Expecting ',' delimiter"),
    N_("Extra data"),
    N_("Unterminated string starting at"),
    N_("Invalid control character at"),
    N_("Illegal trailing comma before end of object"),
    N_("Illegal trailing comma before end of array"),
)
BY_UNICODE = (
    N_("invalid start byte"),
    N_("invalid continuation byte"),
    N_("unexpected end of data"),
    N_("illegal multibyte sequence"),
    N_("incomplete multibyte sequence"),
)


def system_words(error: OSError) -> str:
    """What the system says of a file, in the reader's language."""
    return gettext(error.strerror or str(error))
