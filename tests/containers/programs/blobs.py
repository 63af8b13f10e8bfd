"""A blob store as the agent needs one: PUT of a block blob with a signature in the query writes a file below FOLDER. blobs.py PORT FOLDER"""

import http.server
import os
import sys
import urllib.parse

port, folder = int(sys.argv[1]), sys.argv[2]


class Blobs(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        allowed = self.headers["x-ms-blob-type"] == "BlockBlob" and "sig=secret" in url.query
        if allowed:
            path = folder + urllib.parse.unquote(url.path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(body)
        self.send_response(201 if allowed else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", port), Blobs).serve_forever()
