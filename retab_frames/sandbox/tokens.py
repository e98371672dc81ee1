"""Opaque tokens and fingerprints, drawn from a seeded generator."""

from __future__ import annotations

import hashlib
import random
import string

_ALPHABET = string.ascii_letters + string.digits + "_-"


def generator(*parts: object) -> random.Random:
    """Return a generator whose stream depends on the parts alone.

    Every part of the workspace has a stream of its own, so that what is built
    first has no effect on what comes out.
    """
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - synthetic data


def token(rng: random.Random, prefix: str, length: int = 21) -> str:
    """Return an opaque id such as `expjob_V1StGXR8_Z5jdHi6B-myT`."""
    return prefix + "_" + "".join(rng.choices(_ALPHABET, k=length))


def fingerprint(*parts: object) -> str:
    """Return the same 32 hexadecimal digits for the same parts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]
