"""A window with the annotated picture, where OpenCV has a window system."""

import os
import sys
import time
from collections.abc import Callable

from fer_edge.arrays import U8
from fer_edge.cli.pace import Pace
from fer_edge.installation.import_opencv import opencv

ESCAPE, QUIT = 27, ord("q")
# A window begins with the size of the picture, up to that of a small screen; the user may change it.
MAX_WIDTH_PX, MAX_HEIGHT_PX = 1280, 720


class Window:
    """Shows pictures until the user presses q or Escape, or closes it.

    Args:
        title: of the window.
        paced: pictures are shown at their times; False: at once, as for a live source.
        clock: returns seconds.

    Raises:
        ImportError: the installed OpenCV has no windows.
        OSError: there is no display.
    """

    def __init__(self, title: str, *, paced: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._cv2, self._title = opencv(), title
        self._pace = Pace(paced=paced, clock=clock)
        self._is_sized = False
        try:
            # Before the display is checked: the build is what the user can change.
            self._cv2.destroyAllWindows()
        except self._cv2.error as error:
            raise ImportError(
                f"--window needs an OpenCV with windows, and the installed one ({self._cv2.__version__}) is "
                "headless; use --out VIDEO, or pip uninstall opencv-python-headless and "
                "pip install opencv-python"
            ) from error
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            # Some window systems end the process instead of raising.
            raise OSError("--window needs a display, and DISPLAY is not set; use --out VIDEO")
        cv2 = self._cv2
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)

    def show(self, picture: U8, time: float) -> bool:
        """Shows a picture uint8 [H, W, 3] BGR of a time in seconds; returns False if the user ends it."""
        if not self._is_sized:
            self._resize(picture.shape[1], picture.shape[0])
            self._is_sized = True
        self._cv2.imshow(self._title, picture)
        early_ms = round(1e3 * self._pace.early(time))
        # Without at least one millisecond, the window is not drawn.
        if self._cv2.waitKey(max(1, early_ms)) & 0xFF in (ESCAPE, QUIT):
            return False
        return bool(self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) >= 1)

    def _resize(self, width: int, height: int) -> None:
        scale = min(1.0, MAX_WIDTH_PX / width, MAX_HEIGHT_PX / height)
        self._cv2.resizeWindow(self._title, round(width * scale), round(height * scale))

    def close(self) -> None:
        """Closes the window."""
        self._cv2.destroyAllWindows()

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
