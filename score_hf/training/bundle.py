"""Makes a trained model small enough to come with the package.

python -m score_hf.training.bundle runs/score-tiny/last --output score_hf/models/score-tiny
"""

import argparse
import json
from pathlib import Path

from ..loading import load_model


def bundle(source: Path, output: Path) -> None:
    """Writes a model as float16 that loads as float32, without the code that the package has.

    Other files of the output, such as its README, stay.

    Args:
        source: A model's folder.
        output: The folder in the package.

    Raises:
        ValueError: If there is no such model.
    """
    model, processor = load_model(source, device="cpu")
    model.half().save_pretrained(output)
    processor.save_pretrained(output)
    for file in output.glob("*.py"):
        file.unlink()
    for file in output.glob("*.json"):
        settings = json.loads(file.read_text(encoding="utf-8"))
        settings.pop("auto_map", None)
        settings.get("image_processor", {}).pop("auto_map", None)
        if file.name == "config.json":
            settings["dtype"] = "float32"
        file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Makes a model small enough for the package.")
    parser.add_argument("source", type=Path, help="folder of the trained model")
    parser.add_argument("--output", type=Path, required=True, help="folder in the package")
    arguments = parser.parse_args()
    bundle(arguments.source, arguments.output)


if __name__ == "__main__":
    main()
