"""What kind of loss a run has, by the names of what is logged with it: one of text, or one that is no descent.

Names are cut into words, so that `rollout/ep_rew_mean` and `EpRewMean` are one. A word decides nothing that two kinds
of training share: the variational autoencoder logs a KL divergence too, and preference tuning logs rewards while its
loss falls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from scalewatch.translated import in_english

__all__ = ["is_text", "unjudged", "why_no_descent", "words_of"]

#: Words of a unit, or of a series, that only text has. By hand, from the logs of public trainers.
_TEXT_UNITS = frozenset({"token", "tokens", "byte", "bytes", "character", "char", "word"})
_TEXT_NAMES = frozenset({"lm", "mlm", "ppl", "perplexity", "token", "tokens", "bpb", "bpt", "bpc"})
#: Words of a series that only learning from rewards has (Stable-Baselines3, RLlib, CleanRL, TRL, veRL). By hand.
_REWARDS = frozenset({"reward", "rewards", "rew", "return", "returns", "advantage", "advantages"})
#: Words of a reward that a loss of preferences logs beside itself, and that falls (TRL: DPO, KTO, reward models).
_PREFERENCES = frozenset({"chosen", "rejected", "margin", "margins", "accuracy", "accuracies"})
#: Words that, all together in one name, say that it is the loss of a policy, of values, or how far a policy moved.
_POLICY = tuple(
    frozenset(words.split())
    for words in (
        *("policy loss", "policy gradient loss", "pg loss", "actor loss", "value loss", "vf loss", "critic loss"),
        *("q loss", "qf loss", "td loss", "td error", "approx kl", "clip fraction", "clipfrac"),
        *("pi loss", "q1 loss", "qf1 loss", "critic1 loss", "ep ret", "ep len", "ep length", "episode length"),
    )
)
#: The two sides of a game, each the words that its loss may be named with.
_MAKER = frozenset({"g", "gen", "generator", "netg"})
_JUDGE = frozenset({"d", "dis", "disc", "discriminator", "netd"})
_LOSS = frozenset({"loss", "err", "error"})
#: Words that stand for a loss in the names of the two sides: pix2pix logs G_GAN, D_real and D_fake.
_SIDES = _LOSS | {"gan", "adv", "real", "fake"}
#: Words of an entropy that is none of a policy. By hand.
_OTHER_ENTROPIES = frozenset({"cross", "attention", "attn", "router", "routing", "codebook"})
#: Two words that people write as one.
_GLUED = re.compile(
    r"(?<![a-z])(train|trn|tr|t|val|valid|v|test|tst|eval|dev)(loss|error|err|ppl|nll|mse|rmse|mae)(?![a-z])"
)
#: Names that a reason quotes, at most, and letters of each.
_MOST_NAMED, _NAME_LETTERS = 2, 40


def words_of(name: str) -> list[str]:
    """Cut a name into lower-case words.

    >>> words_of("Loss/train_epoch"), words_of("gradNorm"), words_of("lr-AdamW/pg1")
    (['loss', 'train', 'epoch'], ['grad', 'norm'], ['lr', 'adam', 'w', 'pg1'])
    >>> words_of("训练损失")
    ['train', 'loss']
    >>> words_of("valloss"), words_of("tloss")
    (['val', 'loss'], ['t', 'loss'])
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z0-9]+", _GLUED.sub(r"\1 \2", in_english(parted.lower())))


def is_text(unit: str | None, logged: Iterable[str]) -> bool:
    """Return whether a loss is one of text: its unit counts tokens, or what is logged with it does.

    >>> is_text("nats/token", ()), is_text(None, ["step", "lm loss"]), is_text("bits/dim", ["loss"])
    (True, True, False)
    """
    return bool(_TEXT_UNITS & set(words_of(unit or ""))) or any(_TEXT_NAMES & set(words_of(name)) for name in logged)


def why_no_descent(logged: Iterable[str]) -> str:
    """Return why the objective of a run is not meant to fall, in words; "" where its names do not say so.

    >>> why_no_descent(["loss", "lr", "rollout/ep_rew_mean"])
    'a reward is logged beside the loss (rollout/ep_rew_mean)'
    >>> why_no_descent(["loss", "kl", "recon_loss"]), why_no_descent(["loss", "rewards/chosen"])
    ('', '')
    """
    words = {name: frozenset(words_of(name)) for name in logged}
    rewards = [name for name, each in words.items() if each & _REWARDS and not each & _PREFERENCES]
    if rewards:
        return f"a reward is logged beside the loss ({_named(rewards)})"
    policy = [name for name, each in words.items() if any(needed <= each for needed in _POLICY)]
    if policy:
        return f"a policy and its values are learnt ({_named(policy)})"
    makers = [name for name, each in words.items() if each & _MAKER and each & _SIDES and not each & _JUDGE]
    judges = [name for name, each in words.items() if each & _JUDGE and each & _SIDES and not each & _MAKER]
    if makers and judges:
        return f"two losses work against each other ({_named([makers[0], judges[0]])})"
    moved = [name for name, each in words.items() if "kl" in each]
    spread = [name for name, each in words.items() if "entropy" in each and not each & _OTHER_ENTROPIES]
    if moved and spread:
        return f"a policy is learnt ({_named([moved[0], spread[0]])})"
    return ""


def unjudged(logged: Sequence[str], rows: int, judged: int, *, has_loss: bool) -> str:
    """Return why nothing can be told of a run that has too few losses to be judged, in words.

    Args:
        logged: names of what is logged with it. rows: so far. judged: those whose loss could be judged. has_loss:
            whether any row had one that is a number.

    >>> unjudged(("g_loss", "d_loss"), 40, 0, has_loss=False), unjudged((), 9, 9, has_loss=True)
    ('no loss was found (g_loss, d_loss are logged: name one with `loss=`)', '9 rows are too few')
    """
    if not rows:
        return "no row yet"
    if not has_loss:
        losses = [name for name in logged if _LOSS & set(words_of(name))]
        return f"no loss was found{f' ({_named(losses)} are logged: name one with `loss=`)' if losses else ''}"
    if not judged and rows > 1:
        return "no row has a loss that can be judged"
    return f"{rows:,} row{' is' if rows == 1 else 's are'} too few"


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"{name:.{_NAME_LETTERS}}" for name in names[:_MOST_NAMED])
