"""`wenmo web`: the page of the models and the server of the page."""

import threading
from collections.abc import Sequence
from importlib.util import find_spec

import typer

from wenmo.config import params_file
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.tools.task_names import listed_tasks, refuse_unknown
from wenmo.tools.writing.open_writer import open_writer
from wenmo.tools.writing.web_server import check_access, listening_socket, serve
from wenmo.tools.writing.wording import poem_prompts
from wenmo.tools.writing.writer import WritingParams


def web(
    tasks: Sequence[str],
    host: str,
    port: int,
    auth: str,
    endpoint: str,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Serve the page until Ctrl-C, with a tab per task; without `tasks`, per trained task.

    Raises UserError for a wrong value, a missing model or a missing Gradio.
    """
    refuse_unknown(tasks)
    access = check_access(host, auth)
    writer = open_writer(endpoint, tasks or listed_tasks(), only_trained=not tasks)
    if find_spec("gradio") is None:
        raise UserError(
            "Gradio is not installed; `pip install -c constraints.txt -e '.[demo]'` installs it"
        )
    from wenmo.tools.writing.web_page import build
    from wenmo.tools.writing.web_tab import PageContext

    sampling = {task: WritingParams.load(task).generate.sampling for task in writer.tasks}
    context = PageContext(
        writer, sampling, params_file.seed(), poem_prompts(), writer.weights_digest
    )
    page = build(context)
    sock = listening_socket(host, port)
    free_port = sock.getsockname()[1]
    if port not in (0, free_port):
        typer.echo(gettext("port {port} is busy; using {free}", port=port, free=free_port))
    address = f"[{host}]" if ":" in host else host
    # Flushed, since a program that started the command waits for the address.
    print(f"http://{address}:{free_port}", flush=True)
    # The models load while the browser opens the page; an early request waits for them.
    threading.Thread(target=writer.read, daemon=True).start()
    serve(page, sock, access, host, allowed_hosts)
