"""The pages of `docs/` that are made from code, and what writes them: `make pages`.

docs/answers.schema.json    JSON Schema of what each command prints with --json
docs/json.md                the same as tables, for people
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scalewatch.cli.answers import ANSWERS, without_answer
from scalewatch.json_schema import schemas_of
from scalewatch.kinds import KINDS
from scalewatch.messages import ACTIONS, KINDS_SAID, STATES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_HEAD = """# Answers for programs

Each command that tells something takes `--json` and prints one JSON object, `scalewatch watch --json` one a line. The
exit code says the same as without it. Errors stand on standard error, as one line, with exit code 2 and no JSON.

Every form is in [answers.schema.json](answers.schema.json) (JSON Schema, draft 2020-12), below `$defs` by the words
that are typed; this page is made from the same types (`make pages`), and a test runs every command and holds its answer
against its schema. A number that JSON does not know is the word `"nan"`, `"inf"` or `"-inf"`. Losses are in the unit
that they were logged in, nats where it is known. In Python: `scalewatch.json_schema.schema_of`.
"""


def answers_schema() -> str:
    """JSON Schema of every answer."""
    return json.dumps(schemas_of(ANSWERS, "What scalewatch prints with --json"), indent=1) + "\n"


def json_page() -> str:
    """The same as tables."""
    return "\n".join(_json_lines()) + "\n"


def _json_lines() -> Iterator[str]:
    schema = schemas_of(ANSWERS, "")["$defs"]
    yield _HEAD
    yield "| typed | printed |\n|---|---|"
    for name, ref in ((name, schema[name]["$ref"].rsplit("/", 1)[1]) for name in ANSWERS):
        yield f"| `scalewatch {name} --json` | [{ref}](#{ref.lower()}): {_small(schema[ref]['description'])} |"
    yield "\nWithout `--json`: " + "; ".join(f"`{name}` ({why})" for name, why in without_answer().items()) + "."
    for name, one in schema.items():
        if "properties" in one:
            yield f"\n## {name}\n\n{one['description']}\n\n| field | | what it is |\n|---|---|---|"
            for field, what in one["properties"].items():
                optional = "" if field in one["required"] else " May be left out."
                text = f"{_sentence(what.get('description', ''))}{optional}".replace("|", "\\|")
                yield f"| `{field}` | {_type(what)} | {text} |"
        elif "enum" in one:
            words = ", ".join(f"`{word}`" if len(word) < 40 else f'"{word}"' for word in one["enum"])
            yield f"\n## {name}\n\n{one['description']} One of {words}."


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith(".") else f"{text}."


def _type(what: dict[str, Any]) -> str:
    if "$ref" in what:
        name = what["$ref"].rsplit("/", 1)[1]
        return "number" if name == "number" else f"[{name}](#{name.lower()})"
    if "anyOf" in what:
        return " or ".join(dict.fromkeys(_type(part) for part in what["anyOf"]))
    if "prefixItems" in what:
        return f"[{', '.join(_type(part) for part in what['prefixItems'])}]"
    if what.get("type") == "array":
        return f"list of {_type(what['items'])}"
    if isinstance(what.get("additionalProperties"), dict):
        return f"name → {_type(what['additionalProperties'])}"
    return str(what.get("type", "anything"))


_OF_MESSAGES = """# What is said, what it means, and what to do

Made from `scalewatch/messages.py` and `scalewatch/kinds.py` (`make pages`), which every screen takes its words from:
terminal, TensorBoard, alerts, reports and `--json` say the same.

A finding is a **note** (`info`) that wakes nobody, a **warning** that is worth waking someone, or **critical**: the run
is lost or losing money every minute. It is told when it opens, when it gets worse, and when it is over.

## How a run stands
"""


def messages_page() -> str:
    """Every word that people are told."""
    return "\n".join(_message_lines()) + "\n"


def _message_lines() -> Iterator[str]:
    yield _OF_MESSAGES
    yield "| state | when | what to do |\n|---|---|---|"
    yield from (f"| **{state}** | {said.when} | {said.do} |" for state, said in STATES.items())
    yield "\n## What is found\n\nThe more urgent first. `kind` is its word in `--json`, journals and `--kind`.\n"
    for kind, row in KINDS.items():
        said = KINDS_SAID[kind]
        needs = f" Needs: {row.inputs}." if row.needs not in ("", "loss", "step") else ""
        yield f"### {row.name[:1].upper()}{row.name[1:]}\n\n`{kind}`: *{row.firing}*. {row.looks_at}{needs}\n"
        yield f"- **When it is said.** {said.when}\n- **What to do.** {said.do}\n"
    yield "## What is advised\n"
    yield "Each advice says why, how good the evidence is (A measured, B reported or by a calibrated law, C habit),"
    yield "what it gains, and what would speak against it (*Ignore this if ...*).\n"
    yield "| action | when | what to do |\n|---|---|---|"
    yield from (f"| **{action.replace('_', ' ')}** | {said.when} | {said.do} |" for action, said in ACTIONS.items())


#: Every page that is made, and what makes it.
PAGES: dict[str, Callable[[], str]] = {
    "answers.schema.json": answers_schema,
    "json.md": json_page,
    "messages.md": messages_page,
}


def main() -> None:
    """Write them."""
    for name, made in PAGES.items():
        (DOCS / name).write_text(made(), "utf-8")


if __name__ == "__main__":
    main()
