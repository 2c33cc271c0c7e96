"""A terminal session: each typed line is a theme to write about or a command."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import platformdirs

from wenmo.config.generate import VERSE_RULES, Sampling, VerseRule
from wenmo.core.choices import not_allowed
from wenmo.core.errors import ParamsError, UserError
from wenmo.core.language import N_, gettext, language, ngettext
from wenmo.core.records import write_text
from wenmo.core.system_words import system_words
from wenmo.engines.engine import Completion
from wenmo.text.asked_verse import (
    FORMS,
    asked_form,
    asked_tune,
)
from wenmo.text.certain_readings import named_rhyme
from wenmo.text.patterns import Pattern
from wenmo.tools.writing.screen import GrowingText, Screen, poem_facts
from wenmo.tools.writing.wording import checked_form, has_chinese, task_prompt, verse_of
from wenmo.tools.writing.writer import (
    MODELS,
    STOPPED,
    ModelName,
    TextRequest,
    Writer,
    WritingParams,
    sampling_with,
)

BOTH = "both"
MODEL_CHOICES = (*MODELS, BOTH)
HISTORY_LINES = 1000
SAVED = Path("outputs/saved")
ANY_RHYME = "随"

HELP = N_("""\
Type a theme, or for a poem its first line or title, and Enter. Ctrl-C stops the text.
/task novel         the task, and with it its model
/model both         the model that writes: base, tuned, or one after the other
/form 七言绝句      a poem's form, or a tune such as 浣溪沙
/temperature 0.7    temperature of sampling; 0 is greedy
/verse full         what a poem keeps (free, form, rhyme, full)
/rhyme 东           a poem's 平水 rhyme, or a tune's such as 第三部; 随: the model chooses
/seed 42            seed of sampling
/again              write about the same theme with the next seed
/save poem.txt      save the last texts in outputs/saved
/help /quit
A command without its value shows the present value.""")


@dataclass(frozen=True)
class Settings:
    """What the next text is written with; a temperature or verse of None is that of params.yaml.

    A rhyme of None is the model's choice.
    """

    task: str
    model: str
    form: str
    seed: int
    temperature: float | None = None
    verse: VerseRule | None = None
    rhyme: str | None = None


@dataclass
class Session:
    """Writes texts and obeys commands; `texts` are the last ones by model, for `request`."""

    writer: Writer
    screen: Screen
    settings: Settings
    poem_prompts: str
    with_tones: bool
    request: TextRequest | None = None
    typed: str = ""
    texts: dict[ModelName, Completion] | None = None

    def __post_init__(self) -> None:
        for key, value in vars(self.settings).items():
            if value is not None:
                self.set(key, str(value))

    def answer(self, line: str) -> bool:
        """Write about a theme, or obey a command; False after /quit.

        Raises UserError for an unknown command or a wrong value, and if writing fails.
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
                self.screen.note(gettext(HELP))
            case "again" if self.typed:
                self.settings = replace(self.settings, seed=self.settings.seed + 1)
                self.write(self.typed)
            case "again":
                raise ParamsError("there is nothing to write again; type a theme first")
            case "save":
                self.screen.note(gettext("saved in {path}", path=self.save(value)))
            case "task" | "model" | "form" | "verse" | "rhyme" | "seed" | "temperature":
                if value:
                    self.set(command, value)
                self.screen.note(f"{command} {self.present(command)}")
            case _:
                raise ParamsError("/{command}: no such command; /help lists them", command=command)
        return True

    def set(self, key: str, value: str) -> None:
        """Change one of the settings. Raises ParamsError for a value that is not allowed."""
        match key:
            case "task":
                found: Any = one_of(self.writer.tasks, value, key)
            case "model":
                found = one_of(MODEL_CHOICES, value, key)
            case "form":
                found = checked_form(value)
            case "verse":
                found = one_of(VERSE_RULES, value, key)
            case "rhyme":
                found = None if value == ANY_RHYME else value
                if found:
                    named_rhyme(found, of_tune=True)
            case "seed":
                found = number(int, value, key)
            case _:
                found = number(float, value, key)
                sampling_with(self._sampling(), temperature=found)
        self.settings = replace(self.settings, **{key: found})

    def present(self, key: str) -> str:
        """The present value of a setting."""
        if key == "temperature":
            return str(self._sampling().temperature)
        if key == "verse":
            return self._rule()
        if key == "rhyme":
            return self.settings.rhyme or ANY_RHYME
        return str(getattr(self.settings, key))

    def write(self, typed: str) -> None:
        """Write with base, tuned or both, and show the text as it grows; Ctrl-C ends it."""
        now = self.settings
        prompt = task_prompt(now.task, typed, now.form, self.poem_prompts)
        is_poem = now.task == "poetry"
        verse = verse_of(prompt, self._rule(), now.rhyme or "") if is_poem else None
        request = TextRequest(now.task, prompt, now.seed, self._sampling(), verse)
        self.request, self.typed, self.texts = request, typed, {}
        self.screen.note(prompt)
        if not has_chinese(typed):
            self.screen.warn(
                gettext("there is no Chinese in it, and the models were taught Chinese prompts")
            )
        asked = asked_form(prompt) if is_poem and prompt != typed else None
        if asked and asked != FORMS.get(now.form):
            self.screen.warn(
                gettext(
                    "the first line has {count} characters, so the form is {asked}, not {form}",
                    count=asked[1],
                    asked=next(name for name, measures in FORMS.items() if measures == asked),
                    form=now.form,
                )
            )
        for model in MODELS if now.model == BOTH else [n for n in MODELS if n == now.model]:
            if now.model == BOTH:
                self.screen.heading(model)
            text = self.texts[model] = self._show_text(model, request)
            self.screen.note(self._facts(text, asked_tune(prompt)))
            if self.stopped:
                break

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C ended the last text."""
        return any(each.finish_reason == STOPPED for each in (self.texts or {}).values())

    def save(self, name: str) -> Path:
        """Write the last texts into a new file, in SAVED unless its path is absolute.

        Raises UserError if it exists or no text does.
        """
        if not self.request or not self.texts:
            raise ParamsError("there is nothing to save; type a theme first")
        path = SAVED / (name or f"{self.request.task}-{self.request.seed}.txt")
        if path.exists():
            raise UserError("{path} exists already; give /save another name", path=path)
        about = f"seed {self.request.seed}, temperature {self.request.sampling.temperature}"
        parts = [f"{self.request.prompt}\n{about}"]
        parts += [f"[{model}]\n{each.text}" for model, each in self.texts.items()]
        try:
            write_text(path, "\n\n".join(parts) + "\n")
        except OSError as error:
            raise UserError("{place}: {error}", place=path, error=system_words(error)) from None
        return path

    def _sampling(self) -> Sampling:
        """The task's sampling, with the session's temperature if it has one."""
        sampling = WritingParams.load(self.settings.task).generate.sampling
        if self.settings.temperature is None:
            return sampling
        return sampling_with(sampling, temperature=self.settings.temperature)

    def _rule(self) -> VerseRule:
        """The session's rule of verse, or the task's."""
        return self.settings.verse or WritingParams.load(self.settings.task).generate.verse

    def _show_text(self, model: ModelName, request: TextRequest) -> Completion:
        with_tones = self.with_tones and request.task == "poetry"
        growing = GrowingText(self.screen, with_tones=with_tones)
        try:
            whole = self.writer.write(model, request, growing.show)
        except KeyboardInterrupt:
            growing.end()
            return Completion("", growing.text, STOPPED, 0)
        except UserError:
            if growing.text:
                growing.end()
            raise
        growing.show(whole.text)
        growing.end()
        return whole

    def _facts(self, text: Completion, tune: Pattern) -> str:
        characters = len("".join(text.text.split()))
        told = [
            ngettext("{count} character", "{count} characters", characters),
            gettext("seed {seed}", seed=self.settings.seed),
        ]
        if self.settings.task == "poetry":
            told.append(poem_facts(text.text, tune))
        endings: dict[str, list[str]] = {
            "stop": [],
            "length": [gettext("cut at max_new_tokens")],
            STOPPED: [gettext("stopped")],
        }
        told += endings.get(text.finish_reason, [text.finish_reason])
        return "，".join(told) if language() == "zh" else ", ".join(told)


def converse(session: Session, history: Path) -> None:
    """Answer typed lines until /quit or Ctrl-D; earlier lines come back from `history`."""
    with suppress(ImportError):
        keep_history(import_module("readline"), history)
    session.screen.note(gettext("Type a theme and Enter; /help shows the commands, /quit ends."))
    while True:
        try:
            line = input(f"{session.settings.task}> ")
            if not session.answer(line):
                return
        except EOFError:
            session.screen.show("\n")
            return
        except KeyboardInterrupt:
            session.screen.show("\n")
        except UserError as error:
            session.screen.error(str(error))


def keep_history(readline: Any, history: Path) -> None:
    """Read the lines of earlier sessions, and save those of this one when it ends."""
    import atexit

    def save() -> None:
        with suppress(OSError):
            history.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(history)

    with suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(HISTORY_LINES)
    atexit.register(save)


def history_file() -> Path:
    """The file of typed lines, in the user's folder for such state."""
    return platformdirs.user_state_path("wenmo") / "write_history"


def one_of(allowed: tuple[str, ...], value: str, key: str) -> str:
    """The value. Raises ParamsError if it is not allowed."""
    if value not in allowed:
        raise not_allowed(key, value, allowed)
    return value


def number(kind: Callable[[str], float], value: str, key: str) -> float:
    """The value as a number of that kind. Raises ParamsError for anything else."""
    try:
        return kind(value)
    except ValueError:
        raise ParamsError("{key}: {value!r}: expected a number", key=key, value=value) from None
