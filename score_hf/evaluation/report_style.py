"""How the report looks, in light and dark, on screens of any width and on paper."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1f23; --faint: #5b636d;
  --line: #d5dae0; --panel: #f5f7f9; --one: #0063a6; --two: #b34700; --three: #007a5a; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e7eaee; --faint: #a3acb7;
  --line: #39414b; --panel: #1e2329; --one: #6cb8f0; --two: #f0a35e; --three: #5fd0ab; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; font-size: 1.2rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)); gap: .6rem; }
dl div { padding: .5rem .8rem; background: var(--panel); border-radius: .4rem; }
dt { color: var(--faint); font-size: .85rem; }
dd { margin: 0; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; min-width: min(100%, 34rem); }
caption { text-align: left; color: var(--faint); font-size: .9rem; padding-bottom: .4rem; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
tbody th { font-weight: normal; }
meter { width: 5rem; vertical-align: middle; }
.badge { padding: .05rem .5rem; border: 1px solid currentColor; border-radius: 1rem;
  font-size: .85rem; white-space: nowrap; }
.seen { color: var(--one); } .unseen { color: var(--two); } .unknown { color: var(--faint); }
.chip { display: inline-block; width: .8em; height: .8em; margin-right: .4em;
  border: 1px solid var(--faint); border-radius: 2px; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; }
.plot figcaption { text-align: center; }
svg text { fill: var(--faint); font-size: 11px; }
.grid { stroke: var(--line); fill: none; }
.curve { fill: none; stroke-width: 2; }
.curve-0 { stroke: var(--one); } .curve-1 { stroke: var(--two); stroke-dasharray: 6 3; }
.curve-2 { stroke: var(--three); stroke-dasharray: 2 3; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; padding: 0; list-style: none; }
.legend svg { width: 30px; height: 8px; }
.pair { margin: 1rem 0 1.5rem; }
.pair div { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr));
  gap: .5rem; }
.pair img { width: 100%; height: auto; display: block; }
@media print { main { max-width: none; } .pair, .plot { break-inside: avoid; } }
"""
