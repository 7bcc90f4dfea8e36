"""Which part of a transformer a parameter belongs to, by its name."""

from __future__ import annotations

import re

__all__ = ["GROUPS", "group_of"]

#: The groups and the names that lead to them, asked in this order: a norm inside of attention is a norm, and the head
#: of an unembedding no embedding. From the names of GPT-2, Llama, NeoX, BERT, T5 and nanoGPT as they are published.
GROUPS = (
    ("norm", r"norm|(^|[._])ln(_?\w+)?([._]|$)"),
    ("head", r"unembed|(^|[._])(lm_)?head([._]|$)|^output\."),
    ("embedding", r"embed|(^|[._])(wte|wpe|tok_emb|pos_emb|shared)([._]|$)"),
    ("attention", r"attn|attention|query|key|value|qkv|(^|[._])([qkvo]_?proj|w[qkvo]|out_proj|[qkvo])([._]|$)"),
    ("mlp", r"mlp|ffn|ffw|feed_?forward|expert|dense|(^|[._])(c_)?(fc\d?|gate|up|down|w[123i])(_\w+)?([._]|$)"),
)
_PATTERNS = tuple((group, re.compile(pattern)) for group, pattern in GROUPS)


def group_of(name: str) -> str:
    """Return the group of a parameter: norm, head, embedding, attention, mlp or other.

    >>> [group_of(n) for n in ("blocks.0.attn.q_proj.weight", "blocks.0.attn_norm.weight", "lm_head.weight", "gain")]
    ['attention', 'norm', 'head', 'other']
    """
    lower = name.lower()
    return next((group for group, pattern in _PATTERNS if pattern.search(lower)), "other")
