"""A worker that goes on with each line of a file, with transformers.

    hangwatch run --inference-step-timeout 30s --log-dir logs --faulthandler SIGUSR1 -- \\
        python examples/transformers_worker.py --model HuggingFaceTB/SmolLM2-135M-Instruct prompts texts
    python examples/transformers_worker.py --tiny prompts texts        # random weights, no hub

Its load, its prompts and its tokens are seen by `hangwatch status` meanwhile. It needs
`pip install './python[transformers]'` in a checkout.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Tuple

import hangwatch

# First of all: importing torch takes seconds in which nothing can be said.
hangwatch.dump_stacks_on("SIGUSR1")
worker = hangwatch.attach("transformers")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from hangwatch.integrations import transformers as watching  # noqa: E402


def tiny() -> Tuple[Any, Any]:
    """A model of random weights that knows the letters, and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", *map(chr, range(97, 123))]
    letters = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, "<unk>"))
    letters.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config), PreTrainedTokenizerFast(tokenizer_object=letters, pad_token="<pad>", unk_token="<unk>")


def main() -> None:
    parser = argparse.ArgumentParser(description="Goes on with each line of a file.")
    parser.add_argument("--model", help="a name on the hub, or a folder")
    parser.add_argument("--tiny", action="store_true", help="random weights instead of a model")
    parser.add_argument("--tokens", type=int, default=64, help="how many are made at most")
    parser.add_argument("prompts", type=Path, help="a file, a prompt a line")
    parser.add_argument("out", type=Path, help="the folder of the texts")
    given = parser.parse_args()
    if given.tiny == bool(given.model):
        parser.error("either --model or --tiny")

    watching.install()
    if given.tiny:
        model, tokenizer = tiny()
    else:
        tokenizer, model = AutoTokenizer.from_pretrained(given.model), AutoModelForCausalLM.from_pretrained(given.model)
    with worker.phase("loading"):
        model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    # It waits: no budget runs until the next job.
    worker.phase("idle")
    given.out.mkdir(parents=True, exist_ok=True)
    for number, prompt in enumerate(given.prompts.read_text().splitlines()):
        answer = given.out / f"{number}.txt"
        # A worker that takes a hung one's place goes on where that one was.
        if answer.exists():
            continue
        with worker.job(f"{number}", model=given.model or "tiny", batch=1) as job:
            inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False).to(model.device)
            tokens = model.generate(**inputs, max_new_tokens=given.tokens)
            if worker.should_stop():
                # It was cut short: what there is, is no answer.
                job.end("cancelled")
                break
        answer.write_text(tokenizer.decode(tokens[0], skip_special_tokens=True))


if __name__ == "__main__":
    main()
