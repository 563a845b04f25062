"""Seeds for all that is drawn at random, each a function of what it is for."""

import hashlib

__all__ = ["derive_seed"]


def derive_seed(*words: int | str, bits: int = 32) -> int:
    """A seed in [0, 2**bits) for one purpose, unlike the neighbours' for any other words."""
    key = "/".join(str(word) for word in words).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=bits // 8).digest(), "big")
