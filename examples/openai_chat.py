"""Asks with OpenAI's client: pip install openai"""

import base64
import os
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("SEGUE_URL", "http://localhost:8080") + "/v1", api_key="none")
photo = base64.b64encode(Path("examples/coffee.jpg").read_bytes()).decode()
stream = client.chat.completions.create(
    model=next(iter(client.models.list())).id,
    messages=[
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Where could I pour a drink?"},
                {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{photo}"}},
            ],
        }
    ],
    stream=True,
    stream_options={"include_usage": True},
)
masks = []
usage = None
for chunk in stream:
    usage = chunk.usage
    for choice in chunk.choices:
        print(choice.delta.content or "", end="")
        masks += (choice.delta.model_extra or {}).get("segments", [])
print()
for segment in masks:
    print(f"{segment['phrase']}: {segment['area']} pixels, {len(segment['mask']['counts'])} bytes of run lengths")
print(f"{usage.prompt_tokens} tokens read, {usage.completion_tokens} written, {usage.total_tokens} in all")
