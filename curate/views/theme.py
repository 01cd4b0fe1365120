"""Colours, type and spacing of the pages, light and dark.

Covers: the theme options of Streamlit, the style sheet of our own blocks, the colours of charts. Does not cover:
layout, which each page decides.
"""

from __future__ import annotations

from typing import Any

INK, PAPER, GOLD = "#1d242d", "#faf8f3", "#7d5a0c"

_SIDEBAR = {
    "backgroundColor": "#1c242e",
    "secondaryBackgroundColor": "#2b3642",
    "textColor": "#e9e4d8",
    "primaryColor": "#e5bd66",
    "linkColor": "#e5bd66",
    "borderColor": "#3a4654",
}
_LIGHT = {
    "primaryColor": GOLD,
    "backgroundColor": PAPER,
    "secondaryBackgroundColor": "#f0ece1",
    "textColor": INK,
    "linkColor": GOLD,
    "borderColor": "#d9d2c2",
    "codeBackgroundColor": "#f0ece1",
    "codeTextColor": "#3b3222",
    "dataframeBorderColor": "#e0dacb",
    "dataframeHeaderBackgroundColor": "#f0ece1",
    "grayTextColor": "#545c66",
}
_DARK = {
    "primaryColor": "#e5bd66",
    "backgroundColor": "#13181e",
    "secondaryBackgroundColor": "#1c232b",
    "textColor": "#e9e4d8",
    "linkColor": "#e5bd66",
    "borderColor": "#364049",
    "codeBackgroundColor": "#1c232b",
    "codeTextColor": "#e9dcb8",
    "dataframeBorderColor": "#2c353f",
    "dataframeHeaderBackgroundColor": "#1c232b",
    "grayTextColor": "#a9b0b8",
}

OPTIONS: dict[str, Any] = {
    "theme.font": "sans-serif",
    "theme.headingFont": "serif",
    "theme.headingFontSizes": ["2rem", "1.25rem", "1.1rem", "1rem", "1rem", "1rem"],
    "theme.headingFontWeights": [600, 600, 600, 600, 600, 600],
    "theme.baseRadius": "10px",
    "theme.buttonRadius": "8px",
    "theme.paddingTop": "2.2rem",
    "theme.showWidgetBorder": True,
    **{f"theme.light.{key}": value for key, value in _LIGHT.items()},
    **{f"theme.dark.{key}": value for key, value in _DARK.items()},
    **{f"theme.light.sidebar.{key}": value for key, value in _SIDEBAR.items()},
    **{
        f"theme.dark.sidebar.{key}": value
        for key, value in {
            **_SIDEBAR,
            "backgroundColor": "#0d1116",
            "secondaryBackgroundColor": "#1d252e",
        }.items()
    },
}

# Funnel stages from raw to model, dark enough on paper and light enough on ink to be told apart in both themes.
FUNNEL = {
    "light": ["#8b93a0", "#b9842f", "#a5761c", "#7d5a0c"],
    "dark": ["#7c8794", "#a9853f", "#c9a14f", "#e5bd66"],
}

# One style sheet for blocks written with st.html. ``light-dark`` follows the theme that the page has.
CSS = """
<style>
.stMainBlockContainer { max-width: 1240px; }
[data-testid="stBaseButton-primary"]:not(:disabled), [data-testid="stBaseButton-primaryFormSubmit"]:not(:disabled) {
  color: light-dark(#fffdf6, #1c1608); font-weight: 600; }
.gp { --gp-line: light-dark(#d9d2c2, #364049); --gp-soft: light-dark(#545c66, #a9b0b8);
  --gp-card: light-dark(#fffefb, #1a2028); --gp-gold: light-dark(#7d5a0c, #e5bd66);
  --gp-good: light-dark(#22633a, #8fd0a0); --gp-bad: light-dark(#9a2a22, #ffa195);
  --gp-warn: light-dark(#7a4f00, #f0c36b); font-size: 1rem; line-height: 1.5; }
.gp p { margin: 0; }
.gp a { color: var(--gp-gold); }
.gp-lead { color: var(--gp-soft); max-width: 100ch; margin: -.35rem 0 .4rem; font-size: 1.05rem; }
.gp-card { border: 1px solid var(--gp-line); border-radius: 10px; background: var(--gp-card); padding: .85rem 1rem; }
.gp-text { white-space: pre-wrap; overflow-wrap: anywhere; }
.gp-scroll { max-height: 22rem; overflow: auto; }
.gp-label { font-size: .82rem; font-weight: 650; letter-spacing: .04em; color: var(--gp-soft);
  text-transform: uppercase; margin: 0 0 .3rem; }
.gp-soft { color: var(--gp-soft); }
.gp-mono { font-family: "Source Code Pro", ui-monospace, monospace; font-size: .88rem; overflow-wrap: anywhere; }
.gp-empty { border: 1px dashed var(--gp-line); border-radius: 12px; padding: 2.2rem 1.5rem; text-align: center; }
.gp-empty b { display: block; font: 600 1.15rem/1.3 "Source Serif", Georgia, serif; margin-bottom: .3rem; }
.gp-empty p { color: var(--gp-soft); max-width: 60ch; margin: 0 auto; }
.gp-notice { border-left: 4px solid var(--gp-gold); border-radius: 8px; background: var(--gp-card); padding: .7rem 1rem;
  border-block: 1px solid var(--gp-line); border-right: 1px solid var(--gp-line); overflow-wrap: anywhere; }
.gp-notice.good { border-left-color: var(--gp-good); }
.gp-notice.bad { border-left-color: var(--gp-bad); }
.gp-notice ul { margin: .35rem 0 0; padding-left: 1.2rem; }
.gp-row { display: flex; flex-wrap: wrap; gap: .5rem 1.1rem; align-items: center; }
.gp-chip { display: inline-flex; align-items: center; gap: .35rem; border: 1px solid var(--gp-line);
  border-radius: 999px; padding: .05rem .65rem; font-size: .88rem; background: var(--gp-card); white-space: nowrap; }
.gp-chip.good { color: var(--gp-good); border-color: currentColor; font-weight: 650; }
.gp-chip.bad { color: var(--gp-bad); border-color: currentColor; font-weight: 650; }
.gp-chip.open { color: var(--gp-warn); border-color: currentColor; font-weight: 650; }
.gp-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; }
.gp-tile { border: 1px solid var(--gp-line); border-radius: 10px; background: var(--gp-card); padding: .7rem .95rem; }
.gp-tile b { display: block; font: 600 1.75rem/1.15 "Source Serif", Georgia, serif;
  font-variant-numeric: tabular-nums; }
.gp-tile span { color: var(--gp-soft); font-size: .92rem; }
.gp-tile.on { border-color: var(--gp-gold); }
mark.gp-pii { background: light-dark(#ffe3d8, #4a2a20); color: inherit; border-radius: 4px; padding: 0 .15em;
  box-shadow: inset 0 -2px 0 light-dark(#b5482a, #ff9f80); }
mark.gp-pii i { font-style: normal; font-size: .7em; font-weight: 700; letter-spacing: .03em; margin-left: .35em;
  color: light-dark(#8a2f14, #ffb79e); white-space: nowrap; }
mark.gp-sub { background: light-dark(#e2efe2, #203527); color: inherit; border-radius: 4px; padding: 0 .15em;
  box-shadow: inset 0 -2px 0 light-dark(#3a7a4c, #7cc08e); }
mark.gp-sub i { font-style: normal; font-size: .7em; font-weight: 700; margin-left: .35em;
  color: light-dark(#22633a, #9ad6aa); white-space: nowrap; }
ins.gp-ins { background: light-dark(#d9ecd9, #23402b); text-decoration: underline; text-decoration-thickness: 2px; }
del.gp-del { background: light-dark(#fbdcd6, #4b2320); text-decoration: line-through; }
.gp-table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.gp-table th { text-align: left; font-size: .85rem; color: var(--gp-soft); font-weight: 650;
  border-bottom: 1px solid var(--gp-line); padding: .35rem .8rem .35rem 0; }
.gp-table td { border-bottom: 1px solid var(--gp-line); padding: .4rem .8rem .4rem 0; vertical-align: top;
  overflow-wrap: anywhere; }
.gp-table td.n, .gp-table th.n { text-align: right; }
.gp a.gp-mono { text-decoration: none; }
.gp a.gp-mono:hover { text-decoration: underline; }
.gp-who { font-size: .92rem; line-height: 1.45; color: #c9c6bd; }
.gp-who b { color: #f3efe4; }
.gp-who a { color: #e5bd66; }
.gp-visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; animation: none !important; } }
</style>
"""
