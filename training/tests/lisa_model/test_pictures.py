"""Image inputs of LISA against its two preprocessors."""

import numpy as np
import pytest
from lisa_reference import Reference
from PIL import Image
from transformers import CLIPImageProcessorPil

from lisa.vision_tower import clip_image
from segue_training.bundle.picture import ImageInput

SIZES = [(60, 96), (90, 50), (28, 28), (7, 300), (333, 71), (29, 43), (500, 375)]


@pytest.fixture(scope="module")
def reference(source):
    return Reference(source.folder, source.clip_folder)


def picture(size):
    return Image.fromarray(np.random.default_rng(sum(size)).integers(0, 256, (*size, 3), np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_sam_input(reference, size):
    image = ImageInput(96, fill=None, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    pixels, resized, original = image.prepare(picture(size))
    expected, inside = reference.sam_pixels(picture(size))
    assert np.abs(pixels - expected.numpy()).max() <= 1e-5
    assert (tuple(resized), tuple(original)) == (inside, size)
    assert (pixels[0, :, inside[0] :] == 0).all(), "padding is 0 after normalising"


@pytest.mark.parametrize("size", SIZES)
def test_clip_input(reference, source, size):
    pixels, _, _ = clip_image(source.clip_folder).prepare(picture(size))
    assert np.abs(pixels - reference.clip_pixels(picture(size)).numpy()).max() <= 1e-5


@pytest.mark.parametrize("size", SIZES)
def test_clip_input_is_the_library_processors(source, size):
    """Within 1/255 of a pixel's range, as other libraries' bicubic filters allow."""
    processor = CLIPImageProcessorPil.from_pretrained(source.clip_folder)
    expected = processor(picture(size), return_tensors="np")["pixel_values"]
    spec = clip_image(source.clip_folder)
    scale = np.array(spec.std, np.float32)[None, :, None, None]
    assert np.abs((spec.prepare(picture(size))[0] - expected) * scale).max() <= 1 / 255


def test_the_long_side_is_rounded_down(source):
    assert clip_image(source.clip_folder).fit(480, 640) == (28, 37)
    assert ImageInput(28, crop=True).fit(480, 640) == (28, 37)
    assert clip_image(source.clip_folder).fit(480, 650) == (28, 37)
    assert ImageInput(28, crop=True).fit(480, 650) == (28, 38)


def test_other_preprocessing_is_refused(source, tmp_path):
    text = (source.clip_folder / "preprocessor_config.json").read_text()
    for old, new in [
        ('"do_center_crop": true', '"do_center_crop": false'),
        ('"resample": 3', '"resample": 2'),
        ('"size": 28', '"size": 30'),
    ]:
        (tmp_path / "preprocessor_config.json").write_text(text.replace(old, new))
        with pytest.raises(ValueError, match="other steps"):
            clip_image(tmp_path)


def test_an_entry_of_a_manifest_is_read_back():
    for image in (
        ImageInput(64),
        ImageInput(96, fill=None),
        ImageInput(28, filter="bicubic", crop=True, rounding="down", fill=None),
    ):
        assert ImageInput.from_manifest(image.as_manifest()) == image
    with pytest.raises(ValueError, match="square"):
        ImageInput.from_manifest({**ImageInput(64).as_manifest(), "centreCrop": [8, 8]})
