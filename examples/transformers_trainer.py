"""A small GPT-2 that the Trainer of transformers trains, watched by one line: `callbacks=[ScaleWatch()]`.

python examples/transformers_trainer.py             # some seconds on a CPU
python examples/transformers_trainer.py --resume    # goes on from the checkpoint of the run before
python examples/transformers_trainer.py --nan       # step 80 has a loss that is no number; the Trainer logs another
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from _letters import TIME, VOCABULARY, text_of
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from scalewatch_transformers import ScaleWatch

STEPS, ACCUMULATE, ROWS, NAN_STEP = 120, 2, 16, 80


class Sabotaged(Trainer):
    """Makes the loss of one step no number, and leaves its gradient as it is."""

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        """Return the loss of a batch."""
        loss = super().compute_loss(model, inputs, *rest, **options)
        return loss + float("nan") if self.state.global_step == NAN_STEP - 1 else loss


def main(directory: Path, resume: bool, nan: bool) -> None:
    """Train to the end, from the beginning or from the checkpoint in `directory`."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=TIME + 1, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    arguments = TrainingArguments(
        output_dir=str(directory),
        max_steps=STEPS,
        per_device_train_batch_size=ROWS,
        gradient_accumulation_steps=ACCUMULATE,
        learning_rate=1e-2,
        lr_scheduler_type="cosine",
        logging_steps=10,
        save_steps=STEPS // 2,
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
    )
    data = [{"input_ids": row, "labels": row} for row in text_of(0, STEPS * ACCUMULATE * ROWS)]
    kind = Sabotaged if nan else Trainer
    trainer = kind(model=GPT2LMHeadModel(config), args=arguments, train_dataset=data, callbacks=[ScaleWatch()])
    trainer.train(resume_from_checkpoint=str(directory / f"checkpoint-{STEPS // 2}") if resume else None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--nan", action="store_true", help="make the loss of one step no number")
    parser.add_argument("--directory", type=Path, default=Path("transformers_run"), help="of checkpoints and journal")
    given = parser.parse_args()
    main(given.directory, given.resume, given.nan)
