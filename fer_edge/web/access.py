"""Who may open the page: the Host, Origin and fetch headers of a request, and its token.

The Host header is compared with the names of this machine, so that a foreign site whose name is made to point
here (DNS rebinding) gets nothing; an address in numbers cannot be pointed elsewhere. The Origin of a request
must be the page itself: a browser does not bind a WebSocket to one origin. See RFC 6454, and
https://www.w3.org/TR/fetch-metadata/.
"""

import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

# What each answer carries. No inline script or style, nothing from another host, no frame around the page.
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one page.

    Attributes:
        is_local: only this machine can reach the page.
        names: names by which it may be called, in lower case, besides addresses in numbers.
        token: what a viewer must know; None: nothing.
    """

    is_local: bool
    names: frozenset[str]
    token: str | None

    @classmethod
    def to_address(cls, host: str, address: str) -> "Access":
        """Returns the rules for a page that listens on an address.

        Args:
            host: as the user gave it, a name or an address.
            address: the address in numbers.
        """
        if ipaddress.ip_address(address).is_loopback:
            return cls(True, frozenset({"localhost", host.lower()}), None)
        machine = socket.gethostname().lower()
        names = {"localhost", host.lower(), machine, f"{machine}.local", socket.getfqdn().lower()}
        return cls(False, frozenset(names), secrets.token_urlsafe(32))

    def allows_host(self, host: str | None) -> bool:
        """Tells whether a Host header is a name or address of this page."""
        name = _name_of(host or "")
        if name is None:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return address.is_loopback or not self.is_local

    def allows_origin(self, headers: Mapping[str, str], *, is_websocket: bool) -> bool:
        """Tells whether a request comes from the page itself, or from a person who opens it."""
        origin = headers.get("origin")
        if origin is None:
            is_document = headers.get("sec-fetch-dest", "document") == "document"
            is_own = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
            return not is_websocket and (is_own or is_document)
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc.lower() == headers.get("host", "").lower()

    def allows_token(self, token: str | None) -> bool:
        """Tells whether a token is right, in a time that does not depend on it."""
        return self.token is None or secrets.compare_digest((token or "").encode(), self.token.encode())


def _name_of(host: str) -> str | None:
    """Returns the name or address in a Host header, without the port; None if it is not valid."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 (raises ValueError)
    except ValueError:
        return None
    is_plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    return parts.hostname.rstrip(".") if parts.hostname and is_plain else None
