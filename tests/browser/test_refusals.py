"""Other sites, other names and wrong tokens are refused, as a real browser asks."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from fer_edge.web import LivePage

pytestmark = pytest.mark.browser

LABELS = ("neutral", "happiness")
LIVE = "() => document.getElementById('state').dataset.state !== 'connecting'"
# What a foreign page tries; the names of those that give it something.
ATTACK = """async (url) => {
  const socket = new Promise((resolve) => {
    const socket = new WebSocket(url.replace("http", "ws") + "live");
    socket.onmessage = () => resolve("WebSocket");
    socket.onerror = () => resolve(null);
  });
  const read = fetch(url, { credentials: "include" }).then(() => "fetch", () => null);
  const load = (tag, path) => new Promise((resolve) => {
    const element = document.createElement(tag);
    element.onload = () => resolve(tag);
    element.onerror = () => resolve(null);
    element.src = url + path;
    document.body.append(element);
  });
  const files = [load("img", "static/icon.svg"), load("script", "static/words.js")];
  return (await Promise.all([socket, read, ...files])).filter(Boolean);
}"""


class _SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Logs nothing."""


@pytest.fixture
def foreign_site(tmp_path: Path) -> Iterator[str]:
    """A site at another port; a browser sends it the cookies of this host all the same."""
    (tmp_path / "index.html").write_text("<!doctype html><title>foreign</title><body>")
    handler = partial(_SilentHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def open_quietly(browser: Any) -> Iterator[Callable[[str], Any]]:
    """Opens an address; errors in the page are expected."""
    context = browser.new_context()

    def open_quietly(url: str) -> Any:
        tab = context.new_page()
        tab.answer = tab.goto(url)
        return tab

    yield open_quietly
    context.close()


def test_the_token_opens_the_page_and_leaves_the_address(
    own_page: Callable[..., LivePage], open_quietly: Callable[[str], Any]
) -> None:
    page = own_page(LABELS, host="0.0.0.0")
    port = page.url.partition("/?")[0].rpartition(":")[2]
    url = f"http://127.0.0.1:{port}/"
    for wrong in ("", "?token=", "?token=wrong"):
        tab = open_quietly(url + wrong)
        assert tab.answer.status == 401
        assert tab.get_by_role("heading", name="This page needs a token").is_visible()
        assert (
            tab.evaluate(f"""() => new Promise((resolve) => {{
          const socket = new WebSocket("ws://127.0.0.1:{port}/live");
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        }})""")
            == "refused"
        )
    tab = open_quietly(url + "?" + page.url.partition("?")[2])
    tab.wait_for_function(LIVE)
    assert tab.url == url
    assert tab.evaluate("document.cookie") == ""
    # The cookie opens it again.
    again = open_quietly(url)
    again.wait_for_function(LIVE)
    assert page.info()["viewers"] == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_foreign_site_gets_nothing(
    host: str, foreign_site: str, own_page: Callable[..., LivePage], open_quietly: Callable[[str], Any]
) -> None:
    page = own_page(LABELS, host=host)
    path = page.url.rpartition("/")[2]
    url = page.url.removesuffix(path).replace(page.url.split("/")[2].rpartition(":")[0], "127.0.0.1")
    # The person watches the page in the same browser, and has its cookie.
    open_quietly(url + path).wait_for_function(LIVE)
    foreign = open_quietly(foreign_site)
    assert foreign.evaluate(ATTACK, url) == []
    assert page.info()["viewers"] == 1
    # Nor can it put a frame around the page.
    foreign.evaluate(
        """url => new Promise((resolve) => {
      const frame = document.createElement("iframe");
      frame.onload = resolve;
      frame.src = url;
      document.body.append(frame);
    })""",
        url,
    )
    assert foreign.frames[1].url.startswith("chrome-error://")
    assert page.info()["viewers"] == 1


def test_the_same_attack_works_from_the_page_itself(
    own_page: Callable[..., LivePage], open_quietly: Callable[[str], Any]
) -> None:
    page = own_page(LABELS)
    tab = open_quietly(page.url)
    assert sorted(tab.evaluate(ATTACK, page.url)) == ["WebSocket", "fetch", "img", "script"]


def test_a_foreign_name_that_points_here_gets_nothing(
    own_page: Callable[..., LivePage], open_quietly: Callable[[str], Any]
) -> None:
    for host in ("127.0.0.1", "0.0.0.0"):
        page = own_page(LABELS, host=host)
        port = page.url.split("/")[2].rpartition(":")[2]
        tab = open_quietly(f"http://attacker.example:{port}/")
        assert tab.answer.status == 421
        assert (
            tab.evaluate(f"""() => new Promise((resolve) => {{
          const socket = new WebSocket("ws://attacker.example:{port}/live");
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        }})""")
            == "refused"
        )
        assert page.info()["viewers"] == 0
