"""`transformers serve` behind the check of hosts; the command has no option for a middleware."""

from typing import Any

from transformers.cli.serving import server
from transformers.cli.transformers import main

from wenmo.tools.same_host import SameHost

build_server = server.build_server


def build_checked_server(*arguments: Any, **options: Any) -> Any:
    """The server's application, to which only requests of this host get."""
    app = build_server(*arguments, **options)
    app.add_middleware(SameHost)
    return app


if __name__ == "__main__":
    server.build_server = build_checked_server
    main()
