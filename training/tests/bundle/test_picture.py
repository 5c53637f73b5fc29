import numpy as np
from PIL import Image

from segue_training.bundle.picture import ImageInput

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def test_pixels_that_nothing_changes_are_bytes():
    pixels, _, _ = ImageInput(32).prepare(NOISE)
    shifted, _, _ = ImageInput(32, mean=(1.0, 1.0, 1.0)).prepare(NOISE)
    assert (pixels.dtype, shifted.dtype) == (np.uint8, np.float32)
    assert (pixels == shifted + 1).all()
