import gradio as gr
import pytest

from score_hf.demo.errors import plain_errors


def test_memory_that_is_not_there_is_told():
    with pytest.raises(gr.Error, match="not enough memory"), plain_errors():
        raise MemoryError


def test_our_own_fault_is_logged_and_not_shown(caplog):
    with pytest.raises(gr.Error) as caught, plain_errors():
        raise KeyError("/secret/path")
    assert "secret" not in caught.value.message and "/secret/path" in caplog.text
