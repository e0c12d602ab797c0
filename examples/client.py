#!/usr/bin/env python3
"""A client: streams a turn, runs the tools that the model calls, and resumes a stream that breaks off.

    examples/client.py http://127.0.0.1:8001 session-1 "read_file README.md"
"""
import http.client, json, os, sys, time, urllib.error, urllib.request, uuid

SERVER, SESSION, TEXT = sys.argv[1:4]
HEADERS = {"Content-Type": "application/json", "X-Internal-Auth": os.environ.get("AGENT_RUNTIME__INTERNAL_API_KEY", "")}
TOOLS = {"read_file": lambda path: open(path, encoding="utf-8").read(200), "echo": lambda text: text}


def events(request):
    """Yields the id and the data of each event of a response."""
    with urllib.request.urlopen(request, timeout=60) as response:
        event_id = ""
        for line in response:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                event_id = value
            elif name == "data":
                yield event_id, json.loads(value)


def send(message):
    """Sends a message until its stream is complete; returns the tool calls and the last event."""
    body = json.dumps({"session_id": SESSION, "message": message}).encode()
    headers = HEADERS | {"Idempotency-Key": str(uuid.uuid4())}  # the same key for every attempt: the message is stored once
    calls = []
    while True:
        try:
            for event_id, data in events(urllib.request.Request(SERVER + "/agent/message/stream", body, headers)):
                if "status" in data:
                    return calls, data
                if data["type"] == "restart":  # another replica generates the text again
                    calls = []
                    print(f"\n[restart: {data['reason']}]")
                elif data["type"] == "tool_call":
                    calls.append(data)
                elif data["type"] == "error":
                    print(f"\n[{data['code']}: {data['error']}]", file=sys.stderr)
                print(data.get("token", ""), end="", flush=True)
                headers["Last-Event-ID"] = event_id or headers.get("Last-Event-ID", "")
        except urllib.error.HTTPError as error:
            if error.code not in (502, 503, 504):
                sys.exit(f"{error.code} {error.read().decode()}")
        except (OSError, http.client.HTTPException):
            pass  # the connection broke: resume after the last event
        time.sleep(0.2)


calls, done = send({"content": TEXT})
while done["status"] == "waiting":
    for call in calls:
        try:
            result = {"result": TOOLS[call["tool_name"]](**call["arguments"])}
        except Exception as error:
            result = {"error": str(error)}
        print(f"[{call['tool_name']} {call['arguments']}]")
        next_calls, done = send({"type": "tool_result", "call_id": call["call_id"], **result})
    calls = next_calls
print()
sys.exit(0 if done["status"] == "completed" else 1)
