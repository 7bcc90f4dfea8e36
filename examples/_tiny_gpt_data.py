"""The text of the example: the Python standard library's own sources, as bytes.

Every machine that can run the example has this text already, so nothing is downloaded.
"""

from __future__ import annotations

import os
import sysconfig
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

VOCABULARY = 256  # a token is a byte
VALIDATION_SHARE = 0.05  # of the files, not of the bytes
VALIDATION_BATCHES = 8  # of one validation, the same ones every time
MAX_FILE_BYTES = 250_000  # larger ones are tables that a program wrote
MIN_TEXT_BYTES = 1_000_000  # less is not worth a language model

# Other people's packages, and folders that hold tables rather than code.
LEFT_OUT = frozenset({"site-packages", "dist-packages", "__pycache__", "encodings", "pydoc_data"})


def source_files(root: Path) -> list[Path]:
    """Return the standard library's source files in an order that is the same on every run."""
    kept = []
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if name not in LEFT_OUT]  # site-packages holds more than all the rest
        for path in (Path(folder, name) for name in names if name.endswith(".py")):
            if not path.name.startswith("_sysconfigdata"):
                kept.append((path.relative_to(root).as_posix(), path))
    return [path for _, path in sorted(kept)]


def is_validation(relative_path: str) -> bool:
    """Say by a fixed hash of its path whether a file is kept for validation."""
    return zlib.crc32(relative_path.encode()) % 1000 < 1000 * VALIDATION_SHARE


def read_text(root: Path | None = None) -> tuple[Tensor, Tensor]:
    """Read the sources and split them by file.

    Returns:
        The training text and the validation text, each a vector of bytes.

    Raises:
        RuntimeError: if the Python at hand came without its sources.
    """
    root = root or Path(sysconfig.get_paths()["stdlib"])
    parts: dict[bool, list[bytes]] = {False: [], True: []}
    for path in source_files(root):
        try:
            text = path.read_bytes()
        except OSError:
            continue  # one unreadable file of two thousand changes nothing
        if 0 < len(text) <= MAX_FILE_BYTES:
            parts[is_validation(path.relative_to(root).as_posix())].append(text)
    train, validation = (b"\n".join(parts[split]) for split in (False, True))
    if len(train) < MIN_TEXT_BYTES or not validation:
        raise RuntimeError(f"found only {len(train):,} bytes of Python sources under {root}")
    return _as_tensor(train), _as_tensor(validation)


def _as_tensor(text: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())


class RandomWindows(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches of windows cut from a text at random, the same ones for the same seed.

    Args:
        text: the bytes to cut from.
        batch_size: windows in a batch.
        context: bytes in a window.
        batches: how many batches one pass yields.
        seed: where the random numbers start.
    """

    def __init__(self, text: Tensor, batch_size: int, context: int, batches: int, seed: int):
        super().__init__()
        self.text = text
        self.batch_size = batch_size
        self.context = context
        self.batches = batches
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the bytes of a batch and, for each of them, the byte that follows."""
        generator = torch.Generator().manual_seed(self.seed)
        offsets = torch.arange(self.context + 1)
        last_start = len(self.text) - self.context
        for _ in range(self.batches):
            starts = torch.randint(last_start, (self.batch_size, 1), generator=generator)
            window = self.text[starts + offsets].long()
            yield window[:, :-1], window[:, 1:]

    def __len__(self) -> int:
        """Return the number of batches in one pass."""
        return self.batches


class StdlibText(pl.LightningDataModule):
    """The standard library's sources, as batches for training and for validation.

    Args:
        texts: bytes to train on, and bytes of other files.
        batch_size: windows in a batch.
        context: bytes in a window.
        steps: batches in the whole training.
        seed: decides which windows are drawn for training, and in which order.
    """

    def __init__(
        self,
        texts: tuple[Tensor, Tensor],
        batch_size: int,
        context: int,
        steps: int,
        seed: int,
    ):
        super().__init__()
        self._train = RandomWindows(texts[0], batch_size, context, steps, seed)
        self._validation = RandomWindows(texts[1], batch_size, context, VALIDATION_BATCHES, seed=0)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return the training batches."""
        return DataLoader(self._train, batch_size=None, num_workers=0)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return the validation batches."""
        return DataLoader(self._validation, batch_size=None, num_workers=0)
