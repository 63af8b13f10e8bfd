"""An EST server (RFC 7030) for tests: signs what it is asked for with a CA in files, by means of openssl.

est_server.py PORT FOLDER: FOLDER has server.pem and server.key (TLS), ca.pem and ca.key (which sign, and must have signed clients'
certificates), and gets a line in `requests` for each request. A client shows the password edge:secret or a certificate of the CA."""
import base64
import http.server
import os
import ssl
import subprocess
import sys
import threading

port, folder = int(sys.argv[1]), sys.argv[2]


def at(name):
    return os.path.join(folder, name)


def openssl(*arguments, given=b""):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


def bag(*files):
    names = [part for name in files for part in ("-certfile", at(name))]
    return base64.encodebytes(openssl("crl2pkcs7", "-nocrl", *names, "-outform", "DER"))


signing = threading.Lock()


def sign(request):
    pem = openssl("req", "-inform", "DER", "-verify", "-outform", "PEM", given=request)
    ca = b"CA:TRUE" in openssl("req", "-text", "-noout", given=pem)
    with open(at("extensions"), "w") as file:
        file.write("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,digitalSignature,keyCertSign\n" if ca
                   else "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n")
    with open(at("issued.pem"), "wb") as file:
        file.write(openssl("x509", "-req", "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "1",
                           "-extfile", at("extensions"), given=pem))
    return bag("issued.pem")


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        certificate = self.connection.getpeercert()
        with open(at("requests"), "a") as file:
            file.write(f"{self.command} {self.path} {status} {'certificate' if certificate else 'no certificate'}\n")
        self.send_response(status)
        self.send_header("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
        self.send_header("Content-Transfer-Encoding", "base64")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_known(self):
        password = "Basic " + base64.b64encode(b"edge:secret").decode()
        return self.connection.getpeercert() or self.headers.get("Authorization") == password

    def do_GET(self):
        self.answer(200, bag("ca.pem")) if self.path == "/.well-known/est/cacerts" else self.answer(404)

    def do_POST(self):
        request = base64.b64decode(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.is_known():
            self.answer(401)
        elif self.path in ("/.well-known/est/simpleenroll", "/.well-known/est/simplereenroll"):
            with signing:
                self.answer(200, sign(request))
        else:
            self.answer(404)

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(at("server.pem"), at("server.key"))
context.load_verify_locations(at("ca.pem"))
context.verify_mode = ssl.CERT_OPTIONAL
server = http.server.ThreadingHTTPServer(("127.0.0.24", port), Server)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
