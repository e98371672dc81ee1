"""Seeded random numbers, opaque ids and fingerprints."""

from __future__ import annotations

import hashlib
import random
import string

_ALPHABET = string.ascii_letters + string.digits + "_-"


def make_random(*parts: object) -> random.Random:
    """Return a random generator that depends on the parts alone.

    Every part of the workspace has a generator of its own, so that the order in which the parts
    are built does not change them.
    """
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - synthetic data


def draw_id(rng: random.Random, prefix: str, length: int = 21) -> str:
    """Return an opaque id such as `expjob_V1StGXR8_Z5jdHi6B-myT`."""
    return prefix + "_" + "".join(rng.choices(_ALPHABET, k=length))


def make_fingerprint(*parts: object) -> str:
    """Return 32 hexadecimal digits, the same for the same parts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]
