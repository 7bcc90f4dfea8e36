"""Nothing of ours draws from, or seeds, a generator that the training draws from: its augmentation would hang on us."""

from __future__ import annotations

import ast

from tests.house import Source, sources
from tests.test_house import WHEEL

#: What of each module's generator may be named: ones that are made anew, and looking at a state to put it back.
OWN = {
    "random": {"Random", "SystemRandom", "getstate", "setstate"},
    "numpy.random": {"default_rng", "Generator", "SeedSequence", "RandomState", "get_state", "set_state"},
}
#: Functions of torch that draw from its global generator if they are not given another, or seed it.
OF_TORCH = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "manual_seed", "seed"}


def global_draws(source: Source) -> list[str]:
    """The lines that draw from a generator of the whole process, or seed it."""
    found = []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Attribute):
            continue
        home, _, last = ast.unparse(node).replace("np.random", "numpy.random").rpartition(".")
        drawn = home in OWN and last not in OWN[home]
        if drawn or (home == "torch" and last in OF_TORCH):
            found.append(f"{source.name}:{node.lineno}: {home}.{last}")
    for taken in source.imports:
        home, _, last = taken.name.rpartition(".")
        if home in OWN and last not in OWN[home] and home != "numpy":
            found.append(f"{source.name}:{taken.line}: {taken.name}")
    return found


def test_no_file_draws_from_a_generator_of_the_whole_process() -> None:
    """Also not as a default argument, which is what once did."""
    assert [] == [line for source in sources(*WHEEL) for line in global_draws(source)]


def test_a_draw_from_a_generator_of_the_whole_process_is_found() -> None:
    """However it is written; generators of one's own are allowed."""
    bad = (
        "import random\nfrom random import choice\nimport numpy as np\nimport torch\n"
        "def f(chance=random.random):\n    np.random.seed(1)\n    return torch.randn(3), np.random.rand()\n"
    )
    good = "import random\nimport numpy as np\nrandom.Random().random\nx = np.random.default_rng(0).normal(3)\n"

    assert 5 == len(global_draws(Source("bad", "m", bad)))
    assert [] == global_draws(Source("good", "m", good))
