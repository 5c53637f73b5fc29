"""Connects a running Label Studio to Segue and lets it fetch predictions: run by label-studio's own python, or pip install label-studio-sdk"""

import os
import sys
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


def shown(region: dict) -> str:
    pixels = np.reshape(decode_rle(region["value"]["rle"]), (region["original_height"], region["original_width"], 4))[:, :, 3]
    return f"{region['value']['brushlabels']} {int((pixels > 0).sum())} pixels, score {region['score']:.2f}"


studio = httpx.Client(
    base_url=os.environ["SEGUE_LABEL_STUDIO_URL"],
    headers={"authorization": f"Token {os.environ['SEGUE_LABEL_STUDIO_TOKEN']}"},
    timeout=120,
)


def call(method: str, path: str, **content: object) -> object:
    response = studio.request(method, path, **content)
    if response.is_error:
        sys.exit(f"{method} {path}: {response.status_code} {response.text[:500]}")
    return response.json()


project = call("POST", "/api/projects", json={"title": "Segue", "label_config": CONFIG})["id"]
photo = ("coffee.jpg", Path("examples/coffee.jpg").read_bytes())
call("POST", f"/api/projects/{project}/import", files={"file": photo})
task = call("GET", f"/api/tasks?project={project}")["tasks"][0]

segue = os.environ.get("SEGUE_URL", "http://localhost:8080") + "/label-studio"
backend = call("POST", "/api/ml", json={"project": project, "url": segue, "title": "Segue", "is_interactive": True})
print("connected:", backend["state"], backend["model_version"])

# What the labelling page does when somebody takes the label "spoon" in hand and clicks.
region = {"type": "keypointlabels", "value": {"keypointlabels": ["spoon"], "x": 60, "y": 60}}
given = call("POST", f"/api/ml/{backend['id']}/interactive-annotating", json={"task": task["id"], "context": {"result": [region]}})
print("interactive:", *map(shown, given["data"]["result"]))

# "Retrieve predictions" in the list of tasks: they are stored with the task, and shown to who opens it.
call("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", json={"selectedItems": {"all": True}})
for prediction in call("GET", f"/api/predictions?task={task['id']}"):
    print("stored:", prediction["model_version"], *map(shown, prediction["result"]), sep="\n  ")
