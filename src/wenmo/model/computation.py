"""What a chat template may do that takes longer than going through a conversation.

base_model tries a template within limits, on short texts. Later stages render it for every row and
prompt, so a template that may take long at some other text is not kept. What is looked for here is
in no template of a common model; a template that is refused for nothing is written anew.
"""

from collections.abc import Iterator
from typing import Any

COMPUTING = {
    *("range", "lipsum", "cycler", "joiner", "center", "ljust", "rjust", "zfill", "expandtabs"),
    *("format", "format_map", "translate", "indent", "wordwrap", "batch", "slice"),
}
"""Functions, methods and filters of jinja that make much of little."""

LENGTHENING = {
    *("replace", "join", "tojson", "pprint", "urlencode", "urlize", "xmlattr"),
    *("escape", "e", "forceescape"),
}
"""Those that make a text longer, and one that is made of it longer still."""

DEEPEST_LOOP = 3
"""Loops within each other: over messages, their calls of tools, the arguments of these."""


def computation(template: str) -> str:
    """What in a template may take time or memory that grows faster than its conversation.

    It is empty for templates that go through messages and join them.
    """
    from jinja2 import nodes
    from transformers.utils.chat_template_utils import _compile_jinja_template

    tree = _compile_jinja_template(template).environment.parse(template)
    for kind, name in ((nodes.Mul, "*"), (nodes.Pow, "**")):
        if next(tree.find_all(kind), None):
            return name
    stored = {each.name for each in tree.find_all(nodes.Name) if each.ctx != "load"}
    # Published templates tell turns apart by `loop.index0 % 2`; of a text, % is a format.
    if "loop" in stored or not all(map(_is_of_loop, tree.find_all(nodes.Mod))):
        return "%"
    for name in _called(tree):
        if name in COMPUTING or name == "loop":
            return name
    if any(loop.recursive or _depth(loop) > DEEPEST_LOOP for loop in tree.find_all(nodes.For)):
        return "loops within loops"
    macros = {each.name for each in tree.find_all(nodes.Macro)}
    if any(macros & {*_called(each)} for each in tree.find_all(nodes.Macro)):
        return "macros within macros"
    if any(LENGTHENING & {*_called(each)} for each in _lengthening(tree)):
        return "filters of filters"
    return "texts of texts" if _feeds_back(tree, macros) else ""


def _called(node: Any) -> Iterator[str]:
    """The names of the functions, methods, macros and filters that are used within a node."""
    from jinja2 import nodes

    for each in node.find_all((nodes.Call, nodes.Filter)):
        yield _name(each)


def _name(node: Any) -> str:
    called = getattr(node, "name", "") or getattr(node.node, "name", "")
    return str(called or getattr(node.node, "attr", ""))


def _lengthening(tree: Any) -> Iterator[Any]:
    from jinja2 import nodes

    for each in tree.find_all((nodes.Call, nodes.Filter)):
        if _name(each) in LENGTHENING:
            yield each


def _feeds_back(tree: Any, macros: set[str]) -> bool:
    """Whether a variable may be set to a text that holds variables twice, which doubles each time.

    Variables are those that the template sets, and the parts of them that a loop goes through.
    """
    from jinja2 import nodes

    settings = list(tree.find_all((nodes.Assign, nodes.AssignBlock)))
    variables = {name for each in settings for name in _names(each.target)}
    loops = list(tree.find_all(nodes.For))
    for loop in loops * DEEPEST_LOOP:  # as often as one may go through a part of another's part
        if variables & {*_names(loop.iter)}:
            variables |= {*_names(loop.target)}
    for each in settings:
        # The target of `set n.x` is no name that is read.
        read = [name.name for name in each.find_all(nodes.Name) if name.ctx == "load"]
        held = sum(name in variables for name in read)
        joins = next(each.find_all((nodes.Add, nodes.Concat, nodes.List, nodes.Output)), None)
        if (held > 1 and joins) or (held and (macros | LENGTHENING) & {*_called(each)}):
            return True
    return False


def _names(node: Any) -> Iterator[str]:
    from jinja2 import nodes

    if isinstance(node, nodes.Name | nodes.NSRef):
        yield node.name
    for each in node.find_all(nodes.Name):
        yield each.name


def _is_of_loop(remainder: Any) -> bool:
    """Whether it is that of a loop's counter, such as `loop.index0`, which is a small number."""
    counter = remainder.left
    return (
        getattr(counter, "attr", "") in ("index", "index0")
        and getattr(counter.node, "name", "") == "loop"
    )


def _depth(loop: Any) -> int:
    """How many loops stand within each other here."""
    from jinja2 import nodes

    return 1 + max((_depth(each) for each in loop.find_all(nodes.For)), default=0)
