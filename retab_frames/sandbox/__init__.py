"""A local Retab API over HTTP, with a synthetic workspace that depends only on a seed.

It imports nothing from the rest of the package, so that a bug there cannot be in both the client
and the server.
"""

from retab_frames.sandbox.server import Sandbox

__all__ = ["Sandbox"]
