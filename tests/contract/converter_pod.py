"""A conversion webhook, as a pod runs it: `python converter_pod.py PORT CERTIFICATE KEY`. Standard library only.

It converts boxes: v1beta1 has `spec.size`, a number, and v1 has `spec.capacity.amount`, the same number. What an object
has in its label `convert` it does wrong: `refused`, `renamed`, `dropped`, `wrong-version`.
"""

import copy
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def converted(obj, version):
    made = copy.deepcopy(obj)
    made["apiVersion"] = version
    spec = made.setdefault("spec", {})
    if version.endswith("/v1"):
        if "size" in spec:
            spec["capacity"] = {"amount": spec.pop("size")}
    elif "capacity" in spec:
        spec["size"] = spec.pop("capacity")["amount"]
    made["metadata"].setdefault("annotations", {})["converted-to"] = version
    fault = made["metadata"].get("labels", {}).get("convert")
    if fault == "renamed":
        made["metadata"]["name"] += "-x"
    if fault == "wrong-version":
        made["apiVersion"] = "boxes.example.org/v7"
    return made


def answer(review):
    request = review["request"]
    objects = request["objects"]
    faults = {obj["metadata"].get("labels", {}).get("convert") for obj in objects}
    response = {"uid": request["uid"]}
    if "refused" in faults:
        response["result"] = {"status": "Failed", "message": "this box stays as it is"}
    else:
        response["result"] = {"status": "Success"}
        response["convertedObjects"] = [converted(obj, request["desiredAPIVersion"]) for obj in objects]
        if "dropped" in faults:
            response["convertedObjects"].pop()
    return {"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two would wait for each other

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send(200 if self.path.startswith("/convert") else 404, answer(review))

    def send(self, status, found):
        content = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def main():
    port, certificate, key = sys.argv[1:]
    server = ThreadingHTTPServer(("0.0.0.0", int(port)), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
