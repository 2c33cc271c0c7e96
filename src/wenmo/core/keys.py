"""Keys: from the environment or the git-ignored file .env, never from params.yaml."""

import os

from dotenv import dotenv_values, find_dotenv


def secret(name: str) -> str:
    """The value of an environment variable, else of that name in .env, else an empty string.

    The file is looked for in the folders above too, since `dvc exp run --temp` works in a folder
    below the repository.
    """
    return os.environ.get(name) or dotenv_values(find_dotenv(usecwd=True)).get(name) or ""
