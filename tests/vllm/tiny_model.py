"""Tiny language models for tests: one with random weights, one that knows its answers by heart."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CONTEXT = 4096
START, END, PAD = "<|start|>", "<|end|>", "<|pad|>"

Messages = Sequence[Mapping[str, str]]

TEMPLATE = """\
{%- for message in messages %}<|start|>{{ message.role }}
{{ message.content }}<|end|>{% endfor -%}
{%- if add_generation_prompt %}<|start|>assistant
{% endif -%}"""


def train_tokenizer(texts: Sequence[str], *, words: int, phrases: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level pairs learnt from texts.

    With `phrases`, a token may reach over spaces: texts that occur again and again become a token or two, and
    prompts of a thousand words are read and learnt in no time.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not phrases)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=words,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token=PAD, model_max_length=CONTEXT
    )
    fast.chat_template = TEMPLATE
    return fast


def new_model(tokenizer: PreTrainedTokenizerFast, *, seed: int = 0, hidden: int = 128) -> LlamaForCausalLM:
    """A model of two layers with random weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 32,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        initializer_range=0.05,
        dtype=torch.float32,
    )
    return LlamaForCausalLM(config)


def save(folder: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Path:
    """Write weights (safetensors), config, tokenizer and chat template, as a hub model has them."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def learn(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    lessons: Sequence[tuple[Messages, str]],
    *,
    steps: int = 120,
    rate: float = 3e-3,
) -> float:
    """Train until the answers are known by heart; returns the last loss per token of the answers.

    Of a prompt with several answers, each becomes as likely as the others.
    """
    rows = [_row(tokenizer, messages, answer) for messages, answer in lessons]
    width = max(len(tokens) for tokens, _ in rows)
    tokens = torch.full((len(rows), width), int(tokenizer.pad_token_id))
    for n, (row, _) in enumerate(rows):
        tokens[n, : len(row)] = torch.tensor(row)
    answers = [(n, at) for n, (row, start) in enumerate(rows) for at in range(start, len(row))]
    which, at = torch.tensor(answers).T
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model loses more by sharing than it gains
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
    model.train()
    for _ in range(steps):
        states = model.model(input_ids=tokens).last_hidden_state[which, at - 1]
        loss = torch.nn.functional.cross_entropy(model.lm_head(states), tokens[which, at])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    torch.set_num_threads(threads)
    model.eval()
    return float(loss.detach())


def answer_of(caption: str, uses: Sequence[str]) -> str:
    """An answer in the form that structured output asks for."""
    return json.dumps({"caption": caption, "uses": list(uses)}, ensure_ascii=False)


def _row(tokenizer: PreTrainedTokenizerFast, messages: Messages, answer: str) -> tuple[list[int], int]:
    """Tokens of prompt and answer, and where the answer starts."""
    prompt = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    tail = tokenizer(answer + END, add_special_tokens=False)["input_ids"]
    return head + tail, len(head)
