"""One page of HTML, complete in itself, that shows how good a model is and where it fails."""

import os
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from .. import __version__
from ..visualize import class_color
from .report_curves import class_curves, draw_curves, legend
from .report_pictures import DrawnImage, draw_row
from .report_style import STYLE
from .shared_work import SharedWork, undecoded_rows
from .task import Findings
from .vocabulary import Vocabulary

_HEADLINES = (
    *("AP", "AP50", "AP75", "APs", "APm", "APl", "AR"),
    *("mIoU", "fwIoU", "pixel_accuracy", "mean_accuracy"),
    *("PQ", "SQ", "RQ"),
    *("seen", "unseen", "harmonic_mean"),
)
_EXAMPLES = 6
_NOTHING = "\N{EN DASH}"


def write_report(path: Path, work: SharedWork, findings: Findings, figures: dict[str, Any]) -> None:
    """Writes the page; an older one stays whole until the new one is.

    Args:
        path: Of the HTML file.
        work: Done.
        findings: Of its task.
        figures: What metrics.json holds.
    """
    vocabulary = work.task.vocabulary
    settings = figures["settings"]
    title = " ".join(
        str(part)
        for part in (settings.get("model"), "on", settings.get("dataset"), settings.get("split"))
        if part
    )
    sections = [
        _headlines(figures),
        _classes(figures, vocabulary),
        _curves(findings, vocabulary),
        _sweep(figures.get("sweep")),
        _confusion(figures.get("confusion"), "pixels" if "pixels" in figures else "objects"),
        _examples(work, findings),
        _settings(settings, vocabulary),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p>{figures['num_images']:,} images, task "
        f"{escape(settings['task'])}, score_hf {__version__}</p>"
        f"{''.join(sections)}</main></body></html>\n"
    )
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(page, encoding="utf-8")
    os.replace(unfinished, path)


def _percent(value: float | None) -> str:
    return _NOTHING if value is None else f"{100 * value:.1f}"


def _headlines(figures: dict[str, Any]) -> str:
    entries = "".join(
        f"<div><dt>{name.replace('_', ' ')}</dt><dd>{_percent(figures[name])}</dd></div>"
        for name in _HEADLINES
        if name in figures
    )
    return f"<h2>Figures</h2><p>In percent.</p><dl>{entries}</dl>"


def _classes(figures: dict[str, Any], vocabulary: Vocabulary) -> str:
    measure = {"instance": "AP", "semantic": "IoU", "panoptic": "PQ"}[figures["settings"]["task"]]
    amount = next((name for name in ("objects", "pixels") if name in figures), None)
    heads = ["Class", "Trained on", *([amount.capitalize()] if amount else []), measure]
    heads += ["AP50"] if "per_class_AP50" in figures else []
    rows = []
    for place, name in enumerate(vocabulary.names):
        seen = None if vocabulary.seen is None else vocabulary.seen[place]
        value = figures["per_class"][name]
        bar = f'<meter min="0" max="1" value="{value or 0:.3f}" aria-hidden="true"></meter> '
        cells = [_badge(seen)]
        cells += [f"{figures[amount][name]:,}"] if amount else []
        cells += [bar + _percent(value)]
        cells += [_percent(figures["per_class_AP50"][name])] if "per_class_AP50" in figures else []
        rows.append((f"{_chip(place)}{escape(name)}", cells))
    return f"<h2>Classes</h2>{_table('Figures by class, in percent', heads, rows)}"


def _badge(seen: bool | None) -> str:
    kind, text = {
        True: ("seen", "seen"),
        False: ("unseen", "unseen"),
        None: ("unknown", "not known"),
    }[seen]
    return f'<span class="badge {kind}">{text}</span>'


def _chip(label: int) -> str:
    return f'<span class="chip" style="background:rgb{class_color(label)}"></span>'


def _table(caption: str, heads: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> str:
    """A table whose cells are HTML already; the first of a row names it."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, cells in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table><caption>{caption}</caption><thead><tr>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def _curves(findings: Findings, vocabulary: Vocabulary) -> str:
    if findings.curves is None:
        return ""
    recalls = findings.curves.recall_thresholds
    plots = []
    for place, name in [(None, "mean of all classes"), *enumerate(vocabulary.names)]:
        lines = class_curves(findings.curves, place)
        if lines is not None:
            plots.append(draw_curves(name, recalls, lines))
    if not plots:
        return ""
    return f'<h2>Precision and recall</h2>{legend()}<div class="plots">{"".join(plots)}</div>'


def _sweep(sweep: dict[str, Any] | None) -> str:
    if sweep is None or sweep["best"] is None:
        return ""
    best = sweep["best"]
    rows = []
    for alpha, cells in zip(sweep["alphas"], sweep["AP"], strict=True):
        marked = [
            f"<strong>{_percent(value)}</strong>" if value == best["AP"] else _percent(value)
            for value in cells
        ]
        rows.append((f"&alpha; {alpha:g}", marked))
    heads = ["", *(f"&beta; {beta:g}" for beta in sweep["betas"])]
    caption = (
        f"AP in percent by weight of the out-of-vocabulary scores, for seen (&alpha;) and unseen "
        f"classes (&beta;); best {_percent(best['AP'])} at {best['alpha']:g}, {best['beta']:g}"
    )
    return f"<h2>Weights of the ensemble</h2>{_table(caption, heads, rows)}"


def _confusion(pairs: list[dict[str, Any]] | None, unit: str) -> str:
    if not pairs:
        return ""
    rows = [
        (
            escape(pair["class"]),
            [escape(pair["called"]), f"{pair['count']:,}", _percent(pair["share"])],
        )
        for pair in pairs
    ]
    heads = ["Class", "Taken for", unit.capitalize(), "Share of the class, %"]
    how = {
        "objects": "An object counts as taken for the class of the best-scoring prediction whose "
        "mask has an IoU of at least 0.50 with it",
        "pixels": "Pixels by what they are and what they are called",
    }[unit]
    return f"<h2>Most confused classes</h2>{_table(how, heads, rows)}"


def _examples(work: SharedWork, findings: Findings) -> str:
    ranked = [
        (score, number)
        for number, score in zip(work.image_ids, findings.image_scores, strict=True)
        if score is not None
    ]
    ranked.sort()
    worst = ranked[:_EXAMPLES]
    best = ranked[len(worst) :][::-1][:_EXAMPLES]
    rows = {
        row["image_id"]: row
        for row in undecoded_rows(work.dataset, {number for _, number in worst + best})
    }
    names = work.task.vocabulary.names
    html = f"<p>Ranked by the {findings.image_score_name}.</p>"
    for title, chosen in (("Worst", worst), ("Best", best)):
        html += f"<h3>{title}</h3>" if chosen else ""
        for score, number in chosen:
            predictions = work.store.read(number)["predictions"]
            as_classes = work.task.name == "semantic"
            drawn = draw_row(rows[number], predictions, names, as_classes, findings.shown_above)
            html += _example(drawn, score, names)
    return f"<h2>Images</h2>{html}" if ranked else ""


def _example(drawn: DrawnImage, score: float, names: Sequence[str]) -> str:
    def counted(labels: list[int]) -> str:
        counts = sorted(Counter(labels).items())
        return ", ".join(f"{names[label]} {count}" for label, count in counts) or "nothing"

    true, found = counted(drawn.true_labels), counted(drawn.predicted_labels)
    chips = ", ".join(
        f"{_chip(label)}{escape(names[label])}"
        for label in sorted({*drawn.true_labels, *drawn.predicted_labels})
    )
    return (
        '<figure class="pair"><div>'
        f'<img src="{drawn.truth}" alt="Truth: {escape(true, quote=True)}">'
        f'<img src="{drawn.predicted}" alt="Predicted: {escape(found, quote=True)}">'
        f"</div><figcaption><strong>{escape(drawn.file_name)}</strong>, {_percent(score)} %: "
        f"truth left, prediction right. {chips}</figcaption></figure>"
    )


def _settings(settings: dict[str, Any], vocabulary: Vocabulary) -> str:
    rows = [
        (escape(name.replace("_", " ")), [escape(_NOTHING if value is None else str(value))])
        for name, value in settings.items()
        if name not in ("classes", "prompts", "seen_classes")
    ]
    if vocabulary.prompts != vocabulary.names:
        rows.append(("asked for", [escape("; ".join(vocabulary.prompts))]))
    return f"<h2>Settings</h2>{_table('How this was measured', ['Setting', 'Value'], rows)}"
