"""Sends first packets of connections and reports which were refused with ICMP port unreachable.

usage: packet-agent.py INTERFACE SOURCE_MAC DESTINATION_MAC | packet-agent.py raw
Each line of input is a JSON list of [protocol, source, source port, destination, destination port]; each line of output
the JSON list of source ports whose packets were refused. With `raw ADDRESS... -- PORT...` packets go the way of the
namespace's own, and UDP and TCP are served on these addresses and ports, so that what gets there is answered.
"""
import errno, ipaddress, json, select, selectors, socket, struct, sys, threading, time

NUMBERS = {'tcp': 6, 'udp': 17, 'sctp': 132}


def checksum(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def serve(addresses, ports):
    """Answers UDP with what it was sent; TCP as far as the kernel does by itself."""
    ready = selectors.DefaultSelector()
    for address in addresses:
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        for port in ports:
            udp = socket.socket(family, socket.SOCK_DGRAM)
            # The address may come later: IP_FREEBIND, IPV6_FREEBIND.
            free = (socket.IPPROTO_IPV6, 78) if ':' in address else (socket.IPPROTO_IP, 15)
            udp.setsockopt(*free, 1)
            udp.bind((address, port))
            ready.register(udp, selectors.EVENT_READ)
            tcp = socket.socket(family, socket.SOCK_STREAM)
            tcp.setsockopt(*free, 1)
            tcp.bind((address, port))
            tcp.listen(4096)
            KEPT.append(tcp)

    def loop():
        while True:
            for key, _ in ready.select():
                data, client = key.fileobj.recvfrom(2048)
                try:
                    key.fileobj.sendto(data, client)
                except OSError:
                    pass

    threading.Thread(target=loop, daemon=True).start()


KEPT = []


def build(protocol, source, sport, destination, dport):
    src, dst = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    number = (1 if src.version == 4 else 58) if protocol == 'icmp' else NUMBERS[protocol]
    if protocol == 'tcp':
        body = struct.pack('!HHIIBBHHH', sport, dport, 1, 0, 5 << 4, 2, 1024, 0, 0)
        at = 16
    elif protocol == 'udp':
        body = struct.pack('!HHHH', sport, dport, 12, 0) + b'ping'
        at = 6
    elif protocol == 'sctp':
        body = struct.pack('!HHII', sport, dport, 0, 0) + struct.pack('!BBHIIHHI', 1, 0, 20, 7, 65535, 1, 1, 1)
        body = body[:8] + struct.pack('<I', crc32c(body)) + body[12:]
        at = None
    else:
        body = struct.pack('!BBHHH', 8 if src.version == 4 else 128, 0, 0, sport, 1) + b'ping'
        at = 2
    if at is not None:
        pseudo = src.packed + dst.packed + struct.pack('!II', len(body), number)
        if protocol == 'icmp' and src.version == 4:
            pseudo = b''
        body = body[:at] + struct.pack('!H', checksum(pseudo + body) or 0xFFFF) + body[at + 2:]
    if src.version == 6:
        return struct.pack('!IHBB', 6 << 28, len(body), number, 64) + src.packed + dst.packed + body
    head = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(body), 1, 0, 64, number, 0) + src.packed + dst.packed
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + body


def refused_port(frame):
    """The source port that an ICMP port unreachable quotes."""
    kind = struct.unpack('!H', frame[12:14])[0]
    packet = frame[14:]
    if kind == 0x0800 and packet[9] == 1:
        icmp = packet[(packet[0] & 15) * 4:]
        if icmp[:2] == b'\x03\x03':
            quoted = icmp[8:]
            rest = quoted[(quoted[0] & 15) * 4:]
            return struct.unpack('!H', rest[4:6] if quoted[9] == 1 else rest[:2])[0]
    if kind == 0x86DD and packet[6] == 58:
        icmp = packet[40:]
        if icmp[:2] == b'\x01\x04':
            quoted = icmp[8:]
            rest = quoted[40:]
            return struct.unpack('!H', rest[4:6] if quoted[6] == 58 else rest[:2])[0]
    return None


def main():
    raw = sys.argv[1] == 'raw'
    capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    capture.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    capture.bind(('lo' if raw else sys.argv[1], 0))
    capture.setblocking(False)
    if raw:
        out4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        out6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        split = sys.argv.index('--')
        serve(sys.argv[2:split], [int(port) for port in sys.argv[split + 1:]])
    else:
        head = bytes.fromhex(sys.argv[3].replace(':', '')) + bytes.fromhex(sys.argv[2].replace(':', ''))
    print('ready', flush=True)
    for line in sys.stdin:
        refused = set()
        packets = json.loads(line)

        def hear():
            while True:
                try:
                    frame = capture.recv(65536)
                except BlockingIOError:
                    return
                port = refused_port(frame)
                if port is not None:
                    refused.add(port)

        for at, (protocol, source, sport, destination, dport) in enumerate(packets):
            data = build(protocol, source, sport, destination, dport)
            six = ':' in source
            try:
                if not raw:
                    capture.send(head + (b'\x86\xdd' if six else b'\x08\x00') + data)
                elif six:
                    out6.sendto(data, (destination, 0))
                else:
                    out4.sendto(data, (destination, 0))
            except OSError as error:
                # What a filter drops on the way out, and what has no way.
                if error.errno not in (errno.EPERM, errno.EINVAL, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES):
                    raise
            if at % 50 == 49:
                hear()
        quiet = time.monotonic() + 0.1
        while time.monotonic() < quiet:
            if select.select([capture], [], [], 0.05)[0]:
                hear()
                quiet = max(quiet, time.monotonic() + 0.05)
        print(json.dumps(sorted(refused)), flush=True)


main()
