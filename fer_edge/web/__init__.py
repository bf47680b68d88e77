"""The live page of a stream for browsers (extra `web`)."""

try:
    from fer_edge.web.live_page import LivePage
except ImportError as error:
    raise ImportError(
        f"the live page needs starlette, uvicorn and websockets ({error}); pip install 'fer_edge[web]'"
    ) from error

__all__ = ["LivePage"]
