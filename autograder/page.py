"""What the pages for students and TAs share: their look, and text of unknown origin made harmless.

A page is one file that needs nothing from elsewhere: it is mailed, uploaded, and read on a phone.
"""

from __future__ import annotations

import html

#: blue is earned, hatched grey waits, orange is lost: apart for colour-blind eyes, and in print
STYLE = """
:root{--earned:#0072b2;--lost:#d55e00;--line:#d0d0d0;--soft:#f4f6f8}
body{font:17px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;color:#1a1a1a;
background:#fff;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0}
h2{font-size:1.3rem;margin:2.2rem 0 .5rem;border-bottom:2px solid var(--earned)}
h3{font-size:1.05rem;margin:1.4rem 0 .3rem;color:#444}code{font-size:.85em;font-weight:normal}
p{margin:.5rem 0}.quiet{color:#555}.big{font-size:2.6rem;font-weight:bold;line-height:1.1}
.box{background:var(--soft);border-left:6px solid var(--earned);padding:.7rem 1rem;margin:1rem 0}
.box.warn{border-color:var(--lost)}
table{border-collapse:collapse;width:100%}table.sum{width:auto}
table.checks td{border-color:#eee}td.wide{width:30%}table.why th{width:14rem}
@media(max-width:40rem){table.why th,table.why td{display:block;width:auto}
table.why th{border:0;padding-bottom:0}}
td,th{padding:.35rem .6rem .35rem 0;text-align:left;border-bottom:1px solid var(--line);
vertical-align:top}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.bar{display:flex;height:1rem;min-width:5rem;background:#e4e4e4;margin-top:.25rem}
.bar i{background:var(--earned)}
.bar i.waits{background:repeating-linear-gradient(45deg,#8a8a8a 0 4px,#d8d8d8 4px 8px)}
details{border-bottom:1px solid var(--line);padding:.3rem 0}
summary{cursor:pointer;font-weight:bold;display:flex;gap:.6rem}
summary::before{content:"▸"}details[open]>summary::before{content:"▾"}
summary .n,.check .n{margin-left:auto}
.check{display:flex;gap:.6rem;padding:.3rem 0 .3rem 1.1rem;border-top:1px solid #eee}
.check b{min-width:1.2rem}.check .said{display:block;color:#555}
.not{color:var(--lost)}
svg{width:100%;height:auto;display:block}
"""


def document(title: str, body: str) -> str:
    """A whole page; `title` is escaped here, `body` is HTML."""
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<title>{esc(title)}</title><style>{STYLE}</style>{body}</html>\n"
    )


def esc(text: object) -> str:
    """Text as it is to be read, whatever it holds."""
    return html.escape(str(text))


def points(number: float) -> str:
    """At most two places: 67.2, 16, 0.33, −12."""
    return f"{round(number, 2):g}".replace("-", "−")


def many(number: float, what: str) -> str:
    """ "1 answer", "2 answers", "2.5 points"."""
    return f"{points(number)} {what}" if number == 1 else f"{points(number)} {what}s"


def bar(share: float, waits: float = 0.0) -> str:
    """A bar, so much of it filled and so much hatched; both are shares of 1."""
    share = min(max(share, 0.0), 1.0)
    waits = min(max(waits, 0.0), 1.0 - share)
    return (
        f"<div class=bar><i style='width:{share:.1%}'></i>"
        f"<i class=waits style='width:{waits:.1%}'></i></div>"
    )
