import importlib
import pickle
import sys
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest

from score_hf.demo import engine as engine_module
from score_hf.demo import gpu
from score_hf.demo.engine import DemoEngine
from score_hf.demo.found import find_objects
from tests.demo.conftest import SCENE
from tests.tiny import tiny_processor


@pytest.fixture
def tiny_engine(tiny_model) -> DemoEngine:
    return DemoEngine(tiny_model, tiny_processor(), "tiny")


def segment(engine: DemoEngine, names: str):
    vocabulary = engine.read_vocabulary(names)
    result = engine.segment(engine.open(str(SCENE)), vocabulary, engine.encode(vocabulary))
    return result.network


def test_it_tells_of_its_model(engine, tiny_engine):
    assert engine.about.is_demonstration and not tiny_engine.about.is_demonstration
    assert engine.about.name == "score-tiny" and engine.about.trunks == ("general",)
    assert (engine.about.ensemble.alpha, engine.about.ensemble.beta) == (0.2, 0.8)
    assert engine.about.training_classes[1] == "ship, boat, vessel"


def test_a_vocabulary_is_encoded_once(tiny_model, monkeypatch):
    made = []
    encode_names = engine_module.encode_names
    monkeypatch.setattr(
        engine_module, "encode_names", lambda *a: (made.append(1), encode_names(*a))[1]
    )
    engine = DemoEngine(tiny_model, tiny_processor())
    for names in ("ship, car", "Ship\ncar", "ship", "ship, car"):
        engine.encode(engine.read_vocabulary(names))
    assert len(made) == 2


def test_visitors_at_once_get_what_each_would_get_alone(tiny_engine):
    vocabularies = ["ship, car", "harbor", "bridge, plane, ship", "oil tank | storage tank, pool"]
    alone = {names: segment(tiny_engine, names) for names in vocabularies}
    together = {}

    def visit(names: str) -> None:
        together[names] = [segment(tiny_engine, names) for _ in range(3)]

    threads = [Thread(target=visit, args=(names,)) for names in vocabularies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for names in vocabularies:
        for result in together[names]:
            assert np.array_equal(result.in_logits, alone[names].in_logits)
            assert np.array_equal(result.mask_logits, alone[names].mask_logits)


def test_a_borrowed_gpu_gets_and_gives_what_can_be_sent(tiny_model, monkeypatch):
    """ZeroGPU runs a function in another process: a stand-in sends everything as pickles."""
    durations = []

    def borrow(duration: int):
        def decorate(function):
            durations.append(duration)

            def call(*arguments):
                return pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(arguments)))))

            return call

        return decorate

    expected = segment(DemoEngine(tiny_model, tiny_processor()), "ship, car")
    monkeypatch.setattr(gpu, "GPU", borrow)
    lent = DemoEngine(tiny_model, tiny_processor())
    vocabulary = lent.read_vocabulary("ship, car")
    result = lent.segment(lent.open(str(SCENE)), vocabulary, lent.encode(vocabulary))
    assert len(durations) == 2 and max(durations) <= 60
    assert np.array_equal(result.network.in_logits, expected.in_logits)
    assert find_objects(result, lent.about.ensemble, 100)


def test_the_gpu_is_borrowed_where_spaces_is_installed(monkeypatch):
    def borrow(duration: int):
        return lambda function: (function, duration)

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=borrow))
    try:
        assert importlib.reload(gpu).on_gpu(len, 20) == (len, 20)
    finally:
        monkeypatch.undo()
        importlib.reload(gpu)
    assert gpu.on_gpu(len, 20) is len
