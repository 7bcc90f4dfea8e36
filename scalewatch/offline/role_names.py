"""What a column of a table of finished runs can be, and the names by which it is known."""

from __future__ import annotations

from scalewatch.logs.columns import RUNS

__all__ = ["IN_LOGS", "ROLES", "ROLE_NAMES"]

#: Roles that only a table of runs has -> names of columns that play them, the first found counts.
ROLE_NAMES: dict[str, tuple[str, ...]] = {
    "parameters": (
        *("parameters", "total_parameters", "params", "total_params", "n_params", "num_params", "num_parameters"),
        *("n_parameters", "param_count", "params_count", "model_params", "model_parameters", "model_size", "size", "n"),
        *("parameter", "model", "model_name"),
    ),
    "non_embedding_parameters": (
        *("non_embedding_parameters", "non_embedding_params", "n_non_embedding", "params_non_embedding"),
        *("non_embedding", "n_params_non_embedding"),
    ),
    "active_parameters": ("active_parameters", "active_params", "n_active", "n_active_params"),
    "tokens": (
        *("d", "dataset_tokens", "training_tokens", "n_train_tokens", "tokens_trained", "data_tokens", "data"),
        *("dataset_size", "data_size", "train_data", "token"),
    ),
    "unique_tokens": ("unique_tokens", "unique", "different_tokens"),
    "epochs": ("epochs", "num_epochs", "n_epochs", "num_train_epochs"),
    "loss": ("l", "loss_last", "last_loss", "loss_final", "loss_end", "end_loss", "loss_best", "best_loss", "loss_min"),
    "tokens_per_parameter": (
        "tokens_per_parameter",
        "tokens_per_param",
        "tokens_parameter",
        "tpp",
        "d_n",
        "tok_param",
        "tok_per_param",
    ),
    "batch_size": ("batch_size", "global_batch_size", "total_batch_size", "batch", "train_batch_size", "bs"),
    "sequence_length": (
        "sequence_length",
        "seq_len",
        "seq_length",
        "context_length",
        "context",
        "block_size",
        "seqlen",
        "max_seq_len",
        "max_seq_length",
        "max_length",
        "ctx_len",
        "n_ctx",
    ),
    "flops": ("flops", "compute", "train_flops", "training_flops", "total_flops", "compute_flops", "flop", "c"),
    "tokens_per_step": ("tokens_per_step", "batch_tokens", "tokens_per_batch", "batch_size_tokens"),
    "budget": ("budget", "flop_budget", "flops_budget", "compute_budget", "isoflop", "isoflop_budget", "target_flops"),
    "total_steps": (
        "max_steps",
        "total_steps",
        "train_steps",
        "num_steps",
        "training_steps",
        "max_iters",
        "total_iters",
        "train_iters",
        "training_iters",
        "num_iters",
        "num_train_steps",
        "num_training_steps",
        "n_steps",
        "optimizer_steps",
    ),
    "run": (*RUNS, "name"),
}
#: Roles that a log's columns have too -> what they are called there.
IN_LOGS = {"tokens": "tokens", "loss": "final_loss", "step": "step", "learning_rate": "learning_rate"}
#: What a column can be.
ROLES = (
    *("parameters", "non_embedding_parameters", "active_parameters", "tokens", "flops", "loss", "step"),
    *("learning_rate", "tokens_per_step", "budget", "run", "tokens_per_parameter", "batch_size", "sequence_length"),
    *("unique_tokens", "epochs", "total_steps"),
)
