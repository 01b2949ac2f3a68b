"""What the viewer's address shows to a browser that is not known yet, and how it becomes known."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.gateway.looking import COOKIE, COOKIE_HOLDS_S, Looking

FIELD = "key"
WRONG = "This key is not known here."
BY_KEY = ('<form method="post"><label>Key <input type="password" name="key" required autofocus '
          'autocomplete="current-password"></label><button>Open the viewer</button></form>'
          "<p>The key that you have for this site, for looking or for acting. This browser then "
          "looks for 12 hours; it cannot act.</p>")
BY_PAGES = ('<p><a href="../">Sign in on the pages of this site</a>, then open this address '
            "again.</p>")
BY_NOBODY = ("<p>Nobody can look here by a browser yet. Whoever runs this site names a key: "
             "<code>api_key_secret</code> under <code>[gateway]</code> in orrery.toml.</p>")
# Under "no-referrer", which all answers here and the shipped proxies say, a browser sends a form
# with the origin "null", and the door refuses that: so the page says otherwise for itself.
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<meta name="referrer" content="same-origin"><title>Orrery asks who you are</title>
<link rel="icon" href="data:,">
<style>
:root{color-scheme:dark light;--bg:light-dark(#f3f4f6,#0f1216);--box:light-dark(#fff,#171b21);
--line:light-dark(#d5dae1,#2b323c);--text:light-dark(#14181d,#f3f5f7);
--text2:light-dark(#3a434e,#c2cad3);--bad:light-dark(#b3201c,#f0564f)}
body{margin:0;min-height:100dvh;display:grid;place-items:center;background:var(--bg);
color:var(--text2);font:16px/1.5 "Source Sans 3",system-ui,sans-serif}
main{box-sizing:border-box;width:min(26rem,92vw);padding:20px 24px;background:var(--box);
border:1px solid var(--line);border-radius:8px}
h1{margin:0 0 8px;font-size:20px;color:var(--text)}p{margin:8px 0 0}a{color:inherit}
label{display:grid;gap:4px}.bad{color:var(--bad)}
input,button{box-sizing:border-box;width:100%;font:inherit;color:var(--text);
background:var(--bg);border:1px solid var(--line);border-radius:6px;padding:8px 10px}
button{margin-top:10px;cursor:pointer}
</style></head><body><main><h1>This site asks who you are</h1>PARTS</main></body></html>
"""


class ViewerDoor:
    """has_pages: whether pages stand one folder above."""

    def __init__(self, looking: Looking, has_pages: bool) -> None:
        self._looking, self._has_pages = looking, has_pages

    async def is_open(self, request: Request) -> bool:
        return await self._looking.lasts_s(request) is not None

    def ask(self, wrong: str = "") -> Response:
        """The page that asks; wrong: what was wrong with what was given."""
        parts = [f'<p class="bad" role="alert">{escape(wrong)}</p>'] if wrong else []
        ways = [(self._looking.roles.has_keys, BY_KEY),
                (self._has_pages and self._looking.roles.signs_in, BY_PAGES)]
        parts += [part for is_way, part in ways if is_way] or [BY_NOBODY]
        return HTMLResponse(PAGE.replace("PARTS", "".join(parts)), 401,
                            {"WWW-Authenticate": "ApiKey"})

    async def enter(self, request: Request) -> Response:
        """A key was given: the way back to the page, with a cookie, or the question again."""
        answer = RedirectResponse(f"?{request.url.query}", 303)
        if await self.is_open(request):
            return answer
        told = parse_qs((await request.body()).decode("latin-1"), encoding="latin-1")
        cookie = self._looking.cookie(told.get(FIELD, [""])[0])
        if cookie is None:
            return self.ask(WRONG)
        answer.set_cookie(COOKIE, cookie, max_age=int(COOKIE_HOLDS_S), path="/", httponly=True,
                          samesite="lax", secure=request.url.scheme == "https")
        return answer
