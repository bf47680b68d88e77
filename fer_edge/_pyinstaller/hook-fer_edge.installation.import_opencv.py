"""OpenCV, which fer_edge imports by name; its own hook adds its shared libraries."""

hiddenimports = ["cv2"]
