"""The pictures of the pages, drawn by the charts room: `python -m docs._tools.pictures`, into docs/pictures/.

Each is one SVG that asks the reader's system whether it is light or dark, and weighs less than 60 kB. What they show is
made up here, from published laws where a law is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scalewatch import Forecast, Monitor, Observation, Run
from scalewatch.charts import (
    Band,
    Frame,
    LawLine,
    Valley,
    forecast_history,
    intervals,
    law_curve,
    loss_against_law,
    themed_svg,
    valleys,
    way_ahead,
)
from scalewatch.laws import (
    AnnealingLaw,
    Break,
    BrokenLaw,
    Chinchilla,
    Kaplan,
    MultiPowerLaw,
    Parameters,
    RepeatedData,
    Transfer,
    ZipfCurve,
    inference_optimum,
)

FOLDER = Path(__file__).resolve().parents[1] / "pictures"
TOTAL, SPIKE = 3_000, 1_800
#: What the decay of the rate gains in the example [nats/token].
GAIN = 0.15
LOSS = "loss  [nats/token]"


def cosine(total: int, peak: float = 3e-4, warmup: int = 100) -> Any:
    """Rates of steps 1 to `total`."""
    step = np.arange(1, total + 1)
    return peak * np.minimum(step / warmup, 0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * step / total)))


def losses(spike: float = 0.0, seed: int = 0) -> Any:
    """A run of 3,000 steps; from step 1,800 on it may be too high, and comes down slowly."""
    step = np.arange(1, TOTAL + 1)
    curve = replace(AnnealingLaw.example(), gain=GAIN).losses(cosine(TOTAL), step)
    noise = np.exp(0.008 * np.random.default_rng(seed).standard_normal(TOTAL))
    return curve * noise + np.where(step >= SPIKE, spike * np.exp(-(step - SPIKE) / 300), 0.0)


@cache
def watched(upto: int, spike: float = 0.0) -> tuple[Monitor, list[Any]]:
    """A monitor that has seen the first rows, and what it found."""
    monitor = Monitor(Run("example", total_steps=TOTAL, learning_rates=cosine(TOTAL)))
    found = []
    for step, loss in enumerate(losses(spike)[:upto].tolist(), 1):
        found += monitor.observe(Observation(step, loss, float(cosine(TOTAL)[step - 1])))
    return monitor, found


def _ahead(forecast: Forecast | None) -> Forecast:
    assert forecast is not None
    return forecast


def spiked(dark: bool) -> Any:
    """A run with a spike, and what had been forecast of it."""
    forecast = _ahead(watched(900)[0].forecast())
    steps = forecast.grid()
    steps = steps[steps >= forecast.step]
    band = Band("forecast at 30 % of the run, 80 % interval", steps, *forecast.curve(steps))
    rows = np.arange(1, TOTAL + 1)[::28], losses(0.9)[::28]
    return loss_against_law(*rows, Frame("", dark=dark), forecast=band, findings=watched(TOTAL, 0.9)[1])


def bad_batch(dark: bool) -> Any:
    """One row far too high, which comes back, and a rise that does not."""
    row = np.arange(1, TOTAL + 1)
    rate, loss = cosine(TOTAL), losses()
    loss[899] += 1.2
    loss[SPIKE - 1 :] += 0.35
    monitor, found = Monitor(Run("example", total_steps=TOTAL, learning_rates=rate)), []
    for step in range(2_000):
        found += monitor.observe(Observation(step + 1, float(loss[step]), float(rate[step])))
    few = np.unique(np.concatenate([row[600:2_000:9], [899, 900, 901]])) - 1
    frame = Frame("One row is a note, two that stay are a page", dark=dark)
    return loss_against_law(row[few], loss[few], frame, findings=found)


def forecast_ahead(dark: bool) -> Any:
    """A forecast at 30 %."""
    forecast = _ahead(watched(900)[0].forecast())
    steps = forecast.grid()
    band = Band("", steps, *forecast.curve(steps))
    return way_ahead(band, Frame("Made at 30 % of the run", dark=dark), step=forecast.step)


def forecast_moved(dark: bool) -> Any:
    """The same, at each tenth, and what came."""
    verdict = watched(TOTAL)[0].verdict()
    made = verdict.milestones
    return forecast_history(
        [100 * each.progress for each in made],
        [each.final_loss for each in made],
        [([each.low for each in made], [each.high for each in made])],
        Frame("What was forecast at each tenth, and what came", dark=dark, width=800),
        truth=verdict.final_loss,
    )


def levels(dark: bool) -> Any:
    """What a level holds: a wide interval holds more often."""
    forecast = _ahead(watched(900)[0].forecast())
    asked = (0.5, 0.8, 0.95)
    ends = np.array([forecast.interval(level) for level in asked])
    middle = np.full(len(asked), forecast.final_loss)
    return intervals(middle, *ends.T, [f"{100 * level:.0f} % interval" for level in asked], Frame("", dark=dark))


def chinchilla(dark: bool) -> Any:
    """Valleys of equal compute, and their bottoms."""
    law, size = Chinchilla.besiroglu(), np.geomspace(2e7, 4e11, 160)
    lines = []
    for flops in (1e19, 1e20, 1e21, 1e22, 1e23):
        best = law.optimum(flops)
        loss = law.loss(Parameters(size, law.kind), flops / (6 * size))
        near = np.asarray(loss) < float(best.loss) + 0.45
        bottom = (float(np.asarray(best.size.count)), float(best.loss))
        lines.append(Valley(flops, size[near], np.asarray(loss)[near], bottom))
    return valleys(lines, Frame("At each compute one size is best, and near it the valley is flat", dark=dark))


def _lines(
    of: Callable[[Any, float], Any], x: Any, values: dict[str, float], known: tuple[float, float]
) -> list[LawLine]:
    return [LawLine(label, x, np.asarray(of(x, value)), known) for label, value in values.items()]


def kaplan(dark: bool) -> Any:
    """Loss over tokens, for three sizes."""
    law, x = Kaplan(), np.geomspace(1e7, 1e11, 200)
    lines = _lines(
        lambda at, size: law.predict({"parameters": size, "tokens": at}),
        x,
        {"1M": 1e6, "30M": 3e7, "1.5B": 1.5e9},
        (2.2e7, 2.3e10),
    )
    return law_curve(
        lines, Frame("More data helps until the size is what limits", dark=dark), x_title="tokens", y_title=LOSS
    )


def repeated(dark: bool) -> Any:
    """A billion tokens, again and again."""
    law, epochs = RepeatedData.example(), np.geomspace(1, 100, 200)
    unique = {"1B different tokens": 1e9, "10B": 1e10, "100B": 1e11}
    lines = [
        LawLine(
            label,
            epochs,
            np.asarray(law.predict({"parameters": 2.8e9, "tokens": count * epochs, "unique_tokens": count})),
        )
        for label, count in unique.items()
    ]
    frame = Frame("Four epochs are nearly free, forty are worth nothing more", ["2.8B parameters."], dark=dark)
    return law_curve(lines, frame, x_title="epochs", y_title=LOSS, x_unit="number")


def transfer(dark: bool) -> Any:
    """What a pre-training is worth."""
    law, x = Transfer.example(), np.geomspace(1e5, 1e9, 200)
    lines = _lines(
        lambda at, size: law.predict({"characters": at, "parameters": size}),
        x,
        {"1M parameters": 1e6, "30M": 3e7, "1B": 1e9},
        (1e5, 1e9),
    )
    frame = Frame("The less there is to fine-tune on, the more a pre-training is worth", dark=dark)
    titles = {"x_title": "characters fine-tuned on", "y_title": "characters for the same loss from nothing"}
    return law_curve(lines, frame, **titles, y_unit="count")


def broken(dark: bool) -> Any:
    """A curve that bends, and one that turns."""
    x = np.geomspace(1, 1e6, 300)
    laws = {
        "no break": BrokenLaw(0.05, 1.0, 0.15, ()),
        "a plateau, then steeper": BrokenLaw(0.05, 1.0, 0.05, (Break(0.35, 3e3, 0.3),)),
        "worse, then better": BrokenLaw(0.05, 0.4, -0.08, (Break(0.4, 3e3, 0.4),)),
    }
    lines = [LawLine(label, x, np.asarray(law.predict({"x": x}))) for label, law in laws.items()]
    return law_curve(lines, Frame("A break leaves no trace before it", dark=dark), x_title="scale", y_title="metric")


def zipf(dark: bool) -> Any:
    """A heavy tail learns slowly."""
    x = np.geomspace(1, 1e8, 200)
    tails = {f"alpha = {alpha:g}": ZipfCurve(alpha) for alpha in (0.5, 1.0, 2.0)}
    lines = [LawLine(label, x, np.asarray(law.predict({"samples": x}))) for label, law in tails.items()]
    frame = Frame("The exponent is a property of the data", dark=dark)
    return law_curve(lines, frame, x_title="samples", y_title="error probability", y_unit="rate")


def _plans(total: int = 4_000) -> dict[str, Any]:
    step = np.arange(1, total + 1)
    ramp = np.minimum(step / 100, 1)
    return {
        "constant": 3e-4 * ramp,
        "cosine to a tenth": 3e-4 * np.minimum(ramp, 0.1 + 0.45 * (1 + np.cos(np.pi * step / total))),
        "held, then down over a fifth": 3e-4 * np.minimum(ramp, np.clip((total - step) / (0.2 * total), 0.02, 1)),
    }


def _of_schedules(law: AnnealingLaw | MultiPowerLaw, title: str, dark: bool) -> Any:
    at = np.arange(400, 4_001, 20)
    lines = [LawLine(label, at.astype(float), np.asarray(law.losses(rates, at))) for label, rates in _plans().items()]
    return law_curve(lines, Frame(title, dark=dark), x_title="optimizer steps", y_title=LOSS, log=False)


def annealing(dark: bool) -> Any:
    """One model, three schedules."""
    return _of_schedules(AnnealingLaw.example(), "The loss falls where the rate does", dark)


def multi_power(dark: bool) -> Any:
    """The same three schedules."""
    return _of_schedules(MultiPowerLaw.example(), "What a drop gains comes slowly, as the run walks on", dark)


def inference(dark: bool) -> Any:
    """The best size of a model that is served."""
    law, served = Chinchilla.besiroglu(), np.geomspace(1e9, 1e14, 60)
    lines = []
    for label, loss in (("loss 2.5", 2.5), ("loss 2.3", 2.3), ("loss 2.1", 2.1)):
        sizes = [float(np.asarray(inference_optimum(law, loss, count).size.count)) for count in served.tolist()]
        lines.append(LawLine(label, served, np.array(sizes) / 1e9))
    frame = Frame("Who serves much trains a smaller model for longer", dark=dark)
    return law_curve(lines, frame, x_title="tokens served", y_title="best size  [1e9 parameters]")


PICTURES: dict[str, Callable[[bool], Any]] = {
    "annealing": annealing,
    "bad_batch": bad_batch,
    "broken": broken,
    "chinchilla": chinchilla,
    "forecast_ahead": forecast_ahead,
    "forecast_moved": forecast_moved,
    "inference": inference,
    "kaplan": kaplan,
    "levels": levels,
    "multi_power": multi_power,
    "repeated": repeated,
    "spiked": spiked,
    "transfer": transfer,
    "zipf": zipf,
}


def main() -> None:
    """Draw those that are named, or all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        text = themed_svg(PICTURES[name])
        (FOLDER / f"{name}.svg").write_text(text + "\n", encoding="utf-8")
        sys.stdout.write(f"{name}.svg: {len(text) / 1024:.0f} kB\n")


if __name__ == "__main__":
    main()
