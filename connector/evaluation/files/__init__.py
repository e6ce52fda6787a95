"""Files of judged collections: queries, judgments and what each query counts, read and written."""
