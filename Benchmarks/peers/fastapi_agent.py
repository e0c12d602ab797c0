"""A server with FastAPI, httpx and redis-py, as is usual in Python, for comparison.

It takes a message, streams the model's completion, and keeps the history in a Redis list. It has no
event log, no leases and no retries: it does less than agent-server."""

import json
import os

import httpx
import redis.asyncio as redis
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

app = FastAPI()
store = redis.from_url(os.environ["AGENT_RUNTIME__REDIS_URL"])
model = os.environ["AGENT_RUNTIME__LLM_PROXY_URL"] + "/v1/chat/completions"
limits = httpx.Limits(max_connections=None, max_keepalive_connections=1000)
client = httpx.AsyncClient(timeout=60, limits=limits)


@app.post("/agent/message/stream")
async def message_stream(request: Request):
    body = await request.json()
    session = body["session_id"]
    key = f"fastapi:{session}"
    await store.rpush(key, json.dumps({"role": "user", "content": body["message"]["content"]}))
    messages = [json.loads(message) for message in await store.lrange(key, 0, -1)]

    async def events():
        text = []
        request = {"model": "m", "stream": True, "messages": messages}
        async with client.stream("POST", model, json=request) as response:
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                chunk = json.loads(line[6:])
                token = chunk["choices"][0]["delta"].get("content") if chunk["choices"] else None
                if token:
                    text.append(token)
                    data = json.dumps({"type": "assistant_message", "token": token, "is_final": False})
                    yield f"event: message\ndata: {data}\n\n"
        content = "".join(text)
        length = await store.rpush(key, json.dumps({"role": "assistant", "content": content}))
        data = json.dumps({"type": "assistant_message", "content": content, "token": "", "is_final": True})
        yield f"event: message\ndata: {data}\n\n"
        data = json.dumps({"status": "completed", "session_id": session, "history_length": length})
        yield f"event: done\ndata: {data}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")
