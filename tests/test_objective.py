"""What kind of loss a run has, told by the names of what is logged with it."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch import Monitor, Observation
from scalewatch.errors import RunError
from scalewatch.objective import why_no_descent
from scalewatch.run import Run
from scalewatch.status import State

#: What public trainers log beside the loss of an objective that is no descent.
NO_DESCENT = {
    "stable-baselines3 PPO": ["train/loss", "rollout/ep_rew_mean", "train/approx_kl", "train/value_loss"],
    "TRL GRPO": ["loss", "grad_norm", "learning_rate", "reward", "reward_std", "kl", "completion_length"],
    "CleanRL DQN": ["losses/td_loss", "losses/q_values", "charts/SPS"],
    "SAC": ["loss", "qf1_loss", "actor_loss"],
    "spinning up": ["loss", "AverageReturn"],
    "DCGAN": ["g_loss", "d_loss"],
    "pytorch-lightning GAN": ["loss", "train/generator_loss", "train/discriminator_loss"],
    "pix2pix": ["G_GAN", "G_L1", "D_real", "D_fake"],
    "MUNIT": ["loss_gen_total", "loss_dis_total"],
    "spinning up, by its losses": ["Epoch", "EpLen", "LossPi", "LossV"],
    "twin critics": ["loss", "q1_loss", "q2_loss"],
    "policy by entropy": ["loss", "kl", "policy/entropy"],
}
#: The same of losses that fall.
DESCENT = {
    "language model": ["lm loss", "learning-rate", "grad-norm"],
    "VAE": ["loss", "recon_loss", "kl"],
    "DPO": ["loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"],
    "mixture of experts": ["loss", "router/entropy", "aux_loss", "kl"],
    "detector": ["train/box_loss", "train/cls_loss", "train/dfl_loss", "metrics/mAP50"],
    "vocoder without its judge": ["gen_loss_total", "mel_error"],
    "few shots in episodes": ["loss", "episode", "acc"],
    "classifier": ["train_loss", "val_loss", "val_acc", "cross_entropy"],
}


@pytest.mark.parametrize("names", NO_DESCENT.values(), ids=NO_DESCENT)
def test_an_objective_that_is_no_descent_is_known_by_what_is_logged_beside_it(names: list[str]) -> None:
    """The reason quotes a name, so that a user sees what it rests on."""
    reason = Run("demo", logged=names).no_descent

    assert any(name in reason for name in names)


@pytest.mark.parametrize("names", DESCENT.values(), ids=DESCENT)
def test_a_loss_that_falls_is_not_taken_for_a_policy_or_a_game(names: list[str]) -> None:
    """One word that two kinds of training share decides nothing."""
    assert "" == why_no_descent(names)


@pytest.mark.parametrize(
    ("run", "unit"),
    [
        (Run("demo"), ""),
        (Run("demo", parameters=10**9), ""),
        (Run("demo", logged=["loss", "val_acc"]), ""),
        (Run("demo", loss_unit="bits/dim"), "bits/dim"),
        (Run("demo", tokens_per_step=4096), "nats/token"),
        (Run("demo", logged=["lm loss"]), "nats/token"),
        (Run("demo", logged=["loss", "train/num_input_tokens_seen"]), "nats/token"),
        (Run("demo", loss_unit="bits/byte", tokens_per_step=4096), "bits/byte"),
    ],
)
def test_a_unit_is_said_only_where_it_is_known(run: Run, unit: str) -> None:
    """Nats per token are for text: by tokens, a name, or because the user says so."""
    assert unit == run.unit


def test_a_unit_of_an_image_is_no_text() -> None:
    """Bits per dimension count no tokens."""
    assert not Run("demo", loss_unit="bits/dim").is_text


@pytest.mark.parametrize("odd", [7, "", "   ", "x" * 41])
def test_a_unit_that_is_no_word_is_refused_with_the_option_that_it_was(odd: object) -> None:
    """The error names the option and gives an example."""
    with pytest.raises(RunError, match=r"`loss_unit` must be a word such as nats/token"):
        Run("demo", loss_unit=odd)  # type: ignore[arg-type]


@pytest.mark.parametrize("odd", ["loss", 7, [1, 2], None])
def test_names_that_are_none_are_refused(odd: object) -> None:
    """One text is no list of names: it would be taken letter by letter."""
    with pytest.raises(RunError, match="`logged` must be names of series"):
        Run("demo", logged=odd)  # type: ignore[arg-type]


def test_a_log_with_more_names_than_anybody_reads_is_cut() -> None:
    """A table of ten thousand columns does not fill the header of a journal."""
    assert 1_000 == len(Run("demo", logged=[f"metric {n}" for n in range(10_000)]).logged)


def seen(losses: list[float], **known: object) -> Monitor:
    monitor = Monitor(Run("demo", **known))  # type: ignore[arg-type]
    for step, loss in enumerate(losses, 1):
        monitor.observe(Observation(step, loss))
    return monitor


@pytest.mark.parametrize(
    ("losses", "logged", "says"),
    [
        ([], (), "cannot tell: no row yet"),
        ([2.0] * 9, (), "cannot tell: 9 rows are too few"),
        ([2.0], (), "cannot tell: 1 row is too few"),
    ],
)
def test_what_cannot_be_told_is_said_with_its_reason(losses: list[float], logged: tuple[str, ...], says: str) -> None:
    """Healthy is a claim: it is made only where a fault of the ordinary size would have been seen."""
    status = seen(losses, logged=logged).status

    assert (State.CANNOT_TELL, says) == (status.state, status.sentence)


def test_where_no_loss_is_found_those_that_are_logged_are_named() -> None:
    """A game has two; the user says which."""
    monitor = Monitor(Run("demo", logged=("g_loss", "d_loss")))
    for step in range(1, 40):
        monitor.observe(Observation(step, None, 1e-3))  # type: ignore[arg-type]

    assert "no loss was found (g_loss, d_loss are logged: name one with `loss=`)" in monitor.status.sentence


def test_a_policy_is_not_called_healthy_by_a_loss_that_is_no_descent() -> None:
    """Unless the loss does fall, and for good: then it is watched like any."""
    wide = [1.0 + 0.2 * (step * 7 % 5) for step in range(200)]
    falls = [4.0 * step**-0.6 * (1.0 + 0.02 * (step * 7 % 5)) for step in range(1, 201)]

    status = seen(wide, logged=("loss", "reward")).status
    assert State.CANNOT_TELL is status.state
    assert "its objective is no descent: a reward is logged beside the loss (reward)" in status.sentence
    assert State.HEALTHY is seen(falls, logged=("loss", "reward")).status.state


def test_what_was_never_given_is_not_measured_and_not_quiet() -> None:
    """Shown beside the state; and no more once it is there."""
    monitor = seen([2.0 + 0.01 * (step % 5) for step in range(60)])
    before = monitor.status.not_measured
    monitor.observe(Observation(61, 2.0, grad_norm=0.5, validation_loss=2.1))

    assert ("gradient norm", "validation loss") == before
    assert () == monitor.status.not_measured
    assert () == Monitor(Run("demo")).status.not_measured


def test_a_finished_run_is_over_and_was_healthy() -> None:
    """Both in one sentence."""
    status = seen([2.0 + 0.01 * (step % 5) for step in range(60)], total_steps=60).status

    assert (State.OVER, "over: healthy to its end") == (status.state, status.sentence)


def test_what_cannot_be_told_is_the_same_after_a_break() -> None:
    """A run that goes on from its checkpoint has not lost the rows of before."""
    before, after = seen([2.0] * 9), Monitor(Run("demo"))
    after.load_state_dict(before.state_dict())

    assert before.status == after.status


def said_of(losses: list[float], first: int = 1) -> str:
    monitor = Monitor(Run("gpt", loss_unit="nats/token"))
    for step, loss in enumerate(losses, first):
        monitor.observe(Observation(step, loss))
    return monitor.status.sentence


def test_a_loss_that_never_fell_is_not_called_healthy() -> None:
    """At the logarithm of the vocabulary from the first row to the last nothing is learnt; and none is paged for it."""
    noise = np.random.default_rng(1).normal(0.0, 0.02, 900)
    flat = (10.82 + noise).tolist()
    late = (10.82 + noise - 4.0 / (1.0 + np.exp((600 - np.arange(900)) / 40))).tolist()

    assert "cannot tell: after 900 rows the loss is no lower than where it began" == said_of(flat)
    assert "cannot tell: after 400 rows the loss is no lower than where it began" == said_of(late[:400])
    assert "healthy" == said_of(late)


def test_a_log_that_begins_in_the_middle_of_a_run_may_be_flat() -> None:
    """What was learnt before it nobody sees there."""
    assert "healthy" == said_of((2.9 + np.random.default_rng(2).normal(0.0, 0.02, 900)).tolist(), first=400_000)
