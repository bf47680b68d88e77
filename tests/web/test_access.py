"""Who may open a page: names of the machine, origins, tokens."""

import socket

import pytest

from fer_edge.web.access import Access

LOCAL = Access.to_address("127.0.0.1", "127.0.0.1")
OPEN = Access.to_address("0.0.0.0", "0.0.0.0")


@pytest.mark.parametrize(
    ("host", "by_local", "by_open"),
    [
        ("127.0.0.1:8090", True, True),
        ("127.0.0.1", True, True),
        ("localhost:8090", True, True),
        ("LOCALHOST.:1", True, True),
        ("[::1]:8090", True, True),
        # An address in numbers cannot be pointed elsewhere, but a local page is not reached by it.
        ("192.168.1.20:8090", False, True),
        ("[fe80::1]:8090", False, True),
        (socket.gethostname(), socket.gethostname() == "localhost", True),
        (f"{socket.gethostname()}.local:8090", False, True),
        ("attacker.example:8090", False, False),
        ("localhost.attacker.example", False, False),
        ("127.0.0.1.attacker.example", False, False),
        ("attacker.example@127.0.0.1", False, False),
        ("127.0.0.1/attacker", False, False),
        ("127.0.0.1:port", False, False),
        ("", False, False),
        (None, False, False),
        ("[::1", False, False),
    ],
)
def test_hosts(host: str | None, by_local: bool, by_open: bool) -> None:
    assert (LOCAL.allows_host(host), OPEN.allows_host(host)) == (by_local, by_open)


def test_a_name_that_the_user_gave_is_allowed() -> None:
    named = Access.to_address("Robot.lan", "192.168.1.20")
    assert named.allows_host("robot.lan:80")
    assert not named.allows_host("other.lan:80")


@pytest.mark.parametrize(
    ("headers", "page", "websocket"),
    [
        ({}, True, False),
        ({"origin": "http://127.0.0.1:8090"}, True, True),
        ({"origin": "https://127.0.0.1:8090"}, True, True),  # behind a proxy with TLS
        ({"origin": "http://127.0.0.1:8091"}, False, False),
        ({"origin": "http://localhost:8090"}, False, False),
        ({"origin": "http://attacker.example"}, False, False),
        ({"origin": "null"}, False, False),
        ({"origin": "file://127.0.0.1:8090"}, False, False),
        ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "script"}, True, False),
        ({"sec-fetch-site": "none", "sec-fetch-dest": "document"}, True, False),
        # A link on another site may be followed; its pages may not embed or fetch anything.
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, True, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}, False, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}, False, False),
        ({"sec-fetch-site": "same-site", "sec-fetch-dest": "empty"}, False, False),
    ],
)
def test_origins(headers: dict[str, str], page: bool, websocket: bool) -> None:
    headers = {"host": "127.0.0.1:8090", **headers}
    assert LOCAL.allows_origin(headers, is_websocket=False) is page
    assert LOCAL.allows_origin(headers, is_websocket=True) is websocket


def test_tokens() -> None:
    assert LOCAL.token is None
    assert LOCAL.allows_token(None)
    assert OPEN.token is not None
    # 256 bits, new each time.
    assert len(OPEN.token) == 43
    assert Access.to_address("0.0.0.0", "0.0.0.0").token != OPEN.token
    assert OPEN.allows_token(OPEN.token)
    for wrong in (None, "", OPEN.token[:-1], OPEN.token + "x", "é" * 43):
        assert not OPEN.allows_token(wrong)


@pytest.mark.parametrize("host", ["::1", "localhost", "127.0.0.5"])
def test_addresses_of_this_machine_need_no_token(host: str) -> None:
    assert Access.to_address(host, "127.0.0.5" if host == "localhost" else host).token is None
