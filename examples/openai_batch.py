"""Asks many questions in one file: pip install openai"""

import base64
import io
import json
import os
import time
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("SEGUE_URL", "http://localhost:8080") + "/v1", api_key="none")
questions = {
    "cup": ("examples/coffee.jpg", "Where could I pour a drink?"),
    "cat": ("examples/cat.jpg", "Which animal catches mice?"),
}
lines = []
for custom_id, (photo, question) in questions.items():
    url = f"data:image/jpeg;base64,{base64.b64encode(Path(photo).read_bytes()).decode()}"
    parts = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "segue-smol", "messages": [{"role": "user", "content": parts}]}
    lines.append(json.dumps({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}))

file = client.files.create(file=io.BytesIO("\n".join(lines).encode()), purpose="batch")
batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
while batch.status == "in_progress":
    time.sleep(0.5)
    batch = client.batches.retrieve(batch.id)

print(batch.status, batch.request_counts.completed, "of", batch.request_counts.total)
results = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
for result in sorted(results, key=lambda result: result["custom_id"]):
    message = result["response"]["body"]["choices"][0]["message"]
    print(result["custom_id"], message["content"], [segment["area"] for segment in message["segments"]])
