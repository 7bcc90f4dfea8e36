"""What to train when the model will also be served: the least cost of a quality over its life.

    minimise 6 N D + 2 N D_inf    subject to    L(N, D) = l
    at the optimum    (alpha A N^-alpha) / (beta B D^-beta) = 1 + D_inf / (3 D)

A token served costs a third of a token trained, so a model that serves much is cheaper when it is smaller and
trained longer than the training budget alone would have it. D_inf = 0 gives the Chinchilla optimum back.

Why the quality is fixed and not the budget: who serves a model has chosen how good it must be; the budget
follows. `inference_optimum` takes a loss, and a loss is got from any model by `law.loss(size, tokens)`.

Source: Sardana, Portes, Doubov, Frankle (2024), arXiv 2401.00448, equations 2 to 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from scalewatch.errors import ConfigError
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, Parameters, positive

__all__ = ["InferenceOptimum", "inference_optimum"]

#: FLOPs of serving a parameter on a token: the forward pass alone (Sardana et al. 2024, section 2).
SERVING_FLOPS = 2.0
#: Most tokens a parameter of the runs that checked the law (Sardana et al. 2024, section 4); laws fitted at
#: ordinary ratios promise too much of the data there (same, section 5).
MOST_TOKENS_PER_PARAMETER = 10_000.0
#: Ratio from which laws fitted at ordinary ones promise too much: about where those fits end (Sardana et al. 2024,
#: section 5).
TRUSTED_TOKENS_PER_PARAMETER = 100.0


@final
@dataclass(frozen=True, slots=True)
class InferenceOptimum:
    """The cheapest model of one quality, training and serving together.

    Attributes:
        size: N. tokens: D to train on, count. loss: the quality asked for [nats/token].
        training_flops, serving_flops: of this model over its life [FLOP].
        training_only: size and tokens that training alone would have chosen for the same loss.
        saved_share: part of the cost of that choice that is saved, in [0, 1).
        notes: reasons not to trust it, a sentence each.
    """

    size: Parameters
    tokens: float
    loss: float
    training_flops: float
    serving_flops: float
    training_only: tuple[Parameters, float]
    saved_share: float
    notes: tuple[str, ...]


def inference_optimum(law: Chinchilla, loss: float, served_tokens: float) -> InferenceOptimum:
    """Return the size and tokens that reach `loss` at the least cost of training and serving.

    Args:
        law: loss of a size and tokens; its N is what is trained and served.
        loss: quality asked for [nats/token], above the law's irreducible loss.
        served_tokens: tokens in and out over the model's life, count; 0 for none.

    Raises:
        ConfigError: if no budget reaches the loss, or a number is out of range.

    >>> law = Chinchilla.hoffmann_tex()
    >>> from scalewatch.laws.size import total
    >>> quality = float(law.loss(total(7e9), law.tokens_for_size(total(7e9))))
    >>> best = inference_optimum(law, quality, served_tokens=1e11)
    >>> f"{best.size.count:.3g} parameters, {best.tokens / best.training_only[1]:.2f} times the tokens"
    '6.05e+09 parameters, 1.16 times the tokens'
    """
    served = 0.0 if served_tokens == 0 else float(positive("served_tokens", served_tokens, "tokens, count"))
    plain = law.optimum(law.flops_for_loss(loss))
    usual = float(plain.size.count)
    count = _solve(law, float(loss), served, usual) if served else usual
    size = Parameters(count, plain.size.kind)
    tokens = float(law.tokens_for_loss(size, loss))
    training = FLOPS_PER_PARAMETER_TOKEN * count * tokens
    serving = SERVING_FLOPS * count * served
    otherwise = float(plain.flops) + SERVING_FLOPS * usual * served
    return InferenceOptimum(
        size=size,
        tokens=tokens,
        loss=float(loss),
        training_flops=training,
        serving_flops=serving,
        training_only=(plain.size, float(plain.tokens)),
        saved_share=max(1.0 - (training + serving) / otherwise, 0.0),
        notes=(*law.range_notes(size, tokens), *_notes(tokens / count)),
    )


def _solve(law: Chinchilla, loss: float, served: float, usual: float) -> float:
    from scipy.optimize import brentq

    # the smallest size that reaches the loss on endless data, where the condition goes to +inf
    floor = math.log(law.A / (loss - law.E)) / law.alpha

    def condition(above: float) -> float:
        log_count = floor + above
        of_size = law.A * math.exp(-law.alpha * log_count)
        of_data = (loss - law.E) - of_size
        if of_data <= 0:
            return math.inf
        log_tokens = math.log(law.B / of_data) / law.beta
        left = math.log(law.alpha * of_size) - math.log(law.beta * of_data)
        return left - math.log1p(served / 3.0 * math.exp(-log_tokens))

    # served tokens only ever make the model smaller: the plain optimum is the upper end
    most = math.log(usual) - floor
    least = most
    while condition(least) <= 0.0:
        least *= 0.5
        if least < 1e-12:
            raise ConfigError(
                f"`served_tokens` ({served:g}) asks for a model at the limit of what reaches a loss of {loss:g} "
                "nats/token: the law says nothing there. Ask for a higher loss, or fewer tokens served."
            )
    return math.exp(floor + brentq(condition, least, max(2.0 * least, most), xtol=1e-14, rtol=1e-13))


def _notes(ratio: float) -> tuple[str, ...]:
    if ratio > MOST_TOKENS_PER_PARAMETER:
        return (f"{ratio:.0f} tokens a parameter: no run has checked a law past {MOST_TOKENS_PER_PARAMETER:.0f}.",)
    if ratio > TRUSTED_TOKENS_PER_PARAMETER:
        return (
            f"{ratio:.0f} tokens a parameter: laws fitted at ordinary ratios promise too much of the data there; "
            "train one small model at this ratio and refit.",
        )
    return ()
