"""What is said where something was typed wrong: one line, with what may be typed, and where help is."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["help_instead", "sentence"]


def help_instead(fault: Any) -> str | None:
    """Return the help of a command that has commands, where none of them was typed; None where something was."""
    typed_nothing = type(fault).__name__ == "NoArgsIsHelpError"
    return str(fault.ctx.get_help()) if typed_nothing else None


def sentence(fault: Any) -> str:
    """Return the sentence for an exception of typer."""
    text = _as_we_say(fault).rstrip(".")
    ctx = getattr(fault, "ctx", None)
    path = "scalewatch" if ctx is None else ctx.command_path
    return f"{text}{'' if text.endswith('?') else '.'} See {path} --help."


def _as_we_say(fault: Any) -> str:
    parameter, plain = getattr(fault, "param", None), str(getattr(fault, "message", "") or "")
    name = "" if parameter is None else _name(parameter)
    if name and plain.startswith("must be"):
        return f"`{name}` {plain}"
    text = fault.format_message().strip()
    if parameter is not None and text.startswith("Missing"):
        return f"{name} is missing: {small(parameter.help or '')}".rstrip(": ")
    option = re.match(r"No such option: (\S+)(.*)", text)
    if option is not None:
        meant = re.findall(r"--[\w-]+", option[2])
        near = [each for each in meant if each != "--help"]
        return f"there is no option `{option[1].rstrip('.')}`{f'; did you mean {_or(near)}?' if near else ''}"
    command = re.match(r"No such command '(.+?)'\.?(.*)", text)
    if command is not None:
        near = re.findall(r"'([\w-]+)'", command[2])
        return f"there is no command '{command[1]}'{f'; did you mean {_or(near)}?' if near else ''}"
    value = re.match(r"Option '(.+?)' requires an argument", text)
    if value is not None:
        return f"`{value[1]}` needs a value"
    extra = re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", text)
    if extra is not None:
        return f"'{extra[1]}' is one argument too many"
    return small(text)


def small(text: str) -> str:
    """Return a sentence as it goes on after a colon."""
    return text[:1].lower() + text[1:]


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return str(max(parameter.opts, key=len))


def _or(words: list[str]) -> str:
    return " or ".join(words[:3])
