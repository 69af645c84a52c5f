"""A browser without a script, for tests of pages over plain HTTP."""

from __future__ import annotations

import re

import httpx

from tests.front.served import PASSWORD, Served


class Browser:
    """A browser without a script: keeps cookies, follows redirects by itself, fills in form tokens."""

    def __init__(self, served: Served) -> None:
        self.http = served.http("")
        self.last: httpx.Response | None = None

    def get(self, path: str) -> httpx.Response:
        self.last = self.http.get(path, headers={"Sec-Fetch-Site": "same-origin"})
        return self.last

    def token(self) -> str:
        assert self.last is not None
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.last.text)
        assert found, self.last.text[:500]
        return found[1]

    def post(self, path: str, **form: object) -> httpx.Response:
        headers = {"Sec-Fetch-Site": "same-origin"}
        answer = self.http.post(path, data={"csrf": self.token(), **form}, headers=headers)
        if answer.status_code == 200 or answer.status_code == 422:
            self.last = answer
        return answer

    def sign_in(self) -> None:
        self.get("/login")
        assert self.post("/login", name="mara", password=PASSWORD, next="/").status_code == 303
        self.get("/")
