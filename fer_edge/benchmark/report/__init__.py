"""A result as a table, Markdown, a picture, a comparison and an answer to "how many faces"."""
