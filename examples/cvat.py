"""What CVAT's automatic annotation gets: pip install 'clients/python[cvat]'"""

from types import SimpleNamespace

from cvat_sdk.masks import decode_mask
from PIL import Image
from segue_client.cvat import create

photo = Image.open("examples/coffee.jpg")
function = create("cup,spoon")  # of the service at SEGUE_URL
names = {label.id: label.name for label in function.spec.labels}
for polygons in (False, True):
    context = SimpleNamespace(frame_name="coffee.jpg", conf_threshold=0.1, conv_mask_to_poly=polygons)
    for shape in function.detect(context, photo):
        size = (
            f"{len(shape.points) // 2} points"
            if polygons
            else f"{decode_mask(shape.points, image_width=photo.width, image_height=photo.height).sum()} pixels"
        )
        print(names[shape.label_id], shape.type, size)
