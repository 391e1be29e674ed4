# Why: drives the Python library `websockets` for test/foreign: commands come as JSON lines on stdin, what happens goes out
# as JSON lines. It must never interpret a frame.
import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

sockets = {}
tasks = set()


def say(event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


async def open_socket(command):
    id = command["id"]
    try:
        socket = await connect(
            command["url"],
            subprotocols=command["protocols"] or None,
            additional_headers=command["headers"],
            compression="deflate" if command["deflate"] else None,
            max_size=None,
            proxy=None,
        )
    except InvalidStatus as refused:
        say({"id": id, "event": "refused", "status": refused.response.status_code})
        return
    except (InvalidHandshake, OSError) as error:
        say({"id": id, "event": "error", "message": str(error)})
        return
    sockets[id] = socket
    extensions = socket.response.headers.get("Sec-WebSocket-Extensions", "")
    say({"id": id, "event": "open", "protocol": socket.subprotocol or "", "extensions": extensions})
    try:
        async for message in socket:
            binary = isinstance(message, bytes)
            say({"id": id, "event": "message", "text": message.decode() if binary else message, "isBinary": binary})
    except ConnectionClosed:
        pass  # told below, with its code
    say({"id": id, "event": "close", "code": socket.close_code, "reason": socket.close_reason or ""})


async def ping(socket, id):
    await (await socket.ping("are you there"))
    say({"id": id, "event": "pong"})


async def perform(command):
    kind, id = command["do"], command["id"]
    if kind == "open":
        await open_socket(command)
    elif kind == "text":
        await sockets[id].send(command["text"])
    elif kind == "binary":
        await sockets[id].send(command["text"].encode())
    elif kind == "ping":
        await ping(sockets[id], id)
    elif kind == "close":
        await sockets[id].close(command["code"], command["reason"])


async def main():
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        if command["do"] in ("open", "close", "ping"):
            task = asyncio.create_task(perform(command))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            await perform(command)


asyncio.run(main())
