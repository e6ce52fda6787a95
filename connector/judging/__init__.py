"""Queries out of logs, pools of documents to judge, grades of people and models, and how far they can be trusted."""
