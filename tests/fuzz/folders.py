"""Folders of models, trainings and evaluations, one file of which is damaged."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr
from functools import cache
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from hypothesis import strategies as st

from score_hf import ScoreForInstanceSegmentation, Segmenter
from score_hf.conversion.completeness import check_complete
from score_hf.data.loading import class_names, load_split, objects_of, split_names
from score_hf.evaluation.prediction_files import PredictionFolder
from score_hf.loading import load_model
from score_hf.tables.paper import TABLES
from score_hf.tables.plan import cells_of
from score_hf.tables.workspace import Workspace
from score_hf.training.checkpoints import Checkpoints
from score_hf.training.parameters import WeightAverage
from score_hf.training.run_log import RunLog
from tests.tiny import tiny_config, tiny_processor

from .damage import Strategy, as_json, damaged, damaged_json, damaged_tree, damaged_zip
from .hostile import OPCODES, Runs
from .target import Target

Files = dict[str, bytes]
# What a stranger's folder would bring to be run by those who trust it.
_CODE = b"from pathlib import Path\nPath(__file__).with_name('executed').touch()\n"


def _contents(folder: Path) -> Files:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _lay_out(files: Files, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@cache
def _model() -> Files:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place:
        ScoreForInstanceSegmentation(tiny_config()).save_pretrained(place)
        tiny_processor().save_pretrained(place)
        (Path(place) / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# A model\n")
        return _contents(Path(place))


def _damaged_models(folders: Sequence[Files]) -> Strategy[Files]:
    (files,) = folders
    weights = "model.safetensors"
    length = int.from_bytes(files[weights][:8], "little")
    header, numbers = json.loads(files[weights][8 : 8 + length]), files[weights][8 + length :]

    def with_header(tree: Any) -> bytes:
        text = as_json(tree)
        return len(text).to_bytes(8, "little") + text + numbers

    own = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoProcessor": "evil.P"}
    values = ({"auto_map": own}, "evil.Config", "ScoreConfig", "CLIPTokenizer", "auto", 10**9)
    changes: list[Strategy[Files]] = []
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        tree = json.loads(files[name])
        changes += [
            damaged_json([tree, {**tree, "auto_map": own}], values).map(
                lambda new, name=name: {name: new}
            )
        ] * 2
    changes += [
        damaged([files["tokenizer.json"]]).map(lambda new: {"tokenizer.json": new}),
        damaged([files[weights]]).map(lambda new: {weights: new}),
        damaged_tree([header], (10**9,), may_be_deep=False).map(
            lambda tree: {weights: with_header(tree)}
        ),
        st.sampled_from(sorted(files)).map(lambda name: {name: b""}),
    ]
    code = {"evil.py": _CODE}
    return st.one_of(*changes).map(lambda change: {**files, **code, **change})


def _load_model(files: Files, folder: Path) -> None:
    _lay_out(files, folder / "model")
    model, processor = load_model(folder / "model", device="cpu")
    if model.config.stored_synonyms:
        Segmenter(model, processor=processor)
    assert not (folder / "model" / "executed").exists()


def _check_model(files: Files, folder: Path) -> None:
    _lay_out(files, folder / "model")
    check_complete(folder / "model")


def _accelerator() -> tuple[Accelerator, torch.nn.Module, WeightAverage]:
    accelerator = Accelerator(cpu=True)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    average = WeightAverage(model, 0.5)
    return accelerator, accelerator.prepare(model, optimizer)[0], average


@cache
def _run() -> Files:
    accelerator, model, average = _accelerator()
    model(torch.ones(1, 3)).sum().backward()
    with tempfile.TemporaryDirectory() as place:
        Checkpoints(Path(place) / "checkpoints").save(accelerator, 5, {"best": 0.5}, average)
        lines = [json.dumps({"step": step, "loss": 1.0}) for step in (1, 5, 6)]
        (Path(place) / "log.jsonl").write_text("\n".join(lines) + "\n")
        accelerator.free_memory()
        return _contents(Path(place))


@cache
def _hostile() -> list[bytes]:
    files = []
    for runs in Runs.all():
        stream = BytesIO()
        torch.save({"weight": runs}, stream)
        files.append(stream.getvalue())
    return files


def _damaged_runs(folders: Sequence[Files]) -> Strategy[Files]:
    (files,) = folders
    changes: list[Strategy[Files]] = []
    for name, content in files.items():
        kinds = [damaged([content], OPCODES)]
        if content.startswith(b"PK"):
            kinds.append(damaged_zip([content], lambda parts: damaged(parts, OPCODES)))
        if name.endswith(".json"):
            kinds.append(damaged_json([json.loads(content)]))
        if name.endswith((".pt", ".pkl", ".bin")):
            kinds.append(st.sampled_from(_hostile()))
        changes.append(st.one_of(kinds).map(lambda new, name=name: {name: new}))
    return st.one_of(*changes).map(lambda change: {**files, **change})


def _resume(files: Files, folder: Path) -> None:
    _lay_out(files, folder / "run")
    accelerator, _, average = _accelerator()
    try:
        facts = Checkpoints(folder / "run" / "checkpoints").load(accelerator, average)
        with redirect_stderr(StringIO()):
            RunLog(accelerator, folder / "run", {}, facts["step"] if facts else 0, 10).bar.close()
    finally:
        accelerator.free_memory()


_SETTINGS = {"alpha": 0.4, "classes": ["ship"]}


def _predictions() -> list[Files]:
    record = {"image_id": 3, "predictions": [{"category_id": 1, "score": 0.5}]}
    lines = as_json(record) + b"\n" + as_json({**record, "image_id": 4}) + b"\n"
    return [{"settings.json": as_json(_SETTINGS), "part-00000.jsonl": lines}]


def _damaged_predictions(folders: Sequence[Files]) -> Strategy[Files]:
    (files,) = folders
    lines = files["part-00000.jsonl"]
    record = json.loads(lines.splitlines()[0])
    changes = st.one_of(
        damaged_json([_SETTINGS]).map(lambda new: {"settings.json": new}),
        damaged_json([record]).map(lambda new: {"part-00000.jsonl": lines + new + b"\n"}),
        damaged([lines]).map(lambda new: {"part-00000.jsonl": new}),
    )
    return changes.map(lambda change: {**files, **change})


def _read_predictions(files: Files, folder: Path) -> None:
    _lay_out(files, folder / "predictions")
    with PredictionFolder(folder / "predictions", _SETTINGS) as store:
        for number in store.image_ids:
            store.read(number)


def _metrics() -> list[bytes]:
    cell = cells_of(TABLES["1"])[0]
    settings = {
        "alpha": cell.ensemble[0], "beta": cell.ensemble[1],
        "out_of_vocabulary": cell.out_of_vocabulary, "model": "step-00000030",
    }  # fmt: skip
    return [as_json({"AP": 0.4, cell.metric: 0.3, "settings": settings})]


def _read_metrics(content: bytes, folder: Path) -> None:
    cell = cells_of(TABLES["1"])[0]
    workspace = Workspace(folder, folder, folder, ("steps=30",))
    path = workspace.metrics(cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert workspace.cell_state(cell) in ("done", "to do")
    percent = workspace.percent(cell)
    assert percent is None or isinstance(percent, int | float)


@cache
def _prepared() -> Files:
    from tests.training.prepared_set import write_drawn_set

    with tempfile.TemporaryDirectory() as place:
        write_drawn_set(Path(place), images=2)
        return _contents(Path(place))


def _damaged_sets(folders: Sequence[Files]) -> Strategy[Files]:
    (files,) = folders
    names = [name for name in files if name.endswith((".parquet", ".md"))]
    changes = [damaged([files[name]]).map(lambda new, name=name: {name: new}) for name in names]
    return st.one_of(*changes).map(lambda change: {**files, **change})


def _read_set(files: Files, folder: Path) -> None:
    _lay_out(files, folder / "set")
    split = split_names(folder / "set")[0]
    shutil.rmtree(folder / "cache", ignore_errors=True)
    # A stream is read later, by whoever goes through it.
    dataset = load_split(folder / "set", split, cache_dir=folder / "cache")
    class_names(dataset)
    for row in dataset.select_columns(["objects", "height", "width"]):
        objects_of(row)


TARGETS = (
    Target("models", lambda: [_model()], _damaged_models, _load_model, share=0.3),
    Target("publishing", lambda: [_model()], _damaged_models, _check_model, share=0.3),
    Target("resuming", lambda: [_run()], _damaged_runs, _resume, share=0.2),
    Target("predictions", _predictions, _damaged_predictions, _read_predictions),
    Target("metrics", _metrics, lambda files: damaged_json([json.loads(files[0])]), _read_metrics),
    Target("prepared", lambda: [_prepared()], _damaged_sets, _read_set, share=0.2),
)
