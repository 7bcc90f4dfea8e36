"""What a user may ask of the callback, checked when it is built: afterwards nothing raises."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scalewatch.acting.acts import Acts, checked_acts
from scalewatch.advising.context import Goals
from scalewatch.detect import AnyDetector, checked_detectors
from scalewatch.errors import ConfigError
from scalewatch.given import whole_number
from scalewatch_torch.watching.alerts import checked_alerts

if TYPE_CHECKING:
    from scalewatch.alert import Rules
    from scalewatch.forecast.prediction_file import Prediction
    from scalewatch.forecast.preregistered import BaselineForecast
    from scalewatch.laws import CurveLaw

__all__ = ["Options", "checked"]

#: Names that are a folder's name on every system.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class Options(NamedTuple):
    """The checked options; `ScaleWatch` says what they mean."""

    law: CurveLaw | None = None
    acts: Acts = Acts()
    directory: Path | None = None
    tokens_per_step: int | None = None
    grad_norm_every: int = 10
    name: str | None = None
    quiet: bool = False
    alerts: Rules | None = None
    goals: Goals = Goals()
    detectors: tuple[AnyDetector, ...] = ()
    losses: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    all_ranks: bool = True
    registered: BaselineForecast | None = None


def checked(
    law: Any,
    act: Any,
    directory: Any,
    tokens_per_step: Any,
    grad_norm_every: Any,
    name: Any,
    quiet: Any,
    alerts: Any = (),
    target_loss: Any = None,
    incumbent_loss: Any = None,
    least_gain: Any = None,
    detectors: Any = (),
    loss: Any = None,
    losses: Any = (),
    validation: Any = (),
    act_limits: Any = None,
    ranks: Any = "all",
    registered: Any = None,
) -> Options:
    """Return the options, or say what is wrong with one.

    Raises:
        ConfigError: naming the option, what it may be and what it was.
        LawFileError: if `law` is a path and no law can be read from it, or `registered` no prediction.
    """
    promised = _registered(registered, law)
    return Options(
        law=_law(law) if promised is None else promised.law,
        registered=None if promised is None else promised.baseline,
        acts=checked_acts(act, act_limits),
        directory=_directory(directory),
        tokens_per_step=None if tokens_per_step is None else whole_number("tokens_per_step", tokens_per_step, 1),
        grad_norm_every=whole_number("grad_norm_every", grad_norm_every, 0),
        name=_name(name),
        quiet=bool(quiet),
        alerts=checked_alerts(alerts),
        goals=Goals(target_loss, incumbent_loss, least_gain),
        detectors=checked_detectors(detectors),
        losses=_losses(loss, losses),
        validation=_names("validation", (validation,) if isinstance(validation, str) else validation),
        all_ranks=_ranks(ranks) == "all",
    )


def _ranks(ranks: Any) -> str:
    if ranks not in ("all", "zero"):
        raise ConfigError(f"`ranks` must be 'all', or 'zero' to watch rank 0 alone (got {ranks!r:.60}).")
    return str(ranks)


def _losses(loss: Any, losses: Any) -> tuple[str, ...]:
    if loss is not None and not (isinstance(loss, str) and loss.strip()):
        raise ConfigError(
            f"`loss` must be the name under which the module logs its loss, such as 'g_loss', or None for what "
            f"`training_step` returns (got {loss!r:.60}, {type(loss).__name__})."
        )
    names = _names("losses", losses)
    if loss is not None and names:
        raise ConfigError("Give either `loss`, for one, or `losses`, for several that are watched each by itself.")
    return names if loss is None else (loss,)


def _names(option: str, names: Any) -> tuple[str, ...]:
    is_list = names is None or (isinstance(names, Sequence) and not isinstance(names, str | bytes))
    given = tuple(names or ()) if is_list else ()
    if not is_list or any(not isinstance(name, str) or not name.strip() for name in given):
        raise ConfigError(
            f'`{option}` must be a list of names under which the module logs, such as ["g_loss", "d_loss"]'
            f" (got {names!r:.60}, {type(names).__name__})."
        )
    if len(set(given)) < len(given):
        raise ConfigError(f"`{option}` must name each series once (got {list(given)!r:.200}).")
    return given


def _law(law: Any) -> CurveLaw | None:
    from scalewatch.laws import CurveLaw

    if law is None or isinstance(law, CurveLaw):
        return law
    if isinstance(law, str | os.PathLike):
        from scalewatch.laws import load_law

        return load_law(law)
    raise ConfigError(
        f"`law` must be the path of a law file, a CurveLaw or None (got {law!r}, {type(law).__name__});"
        " `scalewatch fit` writes such a file."
    )


def _registered(registered: Any, law: Any) -> Prediction | None:
    if registered is None:
        return None
    if law is not None:
        raise ConfigError("Give either `law` or `registered`: the file of a prediction holds the law it was made by.")
    if not isinstance(registered, str | os.PathLike):
        raise ConfigError(
            "`registered` must be the path of a file that `scalewatch register` wrote, or None"
            f" (got {registered!r:.60})."
        )
    from scalewatch.forecast.prediction_file import read_prediction

    return read_prediction(registered)


def _directory(directory: Any) -> Path | None:
    if directory is None:
        return None
    if not isinstance(directory, str | os.PathLike) or not os.fspath(directory):
        raise ConfigError(
            "`directory` must be the path of a folder or None for the trainer's log directory"
            f" (got {directory!r}, {type(directory).__name__})."
        )
    path = Path(os.fsdecode(directory))
    if path.exists() and not path.is_dir():
        raise ConfigError(f"`directory` must be a folder, and there is a file of that name: {path}.")
    return path


def _name(name: Any) -> str | None:
    if name is None or (isinstance(name, str) and _NAME.fullmatch(name)):
        return name
    raise ConfigError(
        "`name` becomes a folder: it must be 1 to 100 letters, digits, `.`, `_` or `-`, not beginning with"
        f" a dot (got {name!r})."
    )
