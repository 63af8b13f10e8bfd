"""Opens streams of events that nobody reads: HOST CA TOKEN COUNT; ends when its input does."""
import socket
import ssl
import sys

host, ca, token, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=ca)
streams = []
for _ in range(count):
    plain = socket.create_connection((host, 443))
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream = context.wrap_socket(plain, server_hostname=host)
    stream.sendall(
        f"GET /messages/events?api-version=2021-04-12&from=latest HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n".encode())
    assert stream.recv(12) == b"HTTP/1.1 200"
    streams.append(stream)
print("open", flush=True)
sys.stdin.read()
