"""The bundle in one process behind FastAPI: POST / {"image": base64, "instruction": ...}. Requests run in FastAPI's threads."""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from stages import BUNDLE, Encoded, Lru, decode, encode, json, open_runtime, read_pictures, read_request, write

app = FastAPI()
runtime = open_runtime(set(json.loads((BUNDLE / "manifest.json").read_text())["graphs"]))
pictures: Lru[tuple[Encoded, object]] = Lru()


class Question(BaseModel):
    image: str
    instruction: str


@app.post("/")
def segment(question: Question) -> dict:
    key, jpeg, instruction = read_request(question.model_dump())
    found = pictures.find(key)
    if found is None:
        encoded = encode(runtime, jpeg)
        found = pictures.keep(key, (encoded, read_pictures(runtime, [encoded.visual])[0]))
    encoded, prefix = found
    [(text, states)] = write(runtime, [prefix], [instruction])
    return {"text": text, "segments": decode(runtime, encoded, text, states)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
