"""Write down the exact versions in pyproject.toml, for all the stages that depend on them.

PYTHONPATH=src python stages/libraries.py
"""

import tomllib
from pathlib import Path

from wenmo.core.errors import UserError
from wenmo.core.records import write_text
from wenmo.core.stage import parse_arguments, run_stage

if __name__ == "__main__":
    parse_arguments(__doc__)
    with run_stage("libraries"):
        try:
            project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
            dependencies = project["dependencies"]
            compat = project["optional-dependencies"]["compat"]
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
            raise UserError(f"pyproject.toml: no lists of libraries in it: {error}") from None
        for name, libraries in (("libraries", dependencies), ("libraries.compat", compat)):
            write_text(Path(f"data/checked/{name}.txt"), "".join(f"{e}\n" for e in libraries))
