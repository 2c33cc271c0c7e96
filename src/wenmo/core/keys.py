"""Keys: from the environment or the git-ignored file .env, never from params.yaml."""

import os

from dotenv import dotenv_values, find_dotenv


def secret(name: str) -> str:
    """The value of an environment variable, else of that name in .env, else an empty string.

    White space around it, such as the line end of a file that was read, is no part of a key. The
    file is looked for in the folders above too, since `dvc exp run --temp` works in a folder below
    the repository.
    """
    in_environment = os.environ.get(name, "").strip()
    return in_environment or (dotenv_values(find_dotenv(usecwd=True)).get(name) or "").strip()
