"""`scalewatch plan`: what to train with a budget, how sure that is, and what it costs to do otherwise."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalewatch.cli.options import AsJson, Dark, Draw
from scalewatch.cli.signatures import part
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from scalewatch.plan import Cluster, Plan, PlanRequest

__all__ = ["plan"]

_FIX, _KNOW = "what is fixed", "what else is known"
#: Most devices that are taken for a number of them.
MOST_DEVICES = 10_000_000


def _option(flag: str, metavar: str, text: str, panel: str) -> object:
    return typer.Option(flag, metavar=metavar, help=text, rich_help_panel=panel, show_default=False)


_LAWS = "chinchilla (Besiroglu's refit), hoffmann, hoffmann-tex, kaplan, or a file of `scalewatch fit`."

#: What is meant where --devices and --mfu are not said.
ONE_DEVICE, USUAL_MFU = "1", 0.4


@dataclass(frozen=True, slots=True)
class FixedOptions:
    """What is fixed: one or two of these, and the rest follows from the law."""

    flops: Annotated[str | None, _option("--flops", "FLOP", "Budget; a run costs 6 x parameters x tokens.", _FIX)] = (
        None
    )
    parameters: Annotated[
        str | None, _option("--parameters", "COUNT", "Size, as the law counts it; 7B is 7e9.", _FIX)
    ] = None
    tokens: Annotated[str | None, _option("--tokens", "COUNT", "Tokens to train on; 1.4T is 1.4e12.", _FIX)] = None
    target_loss: Annotated[str | None, _option("--target-loss", "NATS", "Loss to reach, of a token.", _FIX)] = None
    hours: Annotated[str | None, _option("--hours", "HOURS", "Budget as time on --hardware.", _FIX)] = None


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """What it is trained on."""

    hardware: Annotated[
        str | None, _option("--hardware", "NAME", "Accelerator: h100; a wrong name lists all.", _KNOW)
    ] = None
    devices: Annotated[str, _option("--devices", "COUNT", "How many of them; 1 by default.", _KNOW)] = ONE_DEVICE
    mfu: Annotated[
        float,
        typer.Option(parser=part, metavar="PART", help="Part of their peak that is reached.", rich_help_panel=_KNOW),
    ] = USUAL_MFU

    def cluster(self, *, needed: bool) -> Cluster | None:
        """Return the devices, None where none are said.

        Raises:
            ConfigError: if they are not what they may be, or are `needed` and not said.
        """
        from scalewatch.plan.hardware import Cluster, accelerator

        count = _devices(self.devices)
        if self.hardware is not None:
            return Cluster(accelerator(self.hardware), count, self.mfu)
        if needed:
            raise ConfigError("--hours need --hardware, an accelerator such as h100, and --devices, how many.")
        for option, unusual in (("--devices", self.devices != ONE_DEVICE), ("--mfu", self.mfu != USUAL_MFU)):
            if unusual:
                raise ConfigError(f"{option} needs --hardware, the name of an accelerator such as h100.")
        return None


@dataclass(frozen=True, slots=True)
class KnownOptions:
    """What else is known of the run."""

    serve_tokens: Annotated[
        str | None, _option("--serve-tokens", "COUNT", "Tokens it will serve over its life.", _KNOW)
    ] = None
    unique_tokens: Annotated[
        str | None, _option("--unique-tokens", "COUNT", "Different tokens that there are.", _KNOW)
    ] = None
    batch_tokens: Annotated[str | None, _option("--batch-tokens", "COUNT", "Tokens of a step.", _KNOW)] = None
    schedule_steps: Annotated[
        str | None, _option("--schedule-steps", "STEPS", "Length of your cosine, to be checked.", _KNOW)
    ] = None


def plan(
    *,
    fixed: FixedOptions,
    on: ClusterOptions,
    known: KnownOptions,
    law: Annotated[str, typer.Option(metavar="NAME|FILE", help=_LAWS)] = "chinchilla",
    level: Annotated[float, typer.Option(parser=part, metavar="PART", help="Of the intervals.")] = 0.8,
    out: Draw = None,
    dark: Dark = False,
    json_: AsJson = False,
) -> None:
    """Plan a training run: the best size and tokens, how sure that is, and what it costs to do otherwise.

    Fix one or two of budget, size, tokens and loss; the rest follows from the law. Exit code 0 if there is a plan, 2 if
    what is asked cannot be.
    """
    from scalewatch.plan import PlanRequest, loss_model_for, make_plan

    try:
        request = PlanRequest(
            **_quantities(fixed),
            cluster=on.cluster(needed=fixed.hours is not None),
            **_quantities(known),
            level=level,
        )
        if out is not None:
            from scalewatch.charts import check_suffix

            check_suffix(out)
        surface = loss_model_for(law)
        answer = make_plan(surface, request)
    except ConfigError as fault:
        raise ConfigError(_as_typed(str(fault))) from None
    if out is not None:
        from scalewatch.charts import save_chart
        from scalewatch.figures.plan import plan_chart

        save_chart(plan_chart(surface, answer, dark=dark), out)
    _show(answer, _title(request), json_)
    if out is not None and not json_:
        typer.echo(f"\nDrawn to {out}.")


def _show(answer: Plan, title: str, machine: bool) -> None:
    if machine:
        from scalewatch.cli.outputs import print_json

        print_json(answer)
        return
    from rich.console import Console

    from scalewatch.cli.plan_page import page

    console = Console()
    for each in page(answer, title, console.width):
        console.print(each)


def _as_typed(fault: str) -> str:
    """A message with the names of options as they are typed: `target_loss` is --target-loss."""
    from scalewatch.plan import PlanRequest

    options = {"devices", "mfu", *(field.name for field in dataclasses.fields(PlanRequest))}
    return re.sub(r"`(\w+)`", lambda m: f"--{m[1].replace('_', '-')}" if m[1] in options else m[0], fault)


def _quantities(options: FixedOptions | KnownOptions) -> dict[str, Any]:
    """The numbers that were typed, by the names of their options."""
    from scalewatch.plan.quantities import quantity

    names = [field.name for field in dataclasses.fields(options)]
    return {name: quantity(f"--{name.replace('_', '-')}", getattr(options, name)) for name in names}


def _devices(typed: str) -> int:
    from scalewatch.plan.quantities import quantity

    number = quantity("--devices", typed) or 0.0
    if not 1 <= number <= MOST_DEVICES or number != int(number):
        raise ConfigError(f"--devices must be a whole number from 1 on (got {typed!r:.80}).")
    return int(number)


def _title(request: PlanRequest) -> str:
    from scalewatch.plan.quantities import count, number

    parts = []
    if request.hours is not None:
        parts.append(f"{request.hours:g} hours on {request.cluster}")
    if request.flops is not None:
        parts.append(f"{number(request.flops)} FLOP")
    if request.parameters is not None:
        parts.append(f"{count(request.parameters)} parameters")
    if request.tokens is not None:
        parts.append(f"{count(request.tokens)} tokens")
    if request.target_loss is not None:
        parts.append(f"a loss of {request.target_loss:g} nats/token")
    where = "" if request.cluster is None or request.hours is not None else f" on {request.cluster}"
    return "Plan for " + " and ".join(parts) + where
