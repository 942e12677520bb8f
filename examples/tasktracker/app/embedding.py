"""A deterministic local stand-in for an embedding service: words hashed into 64 buckets, length 1."""

import hashlib
import math
import re

SIZE = 64


def embed(text: str) -> list[float]:
    """The vector of a text; texts that share words lie close together (cosine)."""
    vector = [0.0] * SIZE
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        vector[digest[0] % SIZE] += 1.0 if digest[1] % 2 else -1.0
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector] if length else [1.0] + vector[1:]
