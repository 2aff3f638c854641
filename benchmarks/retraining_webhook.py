"""The webhook of the simulated year: keeps each message that it is sent as a line of a file.

python retraining_webhook.py PORT FILE
"""

import http.server
import json
import sys
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes what Slack's incoming webhooks take."""

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with Path(sys.argv[2]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(message["text"]) + "\n")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Says nothing on the terminal."""


if __name__ == "__main__":
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
