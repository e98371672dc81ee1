"""A local Retab API over HTTP with a seeded synthetic workspace.

It stands beside the rest of the package and imports nothing of it, so that it
cannot agree with a bug there.
"""

from retab_frames.sandbox.server import Sandbox

__all__ = ["Sandbox"]
