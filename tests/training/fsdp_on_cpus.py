"""Runs the training script with FSDP on CPUs, which Accelerate offers for accelerators only.

python -m torch.distributed.run --nproc_per_node 2 -m tests.training.fsdp_on_cpus 1 isaid --output …

The first argument is FSDP's version, the rest is the script's command line.
"""

import sys
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from score_hf.training import train as script


def main() -> None:
    version = int(sys.argv.pop(1))
    start_processes = script.start_processes

    def start_sharded(*arguments: Any) -> Accelerator:
        accelerator = start_processes(*arguments)
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=version, state_dict_type="FULL_STATE_DICT"
        )
        # As Accelerate does it where the processes have GPUs.
        for state in (accelerator.state._shared_state, PartialState._shared_state):
            state |= {
                "distributed_type": DistributedType.FSDP,
                "fsdp_plugin": plugin,
                # FSDP takes "cpu:0" for another device than "cpu".
                "device": torch.device("cpu"),
            }
        return accelerator

    script.start_processes = start_sharded
    torch.set_num_threads(1)
    script.main()


if __name__ == "__main__":
    main()
