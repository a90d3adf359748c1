"""The Space: score_hf's demo with the model that README.md names under `models`."""

from pathlib import Path

from score_hf.demo.space import start

if __name__ == "__main__":
    start(Path(__file__).parent)
