"""A server of files on loopback, as a chart repository is one."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading
from pathlib import Path


class Server:
    """Serves a directory on loopback; `seen` collects the user names of those who asked with a password."""

    def __init__(self, root: Path, *, context: ssl.SSLContext | None = None, password: str = "") -> None:
        seen = self.seen = list[str]()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(root))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
                seen.extend([given] if given else [])
                if password and given != password:
                    self.send_error(401)
                else:
                    super().do_GET()

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
