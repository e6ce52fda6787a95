"""Judgments -> mined examples -> a fine-tuned reranker, measured before and after."""
