"""The live page of a stream for browsers (extra `web`)."""

from fer_edge.installation.repair_commands import install_extra

try:
    from fer_edge.web.live_page import LivePage
except ImportError as error:
    raise ImportError(
        f"the live page needs starlette, uvicorn and websockets ({error}); {install_extra('web')}"
    ) from error

__all__ = ["LivePage"]
