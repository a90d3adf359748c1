import os
import signal

import pytest

from score_hf.commands.terminal import ending_like_ctrl_c


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no such signal")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_terminated_process_is_cleaned_up_after(name):
    ending = getattr(signal, name)
    before = signal.signal(ending, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), ending_like_ctrl_c():
            os.kill(os.getpid(), ending)
        assert signal.getsignal(ending) is signal.SIG_DFL
        signal.signal(ending, signal.SIG_IGN)
        with ending_like_ctrl_c():
            # As below `nohup`.
            os.kill(os.getpid(), ending)
        assert signal.getsignal(ending) is signal.SIG_IGN
    finally:
        signal.signal(ending, before)
