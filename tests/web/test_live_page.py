"""The page over HTTP: its files, its headers, and whom it refuses."""

import re
import socket
from pathlib import Path

import pytest
from page_client import MakePage, Viewer, get, upgrade

from fer_edge.web import LivePage
from fer_edge.web.app import STATIC

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def test_the_page_and_its_files(page: LivePage) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", page.url)
    answer = get(page.url)
    assert answer.status == 200
    assert answer.headers.get_content_type() == "text/html"
    assert answer.body == (STATIC / "index.html").read_bytes()
    for path, kind in (("style.css", "text/css"), ("page.js", "javascript"), ("icon.svg", "image/svg+xml")):
        answer = get(page.url, f"/static/{path}")
        assert answer.status == 200
        assert answer.headers.get_content_type().endswith(kind)
        assert answer.headers["Content-Security-Policy"] == POLICY
    assert get(page.url, "/none").status == 404
    assert get(page.url, "/static/../app.py").status == 404
    assert get(page.url, "/static/%2e%2e/app.py").status == 404


def test_security_headers_are_on_each_answer(page: LivePage) -> None:
    for path, headers in (("/", {}), ("/none", {}), ("/", {"Host": "attacker.example"})):
        answer = get(page.url, path, **headers)
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Access-Control-Allow-Origin"] is None
        assert answer.headers["Server"] is None


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_files_need_nothing_from_elsewhere_and_have_no_inline_code(path: Path) -> None:
    text = path.read_text()
    # The name of a vocabulary is no address that is opened.
    text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.findall(r"(?:https?:)?//[\w.]+\.\w+", text)
    if path.suffix == ".html":
        assert not re.findall(r"<style|<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|javascript:", text)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "attacker.example"}, 421),
        ({"Host": "192.168.1.20"}, 421),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "image"}, 403),
    ],
)
def test_other_hosts_and_other_sites_are_refused(
    headers: dict[str, str], status: int, page: LivePage
) -> None:
    for path in ("/", "/static/page.js"):
        answer = get(page.url, path, **headers)
        assert answer.status == status
        assert b"<" not in answer.body


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://attacker.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {},
        {"Host": "attacker.example", "Origin": "http://attacker.example"},
    ],
)
def test_a_websocket_of_another_site_is_refused(headers: dict[str, str], page: LivePage) -> None:
    answer = upgrade(page.url, **headers)
    assert answer.status == 403
    assert page.info()["viewers"] == 0


def test_another_address_needs_the_token(make_page: MakePage) -> None:
    page = make_page(host="0.0.0.0")
    found = re.fullmatch(rf"http://{socket.gethostname()}:(\d+)/\?token=([\w-]{{43}})", page.url)
    assert found is not None
    port, token = found.groups()
    url = f"http://127.0.0.1:{port}/"
    for path in ("/", "/none", "/?token=", f"/?token={token[:-1]}", f"/live?token={token}"):
        answer = get(url, path)
        assert answer.status == 401
        assert b"needs a token" in answer.body
        assert answer.headers["Set-Cookie"] is None
    for cookie in ({}, {"Cookie": f"fer_edge_token_{port}=wrong"}, {"Cookie": f"other={token}"}):
        assert upgrade(url, Origin=url.rstrip("/"), **cookie).status == 403
    answer = get(url, f"/?token={token}")
    assert answer.status == 303
    assert answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"]
    assert re.fullmatch(rf"fer_edge_token_{port}={token}; HttpOnly; Path=/; SameSite=lax", cookie)
    given = {"Cookie": cookie.partition(";")[0]}
    assert get(url, "/", **given).status == 200
    viewer = Viewer(url, **given)
    assert viewer.first["source"] == "camera 0"
    viewer.close()
    # The page without its data is no secret.
    assert get(url, "/static/style.css").status == 200


def test_a_port_in_use_is_one_clear_error(page: LivePage, make_page: MakePage) -> None:
    port = int(page.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(
        OSError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use; choose"
    ):
        make_page(port=port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_wrong_port(port: int, make_page: MakePage) -> None:
    with pytest.raises(ValueError, match=f"port must be 0 to 65535, where 0 takes a free one, got {port}"):
        make_page(port=port)


@pytest.mark.parametrize(
    ("host", "reason"), [("192.0.2.1", "Cannot assign"), ("no..name", "no valid name"), ("name.invalid", "")]
)
def test_an_address_of_another_machine(host: str, reason: str, make_page: MakePage) -> None:
    message = (
        rf"the live page cannot listen on {re.escape(host)}:0: {reason}.*; give an address of this machine"
    )
    with pytest.raises(OSError, match=message):
        make_page(host=host)
