"""One process in each network namespace of the traffic laboratory: serves and connects as it is told.

Requests come as lines of JSON on standard input, each with an `id`; answers go out as lines with the same `id`, in any
order. The namespace lives as long as this process, and this process as long as its standard input.

A server answers with one line: its name, the address and the port that it sees the client at. A question that begins
with `echo BYTES` gets what follows that line back, too.
"""
import errno
import json
import random
import socket
import struct
import subprocess
import sys
import threading
import time

NAME = sys.argv[1]
REFUSALS = {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout"}
KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, getattr(socket, "IPPROTO_SCTP", 132)),
}
LARGEST = 65536
output = threading.Lock()
listeners = {}
streams = {}
runs = {}


def answer(request, **fields):
    with output:
        sys.stdout.write(json.dumps({"id": request["id"], **fields}) + "\n")
        sys.stdout.flush()


def family_of(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def seen_client(address):
    """The address that a dual-stack socket saw, without the form that IPv4 takes in it."""
    return f"{address[0].removeprefix('::ffff:')} {address[1]}"


def open_socket(protocol, family):
    made = socket.socket(family, *KINDS[protocol])
    if protocol == "sctp":
        # Without these, Linux' SCTP keeps an ICMP refusal to itself until all its attempts to connect have failed.
        made.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_RECVERR", 11), 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, getattr(socket, "IPV6_RECVERR", 25), 1)
    return made


# --- programs


def run_programs(request):
    """One after the other, in this namespace; less costly than to enter it for each from outside."""
    for program in request["programs"]:
        done = subprocess.run(program["argv"], input=program["stdin"].encode(), capture_output=True, check=False)
        said = done.stderr.decode(errors="replace").strip()
        if said != program["says"] and (done.returncode != 0 or said):
            raise RuntimeError(f"{' '.join(program['argv'])} exited with {done.returncode}: {said}")
    answer(request)


# --- servers


def listen(request):
    protocol, port = request["protocol"], request["port"]
    server = open_socket(protocol, socket.AF_INET6)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if protocol == "udp":
        # The answer must leave from the address that was asked, also where a node has several.
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        server.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_PKTINFO", 8), 1)
    server.bind(("::", port))
    if protocol != "udp":
        server.listen(128)
    listeners[(protocol, port)] = server
    serve = serve_datagrams if protocol == "udp" else serve_streams
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    answer(request)


def unlisten(request):
    server = listeners.pop((request["protocol"], request["port"]), None)
    if server is not None:
        try:
            server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        server.close()
    answer(request)


def serve_streams(server):
    while True:
        try:
            connection, client = server.accept()
        except OSError:
            return
        threading.Thread(target=serve_one, args=(connection, client), daemon=True).start()


def serve_one(connection, client):
    """One line for each piece of text that arrives, until the client closes."""
    try:
        with connection:
            while text := connection.recv(LARGEST):
                echoed = rest_of(text, connection)
                connection.sendall(f"{NAME} {seen_client(client)}\n".encode() + echoed)
    except OSError:
        pass


def rest_of(text, connection=None):
    """What a question wants back; of a stream, all that is announced is waited for."""
    if not text.startswith(b"echo "):
        return b""
    head, _, rest = text.partition(b"\n")
    while connection is not None and len(rest) < int(head[5:]):
        more = connection.recv(LARGEST)
        if not more:
            break
        rest += more
    return rest


def serve_datagrams(server):
    while True:
        try:
            question, control, _, client = server.recvmsg(LARGEST, 256)
            text = f"{NAME} {seen_client(client)}\n".encode() + rest_of(question)
            server.sendmsg([text], [source_of(item) for item in control], 0, client)
        except OSError:
            if server.fileno() < 0:
                return


def source_of(item):
    """The packet information of a question, as that of its answer: from where, through any interface."""
    level, kind, content = item
    if level == socket.IPPROTO_IPV6:
        return level, kind, content[:16] + bytes(4)
    return level, kind, bytes(4) + content[4:8] + bytes(4)


# --- clients


def connect(request):
    """One question, one answer."""
    try:
        with dial(request) as client:
            answer(request, **(ask_large(client, request["echo"]) if "echo" in request else ask(client)))
    except OSError as error:
        answer(request, **failure(error))


def dial(request):
    to, protocol = request["to"], request["protocol"]
    client = open_socket(protocol, family_of(to))
    try:
        client.settimeout(request["timeoutMs"] / 1000)
        if request.get("resets"):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if "source" in request or "sourcePort" in request:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind((request.get("source", "::" if ":" in to else "0.0.0.0"), request.get("sourcePort", 0)))
        client.connect((to, request["port"]))
    except OSError:
        client.close()
        raise
    return client


def ask(client):
    try:
        client.send(b"who\n")
    except PermissionError:
        # A rule of this very host dropped or rejected the datagram; in the latter case the refusal arrives as well.
        pass
    text = client.recv(4096).decode()
    if text == "":
        return {"kind": "closed"}
    server, ip, port = text.split()
    return {"kind": "answer", "server": server, "client": ip, "clientPort": int(port)}


def ask_large(client, size):
    """Sends so many bytes, and counts those that come back as they were."""
    sent = random.randbytes(size)
    client.sendall(f"echo {size}\n".encode() + sent)
    text = client.recv(LARGEST)
    while client.type == socket.SOCK_STREAM and len(text.partition(b"\n")[2]) < size:
        more = client.recv(LARGEST)
        if not more:
            break
        text += more
    line, _, received = text.partition(b"\n")
    server, ip, port = line.decode().split()
    same = sum(one == other for one, other in zip(sent, received))
    return {"kind": "answer", "server": server, "client": ip, "clientPort": int(port), "echoed": same}


def failure(error):
    if isinstance(error, socket.timeout):
        return {"kind": "timeout"}
    kind = REFUSALS.get(error.errno)
    return {"kind": kind} if kind else {"kind": "error", "code": errno.errorcode.get(error.errno, str(error))}


def open_stream(request):
    """A connection that stays: asked again and again until it is closed."""
    try:
        streams[request["stream"]] = dial(request)
        answer(request, kind="open")
    except OSError as error:
        answer(request, **failure(error))


def ask_stream(request):
    client = streams[request["stream"]]
    client.settimeout(request["timeoutMs"] / 1000)
    try:
        answer(request, **ask(client))
    except OSError as error:
        answer(request, **failure(error))


def half_close_stream(request):
    """The client has said all it wants to say, and goes on listening."""
    streams[request["stream"]].shutdown(socket.SHUT_WR)
    answer(request)


def close_stream(request):
    streams.pop(request["stream"]).close()
    answer(request)


# --- clients that ask again and again


class Run:
    """Counts outcomes: by the server's name, or by what went wrong."""

    def __init__(self, request):
        self.request = request
        self.counts = {}
        self.asked = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.ask_often, daemon=True)
        self.thread.start()

    def ask_often(self):
        kept = None
        while not self.ended.is_set():
            started = time.monotonic()
            try:
                client = kept or dial(self.next_request())
                if self.request["keep"]:
                    kept = client
                    outcome = ask(client)
                else:
                    with client:
                        outcome = ask(client)
            except OSError as error:
                outcome = failure(error)
            self.count(outcome.get("server") or outcome.get("code") or outcome["kind"])
            self.ended.wait(max(0.0, self.request["everyMs"] / 1000 - (time.monotonic() - started)))
        if kept is not None:
            kept.close()

    def next_request(self):
        ports = self.request.get("sourcePorts")
        if not ports:
            return self.request
        self.asked += 1
        return {**self.request, "sourcePort": ports[self.asked % len(ports)]}

    def count(self, name):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self):
        with self.lock:
            taken, self.counts = self.counts, {}
            return taken


def start_run(request):
    runs[request["run"]] = Run(request)
    answer(request)


def read_run(request):
    """What was counted since the last time."""
    answer(request, counts=runs[request["run"]].take())


def end_run(request):
    run = runs.pop(request["run"])
    run.ended.set()
    run.thread.join()
    answer(request, counts=run.take())


ACTIONS = {
    "runPrograms": run_programs,
    "listen": listen,
    "unlisten": unlisten,
    "connect": connect,
    "open": open_stream,
    "ask": ask_stream,
    "halfClose": half_close_stream,
    "close": close_stream,
    "startRun": start_run,
    "readRun": read_run,
    "endRun": end_run,
}


def act(request):
    try:
        ACTIONS[request["do"]](request)
    except Exception as error:
        answer(request, failed=f"{type(error).__name__}: {error}")


def main():
    answer({"id": 0})
    for line in sys.stdin:
        threading.Thread(target=act, args=(json.loads(line),), daemon=True).start()


main()
