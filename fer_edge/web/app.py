"""The ASGI application: the page, its files, the WebSocket, and the checks in front of them."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_edge.web.access import SECURITY_HEADERS, Access
from fer_edge.web.viewers import Viewers

STATIC = Path(__file__).parent / "static"


def app_from(viewers: Viewers, access: Access, port: int) -> ASGIApp:
    """Returns the application."""
    # A browser keeps one set of cookies for all ports of a host.
    cookie = f"fer_edge_token_{port}"

    def page(request: Request) -> Response:
        token = request.query_params.get("token")
        if token is None:
            return FileResponse(STATIC / "index.html")
        answer = RedirectResponse("/", 303)  # the token leaves the address bar and the history
        # Not strict: a link in a message must open the page. It cannot be embedded, and changes nothing.
        answer.set_cookie(cookie, token, httponly=True, samesite="lax")
        return answer

    app = Starlette(
        routes=[
            Route("/", page),
            Mount("/static", StaticFiles(directory=STATIC)),
            WebSocketRoute("/live", viewers.serve),
        ]
    )
    return _Gate(app, access, cookie)


class _Gate:
    """Refuses a request, or passes it on; adds the security headers to each answer."""

    def __init__(self, app: ASGIApp, access: Access, cookie: str) -> None:
        self._app, self._access, self._cookie = app, access, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(HTTPConnection(scope))
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            # Before it is accepted, the server answers 403.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, _with_headers(send))

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        headers, is_websocket = connection.headers, connection.scope["type"] == "websocket"
        if len(headers.getlist("host")) != 1 or not self._access.allows_host(headers["host"]):
            return PlainTextResponse("The Host of the request is not a name of this machine.\n", 421)
        if not self._access.allows_origin(headers, is_websocket=is_websocket):
            return PlainTextResponse("The page is not open to other sites.\n", 403)
        path = connection.scope["path"]
        # The files are those of the package, and no secret.
        if path.startswith("/static/"):
            return None
        token = connection.query_params.get("token") if path == "/" else None
        if self._access.allows_token(connection.cookies.get(self._cookie) if token is None else token):
            return None
        return FileResponse(STATIC / "token.html", 401)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(SECURITY_HEADERS)
            # Files are compared by their ETag each time, so that an update is seen; the page has the cookie.
            headers.setdefault("cache-control", "no-cache")
        await send(message)

    return send_with_headers
