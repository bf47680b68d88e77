"""NumPy array types, for annotations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
# What users have for a frame or crop, such as the results of cv2.imread and VideoCapture.read, whose
# annotations leave the dtype open. It is checked when it arrives.
Picture = NDArray[Any]
