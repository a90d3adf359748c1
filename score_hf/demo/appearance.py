"""How the page looks, light and dark."""

import gradio as gr

CSS = """
#introduction h1 { font-size: 1.5rem; margin: 0; }
.chips { display: flex; flex-wrap: wrap; gap: 0.35rem; list-style: none; margin: 0; padding: 0; }
.chips li {
    border: 1px solid var(--border-color-primary); border-radius: 1rem; margin: 0;
    padding: 0.1rem 0.6rem; background: var(--background-fill-primary);
}
.swatch {
    display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.4em;
    border: 1px solid var(--body-text-color); border-radius: 2px; vertical-align: -0.05em;
}
.gallery {
    display: grid; grid-template-columns: repeat(auto-fill, minmax(4.5rem, 1fr)); gap: 0.4rem;
}
.gallery button {
    padding: 0; aspect-ratio: 1; overflow: hidden; cursor: pointer;
    border: 2px solid var(--border-color-primary); border-radius: 0.4rem;
}
.gallery button:is(:hover, :focus-visible) { border-color: var(--color-accent); }
.gallery img { width: 100%; height: 100%; object-fit: cover; margin: 0; }
#scene-picture img { max-height: 560px; object-fit: contain; }
#scene-map summary { cursor: pointer; }
#table .selection-button { display: none; }
.badge { border-radius: 0.5rem; padding: 0 0.4rem; font-size: 0.8em; font-weight: 600; }
.badge.seen { background: #004d40; color: #fff; }
.badge.unseen { background: #fff; color: #7a3b00; border: 1px dashed #7a3b00; }
.also, .count { color: var(--body-text-color-subdued); font-size: 0.9em; }
.summary { margin: 0 0 0.3rem; }
.notice, .warning {
    border-left: 4px solid #b35900; padding: 0.3rem 0.7rem; margin: 0.4rem 0;
    background: var(--background-fill-secondary);
}
.explanation .scroll { overflow-x: auto; }
.explanation table { border-collapse: collapse; width: 100%; }
.explanation :is(table, thead, tbody, tr, th, td) { border: 0; }
.explanation th, .explanation td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; }
.explanation tr { border-bottom: 1px solid var(--border-color-primary); white-space: nowrap; }
.explanation tr.chosen th { text-decoration: underline; font-weight: 700; }
.bar {
    display: inline-block; height: 0.7em; margin-right: 0.4em; background: #0072b2;
    border: 1px solid var(--body-text-color); min-width: 2px;
}
@media (max-width: 600px) {
    .gallery { grid-template-columns: repeat(auto-fill, minmax(3rem, 1fr)); }
    .bar, .explanation .weight { display: none; }
    .explanation table { font-size: 0.72rem; }
    .explanation th, .explanation td { padding-right: 0.3rem; }
    .explanation th { white-space: normal; }
}
"""


def make_theme() -> gr.Theme:
    """Gradio's default with system fonts, nothing loaded from elsewhere, and greys one can read."""
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return theme.set(
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
    )
