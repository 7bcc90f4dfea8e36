"""How things are written for people: names from somebody's file, times."""

from __future__ import annotations

import math

__all__ = ["away", "duration", "few_digits", "no_control", "percent", "rate", "seconds", "shortened", "signed", "times"]

#: Letters of a run's name in a table.
NAME_LETTERS = 36
#: A difference below this is none to the reader [%].
LEAST_PERCENT = 0.005


def percent(part: float, digits: int = 0, *, sign: bool = False) -> str:
    """Return a part of one in per cent, with the space that ISO 31-0 asks for.

    >>> percent(0.8), percent(0.0123, 1, sign=True)
    ('80 %', '+1.2 %')
    """
    return f"{100 * part:{'+' if sign else ''}.{digits}f} %"


def shortened(name: str, letters: int = NAME_LETTERS) -> str:
    """Return a run's name with its middle left out where it is long: names differ at their ends.

    >>> shortened("a" * 20 + "b" * 20, 11)
    'aaaaa…bbbbb'
    """
    name = no_control(name)
    half = (letters - 1) // 2
    return name if len(name) <= letters else f"{name[: letters - 1 - half]}…{name[-half:]}"


def no_control(text: str) -> str:
    """Return a text from somebody's file without letters that steer a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration(75), duration(3 * 3600 + 120), duration(200_000)
    ('1:15 min', '3:02 h', '2.3 days')
    """
    if seconds < 3600:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"
    if seconds < 48 * 3600:
        return f"{int(seconds) // 3600}:{int(seconds) % 3600 // 60:02} h"
    return f"{seconds / 86400:.1f} days"


def few_digits(value: float, digits: int = 3) -> str:
    """Return a number of any size with a few digits, as people write it.

    >>> few_digits(0.000156), few_digits(1.2e-05), few_digits(0.25), few_digits(6.6e30)
    ('1.56e-4', '1.2e-5', '0.25', '6.6e30')
    """
    text = f"{value:.{digits}g}"
    if 0 < abs(value) < 1e-3 and "e" not in text:
        text = f"{value:.{digits - 1}e}"
    mantissa, sign, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if sign else text


def seconds(value: float) -> str:
    """Return a short time in the unit that fits it.

    >>> seconds(1.2e-05), seconds(0.0042), seconds(2.5), seconds(180.0)
    ('12 us', '4.2 ms', '2.5 s', '180 s')
    """
    for least, factor, unit in ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "us")):
        if abs(value) >= least:
            scaled = value * factor
            return f"{scaled:,.0f} {unit}" if abs(scaled) >= 100 else f"{scaled:.2g} {unit}"
    return f"{value:g} s"


def rate(per_second: float, what: str = "steps") -> str:
    """Return how many of something come in a second.

    >>> rate(85598.0), rate(3.21), rate(0.2)
    ('85,600 steps/s', '3.21 steps/s', '0.2 steps/s')
    """
    digits = 0 if per_second < 1 else max(3 - len(str(int(per_second))), -9)
    text = f"{per_second:.3g}" if per_second < 100 else f"{round(per_second, digits):,.0f}"
    return f"{text} {what}/s"


def away(said: float, came: float) -> str:
    """Return by how much what was said lies above or below what came, as a part of it.

    >>> away(1.412, 2.106), away(2.51, 2.5), away(-1.2, -1.0), away(2.5, 2.5)
    ('33 % too low', '0.4 % too high', '20 % too low', 'right')
    """
    off = 100.0 * (said - came) / abs(came) if came else math.inf * (said - came)
    if not abs(off) >= LEAST_PERCENT:
        return "right" if abs(off) < LEAST_PERCENT else "no number"
    size = f"{abs(off):.2g}" if abs(off) < 100 else f"{abs(off):,.0f}" if math.isfinite(off) else "far more than 100"
    return f"{size} % too {'high' if off > 0 else 'low'}"


def times(factor: float) -> str:
    """Return a factor with two digits, as people write it.

    >>> times(3.04), times(897.0), times(2.5e6)
    ('3x', '900x', '2.5e6x')
    """
    if 100.0 <= factor < 1e5:
        return f"{round(factor, 1 - int(math.log10(factor))):,.0f}x"
    return f"{few_digits(factor, 2)}x"


def signed(difference: float) -> str:
    """Return a difference of losses with its sign; one that rounds to nothing has none.

    >>> signed(0.0213), signed(-0.0002)
    ('+0.021', '0.000')
    """
    text = f"{difference:+.3f}"
    return text[1:] if float(text) == 0.0 else text
