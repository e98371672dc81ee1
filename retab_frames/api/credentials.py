"""The key and where it may be sent: checked before the first request."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from retab_frames.errors import ConfigError
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import NextStep

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["KEY_VARIABLE", "URL_VARIABLE", "Secret", "check_secret", "normalize_base_url"]

KEY_VARIABLE = "RETAB_API_KEY"
URL_VARIABLE = "RETAB_API_BASE_URL"

_MIN_MASKED_LENGTH = 4
"""A shorter value is not a key, and would be masked wherever it occurs."""


class Secret:
    """A value that no repr, pickle or copy shows.

    Args:
        value: Whitespace around it, which copying may leave, is removed; None is an empty value.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | None) -> None:
        self._value = (value or "").strip()

    @classmethod
    def from_environment(cls, name: str) -> Secret:
        """Return the value of an environment variable, an empty one if it is not set."""
        return cls(os.environ.get(name))

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled or copied."""
        raise TypeError("a key cannot be pickled; make the Client where it is used")

    def reveal(self) -> str:
        """Return the value: for the one place that sends it."""
        return self._value

    def mask(self, text: str) -> str:
        """Return the text with `***` in place of the value, plain or escaped as in a URL."""
        if len(self._value) >= _MIN_MASKED_LENGTH:
            for form in (self._value, quote(self._value, safe=""), quote(self._value)):
                text = text.replace(form, "***")
        return text


_GIVE_KEY = NextStep(
    f"set the environment variable {KEY_VARIABLE}, or give Client(api_key=...)",
    f"set the environment variable {KEY_VARIABLE}",
)
_GIVE_NO_KEY_IN_URL = NextStep(
    "give the key as api_key and a token as access_token",
    f"give the key in the environment variable {KEY_VARIABLE}",
)


_SPOKEN = {"api_key": "API key"}
"""What a message calls a secret that can also come from the environment."""


def check_secret(secret: Secret, *, name: str = "api_key") -> Secret:
    """Return the secret if it can be sent in a header.

    It comes wrapped, so that no frame of a traceback from here holds it.

    Raises:
        ConfigError: If it is empty or cannot be sent; the message never shows it.
    """
    if not secret:
        if name == "api_key":
            raise ConfigError("there is no API key").advise(_GIVE_KEY)
        raise ConfigError(f"no {name}: give Client({name}=...)")
    if not all("!" <= character <= "~" for character in secret.reveal()):
        problem = "contains spaces, control characters or non-ASCII letters"
        raise ConfigError(f"the {_SPOKEN.get(name, name)} {problem}: copy it again")
    return secret


def normalize_base_url(text: str) -> str:
    """Return the URL to which `/v1/...` is added, without a trailing slash or `/v1`.

    Raises:
        ConfigError: If it is not https (http is allowed for loopback), or contains more than an
            origin and a path.
    """
    parts = _split(text.strip())
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname:
        # only the scheme is shown: the text may be a key in the wrong place, or contain one
        begins = f", and this begins with {parts.scheme}:" if parts and parts.scheme else ""
        raise ConfigError(
            f"the base URL is not valid: expected something like https://api.retab.com{begins}"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"the base URL for {printable(parts.hostname)} contains a user, a query or a fragment"
        ).advise(_GIVE_NO_KEY_IN_URL)
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigError(
            f"http would send the key to {printable(parts.hostname)} unencrypted: use https "
            "(http is for loopback only)"
        )
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{quote(path, safe='/%')}"


def _split(text: str) -> SplitResult | None:
    """Return the parts of a URL, None if it is not a valid one."""
    try:
        parts = urlsplit(text)
        if parts.port == 0 or not (parts.hostname or "").encode("idna"):
            return None
    except ValueError:  # of the port, or of a host that DNS cannot hold
        return None
    return parts if text.isprintable() and " " not in text and "\\" not in text else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
