"""The head of a cross-encoder of BERT's family: logits from the first token's hidden state."""

from __future__ import annotations

from connector.models.onnx.bert import Bert

# the layers of each family's head, each with what follows it
HEADS = {
    "bert": (("pooler.dense", "tanh"), ("classifier", "")),
    "roberta": (("classifier.dense", "tanh"), ("classifier.out_proj", "")),
    "xlm-roberta": (("classifier.dense", "tanh"), ("classifier.out_proj", "")),
    "camembert": (("classifier.dense", "tanh"), ("classifier.out_proj", "")),
    "electra": (("classifier.dense", "gelu"), ("classifier.out_proj", "")),
    "distilbert": (("pre_classifier", "relu"), ("classifier", "")),
}


def add_classifier(bert: Bert, output: str) -> tuple[int, list[str]]:
    """Let the graph give logits [batch, labels]. Gives the number of labels, and the names of the operators whose
    weights are few and close to the score: they are not worth eight bits.

    The last layer computes the first token alone, which is all that is read."""
    graph = bert.graph
    values = graph.add("Reshape", bert.encode(first_token=True), graph.numbers(0, -1))
    labels, names = 0, []
    for layer, activation in HEADS[bert.family]:
        names.append(f"head.{layer}")
        values, labels = bert.linear(layer, values, label=names[-1]), bert.width(layer)
        values = bert.activated(activation, values) if activation else values
    graph.rename(values, output)
    return labels, names
