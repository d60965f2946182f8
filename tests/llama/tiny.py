"""A model for llama.cpp, of random weights and a vocabulary of bytes: `tiny.py PATH` (package `gguf`)."""

from __future__ import annotations

import sys

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, HIDDEN, CONTEXT = 128, 4, 4, 256, 4096
PIECES = [b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % byte for byte in range(256)), "▁".encode()]
UNKNOWN, CONTROL, NORMAL, BYTE = 2, 3, 1, 6


def write(path: str) -> None:
    numbers = np.random.default_rng(0)
    weights = lambda *shape: (numbers.standard_normal(shape) / 16).astype(np.float32)  # noqa: E731
    model = gguf.GGUFWriter(path, "llama")
    model.add_context_length(CONTEXT)
    model.add_embedding_length(WIDTH)
    model.add_block_count(LAYERS)
    model.add_feed_forward_length(HIDDEN)
    model.add_head_count(HEADS)
    model.add_head_count_kv(HEADS)
    model.add_layer_norm_rms_eps(1e-5)
    model.add_rope_dimension_count(WIDTH // HEADS)
    model.add_vocab_size(len(PIECES))
    model.add_tokenizer_model("llama")
    model.add_token_list(PIECES)
    model.add_token_scores([0.0] * len(PIECES))
    model.add_token_types([UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, NORMAL])
    model.add_bos_token_id(1)
    # Never likeliest, since its row of the output is zeroes: it makes as many tokens as are asked for.
    model.add_eos_token_id(2)
    model.add_tensor("token_embd.weight", weights(len(PIECES), WIDTH))
    model.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    output = weights(len(PIECES), WIDTH)
    output[2] = 0
    model.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        model.add_tensor(block + "attn_norm.weight", np.ones(WIDTH, np.float32))
        model.add_tensor(block + "ffn_norm.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            model.add_tensor(f"{block}{name}.weight", weights(WIDTH, WIDTH))
        model.add_tensor(block + "ffn_gate.weight", weights(HIDDEN, WIDTH))
        model.add_tensor(block + "ffn_up.weight", weights(HIDDEN, WIDTH))
        model.add_tensor(block + "ffn_down.weight", weights(WIDTH, HIDDEN))
    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.write_tensors_to_file()
    model.close()


if __name__ == "__main__":
    write(sys.argv[1])
