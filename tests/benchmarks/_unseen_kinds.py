"""Families of unseen_runs.py that differ in what is learnt: by playing, from pairs, from a moving target, from text."""

from __future__ import annotations

import math
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _unseen_losses import Classes
from _unseen_training import Task, frozen, mlp
from torch import Tensor, nn


class Poles:
    """Several carts with a pole each, after Barto, Sutton and Anderson 1983, in NumPy."""

    def __init__(self, count: int, random: np.random.Generator) -> None:
        self.random, self.state, self.age = random, np.zeros((count, 4)), np.zeros(count, int)
        self.reset(np.ones(count, bool))

    def reset(self, which: np.ndarray) -> None:
        self.state[which], self.age[which] = self.random.uniform(-0.05, 0.05, (which.sum(), 4)), 0

    def step(self, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Push; where each cart got to before it was put back, and whether it was."""
        x, v, angle, turn = self.state.T
        sin, cos = np.sin(angle), np.cos(angle)
        push = (np.where(right, 10.0, -10.0) + 0.05 * turn**2 * sin) / 1.1
        bend = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
        move = push - 0.05 * bend * cos / 1.1
        self.state = np.stack([x + 0.02 * v, v + 0.02 * move, angle + 0.02 * turn, turn + 0.02 * bend], 1)
        self.age += 1
        after = self.state.copy()
        over = (np.abs(after[:, 0]) > 2.4) | (np.abs(after[:, 2]) > 0.21) | (self.age >= 200)
        self.reset(over)
        return after, over


class Dqn(Task):
    """Values of pushing a cart, learnt against a copy that follows every hundred steps."""

    name, sabotages = "dqn", ("explode", "nan_once")
    steps, rate, clip, planned = 1500, 1e-3, 10.0, False

    def build(self) -> None:
        self.net = mlp(4, 48, 48, 2, act=nn.ReLU)
        self.target = frozen(self.net)
        self.random = np.random.default_rng(int(torch.randint(2**31, ())))
        self.poles = Poles(4, self.random)
        self.replay = np.zeros((4 * (self.steps + 50), 10), np.float32)
        self.seen = 0

    def batch(self, step: int) -> tuple[Tensor, Any]:
        while self.seen < 4 * (step + 50):
            before = self.poles.state.copy()
            with torch.no_grad():
                greedy = self.net(torch.tensor(before, dtype=torch.float32)).argmax(1).numpy() == 1
            explore = self.random.random(4) < max(0.05, 1 - step / 400)
            right = np.where(explore, self.random.random(4) < 0.5, greedy)
            after, over = self.poles.step(right)
            self.replay[self.seen : self.seen + 4] = np.column_stack([before, after, right, over])
            self.seen += 4
        rows = torch.tensor(self.replay[self.random.integers(0, self.seen, 64)])
        return rows[:, :8], rows[:, 8:]

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        value = self.net(x[:, :4]).gather(1, y[:, :1].long())
        with torch.no_grad():
            later = self.target(x[:, 4:]).max(1, keepdim=True).values
        return F.smooth_l1_loss(value, 1 + 0.97 * (1 - y[:, 1:]) * later)

    def after(self, step: int) -> None:
        if step % 100 == 0:
            self.target.load_state_dict(self.net.state_dict())


class ClippedPolicy(Task):
    """Clipped policy loss with a small value loss, on fresh pushes of a cart: it crosses zero all the time."""

    name, sabotages = "clipped_policy", ("lr_x100", "lr_x10_5steps")
    steps, rate, clip, planned = 1000, 1e-3, 0.5, False

    def build(self) -> None:
        self.net = mlp(4, 32, 3)
        self.random = np.random.default_rng(int(torch.randint(2**31, ())))
        self.poles = Poles(16, self.random)

    def play(self) -> None:
        """Sixteen pushes of each cart, with what they led to."""
        seen, kept = [], []
        with torch.no_grad():
            for _ in range(16):
                x = torch.tensor(self.poles.state, dtype=torch.float32)
                out = self.net(x)
                right = torch.tensor(self.random.random(16)) < out[:, :2].softmax(1)[:, 1]
                likely = out[:, :2].log_softmax(1).gather(1, right[:, None].long())[:, 0]
                over = torch.tensor(self.poles.step(right.numpy())[1])
                seen.append(x)
                kept.append((right.float(), likely, out[:, 2], over.float()))
            later = self.net(torch.tensor(self.poles.state, dtype=torch.float32))[:, 2]
        returns = []
        for _, _, _, over in reversed(kept):
            later = 0.1 + 0.97 * (1 - over) * later
            returns.append(later)
        right, likely, value, _ = (torch.cat(column) for column in zip(*kept, strict=True))
        gain = torch.cat(returns[::-1])
        better = gain - value
        self.states = torch.cat(seen)
        self.known = torch.stack([right, likely, (better - better.mean()) / (better.std() + 1e-6), gain], 1)

    def batch(self, step: int) -> tuple[Tensor, Any]:
        if (step - 1) % 8 == 0:
            self.play()
        chosen = torch.tensor(self.random.integers(0, len(self.states), 64))
        return self.states[chosen], self.known[chosen]

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        out = self.net(x)
        said = out[:, :2].log_softmax(1)
        ratio = (said.gather(1, y[:, :1].long())[:, 0] - y[:, 1]).exp()
        policy = -torch.minimum(ratio * y[:, 2], ratio.clamp(0.8, 1.2) * y[:, 2]).mean()
        spread = -(said.exp() * said).sum(1).mean()
        return policy + 0.05 * F.mse_loss(out[:, 2], y[:, 3]) - 0.01 * spread


class InfoNce(Task):
    """Two views of a thing find each other in the batch; the temperature is learnt."""

    name, sabotages = "info_nce", ("shuffle", "nan_once")
    steps, rate, warmup, batch_size, validate_every = 900, 1e-3, 0.1, 64, 45

    def build(self) -> None:
        self.eyes = torch.randn(2, 8, 20)
        self.net = nn.ModuleList([mlp(20, 48, 16), mlp(20, 48, 16), nn.ParameterList([torch.tensor(2.0)])])

    def batch(self, step: int) -> tuple[Tensor, Any]:
        thing = torch.randn(self.batch_size, 8)
        left, right = ((thing @ eye).tanh() + 0.3 * torch.randn(self.batch_size, 20) for eye in self.eyes)
        return left, right

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        left, right = F.normalize(self.net[0](x), dim=1), F.normalize(self.net[1](y), dim=1)
        alike, own = self.net[2][0].exp() * left @ right.T, torch.arange(len(x))
        return 0.5 * (F.cross_entropy(alike, own) + F.cross_entropy(alike.T, own))


class Augmented(Task):
    """Clusters whose views are noise and a mask."""

    batch_size = 48

    def points(self) -> Tensor:
        return self.middles[torch.randint(0, len(self.middles), (self.batch_size,))] + 0.3 * torch.randn(
            self.batch_size, 24
        )

    def batch(self, step: int) -> tuple[Tensor, Any]:
        return self.points(), None

    def view(self, x: Tensor) -> Tensor:
        return (x + 0.3 * torch.randn_like(x)) * (torch.rand_like(x) > 0.2)


class TwoViews(Augmented):
    """Normalised temperature-scaled cross entropy, at a temperature of 0.1."""

    name, sabotages = "two_views", ("lr_x30", "blank")
    steps, rate, momentum, sgd, warmup = 800, 0.1, 0.9, True, 0.1

    def build(self) -> None:
        self.middles = torch.randn(40, 24)
        self.net = mlp(24, 64, 16, act=nn.ReLU)

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        seen = F.normalize(self.net(torch.cat([self.view(x), self.view(x)])), dim=1)
        alike = (seen @ seen.T / 0.1).masked_fill(torch.eye(len(seen), dtype=torch.bool), -1e9)
        return F.cross_entropy(alike, torch.arange(len(seen)).roll(len(x)))


class MovingTeacher(Augmented):
    """A network follows a slow average of itself, with a predictor between them."""

    name, sabotages = "moving_teacher", ("explode", "outlier")
    steps, rate, decay, logs_norm = 1000, 1e-3, 0.01, False

    def build(self) -> None:
        self.middles = torch.randn(40, 24)
        self.net = nn.ModuleList([mlp(24, 64, 16, act=nn.ReLU), mlp(16, 32, 16, act=nn.ReLU)])
        self.slow = frozen(self.net[0])

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        guess, target = self.net[1](self.net[0](self.view(x))), self.slow(self.view(x))
        return 2 - 2 * F.cosine_similarity(guess, target, dim=1).mean()

    def after(self, step: int) -> None:
        for slow, fast in zip(self.slow.parameters(), self.net[0].parameters(), strict=True):
            slow.data.lerp_(fast.data, 0.01)


class Adversarial(Classes):
    """Classes of inputs that one step along the gradient's sign has made worse."""

    name, sabotages = "adversarial", ("shuffle", "lr_x10_5steps")
    steps, rate, planned = 900, 1e-3, False

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        near = x.clone().requires_grad_()
        slope = torch.autograd.grad(F.cross_entropy(self.net(near), y), near)[0]
        return F.cross_entropy(self.net(x + 0.1 * slope.sign()), y)


class Experts(Classes):
    """The best of four experts answers, and a second loss keeps them equally busy."""

    name, sabotages = "experts", ("lr_x100", "shuffle_50")
    steps, rate, clip, planned = 900, 2e-3, 1.0, False

    def build(self) -> None:
        super().build()
        self.net = nn.ModuleList([nn.Linear(8, 4), *(mlp(8, 24, 10) for _ in range(4))])

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        share = self.net[0](x).softmax(1)
        best = share.max(1)
        answers = torch.stack([expert(x) for expert in self.net[1:]], 1)
        out = best.values[:, None] * answers[torch.arange(len(x)), best.indices]
        busy = F.one_hot(best.indices, 4).float().mean(0)
        return F.cross_entropy(out, y) + 0.04 * (busy * share.mean(0)).sum()


class Letters(Task):
    """The next letter of Python's own help, by a small recurrent network with dropout."""

    name, sabotages = "letters_dropout", ("explode", "shuffle_50")
    steps, rate, batch_size, clip, decay, validate_every = 600, 3e-3, 16, 1.0, 0.01, 30
    length = 24

    def build(self) -> None:
        text = " ".join(topics[name] for name in sorted(topics))[:300_000]
        self.text = torch.tensor([min(ord(letter), 127) for letter in text])
        self.net = nn.ModuleDict(
            {"in": nn.Embedding(128, 32), "core": nn.GRU(32, 64, batch_first=True), "out": nn.Linear(64, 128)}
        )

    def batch(self, step: int) -> tuple[Tensor, Any]:
        at = torch.randint(0, len(self.text) - self.length - 1, (self.batch_size, 1)) + torch.arange(self.length + 1)
        return self.text[at[:, :-1]], self.text[at[:, 1:]]

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        training = self.net.training
        state = self.net["core"](F.dropout(self.net["in"](x), 0.1, training))[0]
        return F.cross_entropy(self.net["out"](F.dropout(state, 0.2, training)).flatten(0, 1), y.flatten())

    def rate_at(self, step: int) -> float:
        return super().rate_at(step) * 0.5 * (1 + math.cos(math.pi * 0.9 * step / self.steps))


class Reversal(Task):
    """A recurrent encoder and decoder turn short sequences round: flat at first, then a sudden fall."""

    name, sabotages = "sequence_reversal", ("lr_x30", "nan_once")
    steps, rate, batch_size, clip, warmup = 800, 4e-3, 32, 1.0, 0.05

    def build(self) -> None:
        cells = {"read": nn.GRU(12, 48, batch_first=True), "write": nn.GRU(12, 48, batch_first=True)}
        self.net = nn.ModuleDict({"in": nn.Embedding(11, 12), **cells, "out": nn.Linear(48, 11)})

    def batch(self, step: int) -> tuple[Tensor, Any]:
        x = torch.randint(1, 11, (self.batch_size, 5))
        return x, x.flip(1)

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        state = self.net["read"](self.net["in"](x))[1]
        before = F.pad(y[:, :-1], (1, 0))
        said = self.net["out"](self.net["write"](self.net["in"](before), state)[0])
        return F.cross_entropy(said.flatten(0, 1), y.flatten())


class GraphNodes(Task):
    """Labels on a graph of blocks, all nodes in each step: no noise but that of dropout."""

    name, sabotages = "graph_nodes", ("lr_x100", "outlier")
    steps, rate, decay, validate_every = 600, 5e-3, 5e-3, 30

    def build(self) -> None:
        block = torch.randint(0, 4, (200,))
        near = torch.rand(200, 200) < torch.where(block[:, None] == block, 0.06, 0.01)
        near = (near | near.T).float() + torch.eye(200)
        self.near = near / near.sum(1, keepdim=True)
        self.x, self.y = F.one_hot(block, 4).float() @ torch.randn(4, 16) + 2 * torch.randn(200, 16), block
        self.net = nn.ModuleList([nn.Linear(16, 24), nn.Linear(24, 4)])

    def batch(self, step: int) -> tuple[Tensor, Any]:
        return self.x, self.y

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        training = self.net.training
        hidden = (self.near @ self.net[0](F.dropout(x, 0.3, training))).relu()
        out = self.near @ self.net[1](F.dropout(hidden, 0.5, training))
        chosen = slice(0, 120) if training else slice(120, None)
        return F.cross_entropy(out[chosen], y[chosen])


FAMILIES: tuple[type[Task], ...] = (
    *(Dqn, ClippedPolicy, InfoNce, TwoViews, MovingTeacher, Adversarial, Experts, Letters, Reversal, GraphNodes),
)
