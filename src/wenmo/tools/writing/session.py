"""Writing with the models in a terminal: what is typed is a theme or a command."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import platformdirs

from wenmo.core.errors import ParamsError, UserError
from wenmo.core.records import write_text
from wenmo.engines.engine import Completion
from wenmo.tools.writing.requests import form_named, request
from wenmo.tools.writing.screen import Growing, Screen, poem_facts
from wenmo.tools.writing.writer import (
    MODELS,
    STOPPED,
    Asked,
    ModelName,
    TaskParams,
    Writer,
    changed,
)

BOTH = "both"
CHOICES = (*MODELS, BOTH)
HISTORY = 1000
"""Lines that are remembered from one session to the next."""

HELP = """\
A theme, or for a poem its first line or title, and Enter: the model writes. Ctrl-C stops the text.
/task novel         the task, and with it the models
/model both         who writes: base, tuned, or one after the other
/form 七言绝句      a poem's form
/temperature 0.7    sharpness of the draw; 0 takes the likeliest
/seed 42            what the draw starts from
/again              the same with the next seed
/save poem.txt      keep what was written last
/help /quit
A command without its value shows what it is now."""


@dataclass(frozen=True)
class Choice:
    """What the next text is written with; without a temperature it is that of params.yaml."""

    task: str
    model: str
    form: str
    seed: int
    temperature: float | None = None


@dataclass
class Session:
    """Answers lines; `written` are the last texts by model, and `asked` what they answer."""

    writer: Writer
    screen: Screen
    choice: Choice
    poem_prompts: str
    with_tones: bool
    asked: Asked | None = None
    typed: str = ""
    written: dict[ModelName, Completion] | None = None

    def __post_init__(self) -> None:
        for key, value in vars(self.choice).items():
            if value is not None:
                self.choose(key, str(value))

    def take(self, line: str) -> bool:
        """Write about a theme, or do what a command says; False after /quit.

        Raises UserError for a command that is none, and where writing fails.
        """
        line = line.strip()
        if not line.startswith("/"):
            if line:
                self.write(line)
            return True
        command, _, value = line.removeprefix("/").partition(" ")
        value = value.strip()
        match command:
            case "quit":
                return False
            case "help":
                self.screen.note(HELP)
            case "again" if self.typed:
                self.choice = replace(self.choice, seed=self.choice.seed + 1)
                self.write(self.typed)
            case "again":
                raise ParamsError("there is nothing to write again; type a theme first")
            case "save":
                self.screen.note(f"in {self.save(value)}")
            case "task" | "model" | "form" | "seed" | "temperature":
                if value:
                    self.choose(command, value)
                self.screen.note(f"{command} {self.shown(command)}")
            case _:
                raise ParamsError(f"/{command}: no such command; /help lists them")
        return True

    def choose(self, key: str, value: str) -> None:
        """Raises ParamsError for a value that is not allowed."""
        match key:
            case "task":
                found: Any = one_of(self.writer.tasks, value, key)
            case "model":
                found = one_of(CHOICES, value, key)
            case "form":
                found = form_named(value)
            case "seed":
                found = number(int, value, key)
            case _:
                found = number(float, value, key)
                changed(TaskParams.load(self.choice.task).generate.sampling, temperature=found)
        self.choice = replace(self.choice, **{key: found})

    def shown(self, key: str) -> str:
        """What holds now."""
        if key == "temperature" and self.choice.temperature is None:
            return str(TaskParams.load(self.choice.task).generate.sampling.temperature)
        return str(getattr(self.choice, key))

    def write(self, typed: str) -> None:
        """Have base, tuned or both write, and show it as it comes; Ctrl-C ends it early."""
        choice = self.choice
        sampling = TaskParams.load(choice.task).generate.sampling
        if choice.temperature is not None:
            sampling = changed(sampling, temperature=choice.temperature)
        asked = Asked(
            choice.task,
            request(choice.task, typed, choice.form, self.poem_prompts),
            choice.seed,
            sampling,
        )
        self.asked, self.typed, self.written = asked, typed, {}
        self.screen.note(asked.request)
        for model in MODELS if choice.model == BOTH else [n for n in MODELS if n == choice.model]:
            if choice.model == BOTH:
                self.screen.heading(model)
            text = self.written[model] = self._written(model, asked)
            self.screen.note(self._facts(text))
            if self.stopped:
                break

    @property
    def stopped(self) -> bool:
        """Whether the last text was ended by Ctrl-C."""
        return any(each.finish_reason == STOPPED for each in (self.written or {}).values())

    def save(self, name: str) -> Path:
        """Write the last texts into a new file. Raises UserError if it is there, or no text is."""
        if not self.asked or not self.written:
            raise ParamsError("there is nothing to save; type a theme first")
        path = Path(name or f"{self.asked.task}-{self.asked.seed}.txt")
        if path.exists():
            raise UserError(f"{path} is there already; /save takes another name")
        about = f"seed {self.asked.seed}, temperature {self.asked.sampling.temperature}"
        parts = [f"{self.asked.request}\n{about}"]
        parts += [f"[{model}]\n{each.text}" for model, each in self.written.items()]
        try:
            write_text(path, "\n\n".join(parts) + "\n")
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        return path

    def _written(self, model: ModelName, asked: Asked) -> Completion:
        with_tones = self.with_tones and asked.task == "poetry"
        growing = Growing(self.screen, with_tones=with_tones)
        try:
            found = self.writer.write(model, asked, growing.hear)
        except KeyboardInterrupt:
            growing.end()
            return Completion("", growing.text, STOPPED, 0)
        except UserError:
            if growing.text:
                growing.end()
            raise
        growing.hear(found.text)
        growing.end()
        return found

    def _facts(self, text: Completion) -> str:
        characters = len("".join(text.text.split()))
        ends = {"stop": "", "length": ", cut at the longest answer", STOPPED: ", stopped"}
        told = f"{characters} characters, seed {self.choice.seed}"
        if self.choice.task == "poetry":
            told += f", {poem_facts(text.text)}"
        return told + ends.get(text.finish_reason, f", {text.finish_reason}")


def converse(session: Session, history: Path) -> None:
    """Answer what is typed, with its history, until /quit or Ctrl-D."""
    with suppress(ImportError):
        remember(import_module("readline"), history)
    session.screen.note("A theme and Enter; /help tells more, /quit ends.")
    while True:
        try:
            line = input(f"{session.choice.task}> ")
            if not session.take(line):
                return
        except EOFError:
            session.screen.show("\n")
            return
        except KeyboardInterrupt:
            session.screen.show("\n")
        except UserError as error:
            session.screen.complain(str(error))


def remember(readline: Any, history: Path) -> None:
    """Bring back the lines of earlier sessions, and keep those of this one when it ends."""
    import atexit

    def keep() -> None:
        with suppress(OSError):
            history.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(history)

    with suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(HISTORY)
    atexit.register(keep)


def history_file() -> Path:
    """Where the lines are kept, in the user's own folder for such things."""
    return platformdirs.user_state_path("wenmo") / "write_history"


def one_of(allowed: tuple[str, ...], value: str, key: str) -> str:
    """The value. Raises ParamsError if it is not allowed."""
    if value not in allowed:
        raise ParamsError(f"{key}: {value!r}: allowed are {', '.join(allowed)}")
    return value


def number(kind: Callable[[str], float], value: str, key: str) -> float:
    """A number of that kind. Raises ParamsError for anything else."""
    try:
        return kind(value)
    except ValueError:
        raise ParamsError(f"{key}: {value!r}: expected a number") from None
