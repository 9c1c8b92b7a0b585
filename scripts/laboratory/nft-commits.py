# Prints a line each time that iptables-nft-restore has changed this network namespace's rules, as the kernel announces it
# to `nft monitor`, which itself reads all rules first, and that takes minutes when there are many.
import socket
import struct
import sys

NETLINK_NETFILTER = 12
NFNLGRP_NFTABLES = 7
NEWGEN = (10 << 8) | 15
SO_RCVBUFFORCE = 33

sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
sock.bind((0, 1 << (NFNLGRP_NFTABLES - 1)))
print("ready", flush=True)
while True:
    try:
        data = sock.recv(1 << 20)
    except OSError as error:
        print("lost", error, file=sys.stderr, flush=True)
        continue
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if kind == NEWGEN and b"tables-nft-re" in data[at : at + length]:
            print("commit", flush=True)
        at += (length + 3) & ~3
