"""Asks as Label Studio does, and reads the answer with its own converter: pip install label-studio-sdk"""

import base64
import os
from pathlib import Path

import httpx
import numpy as np
from label_studio_sdk.converter.brush import decode_rle

CONFIG = """
<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="tag" toName="image"><Label value="cup"/><Label value="spoon"/></BrushLabels>
</View>
"""
backend = os.environ.get("SEGUE_URL", "http://localhost:8080") + "/label-studio"
photo = base64.b64encode(Path("examples/coffee.jpg").read_bytes()).decode()
task = {"id": 1, "data": {"image": f"data:image/jpeg;base64,{photo}"}}

print(httpx.get(f"{backend}/health").json()["status"])
response = httpx.post(f"{backend}/predict", json={"tasks": [task], "label_config": CONFIG}, timeout=60)
for region in response.raise_for_status().json()["results"][0]["result"]:
    width, height = region["original_width"], region["original_height"]
    mask = np.reshape(decode_rle(region["value"]["rle"]), (height, width, 4))[:, :, 3]
    print(region["value"]["brushlabels"], mask.shape, int((mask > 0).sum()), "pixels")
